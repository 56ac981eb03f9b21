"""Compressed files become what they were, and never longer than what was signed."""

import lzma
import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.release.packing import BLOCK_BYTES, pack, unpack
from device.errors import ReleaseError


def _unpacked(data: bytes, length: int, size: int = 1000) -> bytes:
    written: list[bytes] = []
    unpack((data[at : at + size] for at in range(0, len(data), size)), length, written.append)
    assert all(len(piece) <= BLOCK_BYTES for piece in written)
    return b"".join(written)


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_what_is_packed_becomes_what_it_was_in_pieces_of_any_size(data: bytes, size: int) -> None:
    assert _unpacked(pack(data), len(data), size) == data


def test_the_same_bytes_are_packed_to_the_same_bytes() -> None:
    assert pack(b"labels" * 100) == pack(b"labels" * 100)


def test_neighbouring_pixels_that_differ_little_become_small() -> None:
    steps = random.Random(0).choices(range(3), k=30_000)
    pixels = bytes(total % 256 for total in accumulate(steps))
    picture = b"".join(bytes((value, 255 - value, value // 2)) for value in pixels)
    plain = lzma.compress(picture, preset=9)
    assert len(pack(picture)) < 0.8 * len(plain)
    assert _unpacked(pack(picture), len(picture)) == picture


def test_a_bomb_stops_at_the_length_that_was_signed() -> None:
    bomb = pack(bytes(50 * 2**20))
    written: list[bytes] = []
    with pytest.raises(ReleaseError, match="longer"):
        unpack([bomb], 1000, written.append)
    assert len(b"".join(written)) <= 1000


def test_memory_for_unpacking_is_bounded() -> None:
    hungry = lzma.compress(b"x", preset=9)
    with pytest.raises(ReleaseError, match="damaged"):
        _unpacked(hungry, 1)


@given(st.data())
def test_a_damaged_file_is_refused(data: st.DataObject) -> None:
    whole = bytearray(pack(b"Rosa canina\n" * 50))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ReleaseError):
        _unpacked(bytes(whole), 600)


@pytest.mark.parametrize("length", [599, 601])
def test_another_length_than_what_was_signed_is_refused(length: int) -> None:
    with pytest.raises(ReleaseError):
        _unpacked(pack(b"Rosa canina\n" * 50), length)


def test_a_file_that_is_cut_short_or_goes_on_is_refused() -> None:
    packed = pack(b"Rosa canina\n" * 50)
    for data in (packed[:-1], packed + b"x", packed + packed, b""):
        with pytest.raises(ReleaseError):
            _unpacked(data, 600)
