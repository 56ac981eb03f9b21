"""Files of a release are sent compressed by xz, which is in every Python; a bound is kept on both.

The dictionary is small, so that a board of 512 MB unpacks with 6 MB of memory; a model becomes no
larger by that. Unpacking stops at the length that was signed.
"""

import lzma
from collections.abc import Callable, Iterable

from device.errors import ReleaseError

DICTIONARY_BYTES = 4 * 2**20
MEMORY_BYTES = 8 * 2**20
"""Most memory that unpacking takes; what needs more was not packed here."""
BLOCK_BYTES = 64 * 1024

_LZMA = {"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": DICTIONARY_BYTES}
# What comes at which place of four bytes tells more of weights than which byte was before.
_WEIGHTS = [{**_LZMA, "lc": 0, "lp": 2, "pb": 2}]
# A colour differs little from the same colour of the pixel before, three bytes ago.
_PICTURES = [{"id": lzma.FILTER_DELTA, "dist": 3}, {**_LZMA, "lc": 0, "lp": 0, "pb": 0}]


def pack(data: bytes) -> bytes:
    """The bytes compressed, in the way that makes them smaller; always the same of the same."""
    ways = (_WEIGHTS, _PICTURES)
    return min((_compressed(data, filters) for filters in ways), key=len)


def unpack(blocks: Iterable[bytes], length_bytes: int, write: Callable[[bytes], object]) -> None:
    """Write what was compressed, block by block.

    Args:
        blocks: the compressed bytes, in pieces of any size.
        length_bytes: what the whole must become.
        write: takes pieces of up to `BLOCK_BYTES`.

    Raises:
        ReleaseError: if it is damaged, needs too much memory, or becomes longer or shorter.
    """
    opened = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_BYTES)
    left = length_bytes
    try:
        for block in blocks:
            left -= _unpack_block(opened, block, left, write)
    except (lzma.LZMAError, EOFError) as error:
        raise ReleaseError(f"a compressed file is damaged ({error})") from error
    if left or not opened.eof or opened.unused_data:
        raise ReleaseError("a compressed file is damaged: it ends too early or too late")


def _unpack_block(
    opened: lzma.LZMADecompressor, block: bytes, most: int, write: Callable[[bytes], object]
) -> int:
    """Write what one block becomes; returns its length."""
    written, given = 0, block
    while given or not (opened.needs_input or opened.eof):
        piece = opened.decompress(given, BLOCK_BYTES)
        given = b""
        written += len(piece)
        if written > most:
            raise ReleaseError("a compressed file becomes longer than what was signed")
        write(piece)
    return written


def _compressed(data: bytes, filters: list[dict[str, int]]) -> bytes:
    return lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)
