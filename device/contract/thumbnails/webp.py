"""What can be said of a WebP picture without decoding it."""

import struct

MEDIA_TYPE = "image/webp"
_HEADER = struct.Struct("<4sI4s4sI3s3sHH")
"""RIFF, bytes that follow, WEBP, the only chunk, its bytes, frame tag, start code, both sides."""
_START = b"\x9d\x01\x2a"


def size_px(data: bytes) -> tuple[int, int]:
    """Width and height of a plain lossy WebP picture (RFC 9649).

    Such a file is one chunk of pixels: there is no place in it for Exif, XMP or a colour profile.

    Raises:
        ValueError: if it is anything else.
    """
    if len(data) < _HEADER.size:
        raise ValueError("too short for a WebP picture")
    riff, rest, webp, chunk, inside, _, start, width, height = _HEADER.unpack_from(data)
    plain = (riff, webp, chunk, start) == (b"RIFF", b"WEBP", b"VP8 ", _START)
    # A chunk of an odd length is followed by one byte.
    if not plain or rest != len(data) - 8 or inside + inside % 2 != len(data) - 20:
        raise ValueError("not a plain WebP picture")
    # The two highest bits ask for scaling.
    return width & 0x3FFF, height & 0x3FFF
