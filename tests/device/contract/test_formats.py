"""Promises about newer photo formats: read, or named with what to install."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from device.contract import formats
from device.contract.formats import is_photo_start
from device.contract.photos import decode
from device.errors import PhotoError
from tests.support.pictures import RULES, encoded, picture

PICTURE = picture(0, 1)
PACKAGES = {"HEIF": "pillow-heif", "JXL": "pillow-jxl-plugin", "AVIF": "Pillow 12"}
NAMES = {"HEIF": "HEIC", "JXL": "JPEG XL", "AVIF": "AVIF"}
STARTS = {
    "HEIF": b"\0\0\0\x1cftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf",
    "JXL": b"\0\0\0\x0cJXL \r\n\x87\n",
}


def photo(kind: str) -> bytes:
    """A photo of that kind, if anything here writes it."""
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif kind == "JXL":
        pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is not installed")
    elif not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    return encoded(PICTURE, kind, quality=95)


@pytest.fixture
def without_readers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A board, where nobody installed what reads them."""
    formats._can_read.cache_clear()
    for module in ("pillow_heif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(Image, "init", lambda: None)
    monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
    yield
    formats._can_read.cache_clear()


@pytest.mark.parametrize("kind", NAMES)
def test_a_photo_of_a_newer_format_is_read_whatever_it_is_called(kind: str) -> None:
    data = photo(kind)
    assert is_photo_start(data[:64])
    read = np.asarray(decode(data, RULES)).astype(int)
    assert read.shape == PICTURE.shape
    assert np.abs(read - PICTURE).mean() < 4


@pytest.mark.parametrize("kind", NAMES)
def test_without_its_reader_a_photo_says_what_to_install(kind: str, without_readers: None) -> None:
    data = STARTS[kind] + bytes(100)
    assert is_photo_start(data[:64])
    with pytest.raises(PhotoError) as caught:
        decode(data, RULES)
    assert str(caught.value) == (
        f"a{'n' if kind == 'AVIF' else ''} {NAMES[kind]} picture: install {PACKAGES[kind]} to read "
        "it, or save it as JPEG"
    )


@pytest.mark.parametrize("kind", NAMES)
def test_a_damaged_photo_of_a_newer_format_is_one_line(kind: str) -> None:
    data = photo(kind)
    for broken in (data[: len(data) // 2], data[:40], STARTS[kind] + bytes(100)):
        with pytest.raises(PhotoError) as caught:
            decode(broken, RULES)
        assert str(caught.value).isprintable()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["HEIF", "AVIF"]), st.integers(12, 2000), st.binary(min_size=1, max_size=8))
def test_changed_bytes_give_a_picture_or_one_line(kind: str, at: int, change: bytes) -> None:
    data = bytearray(photo(kind))
    data[at % len(data) : at % len(data) + len(change)] = change
    try:
        assert decode(bytes(data), RULES).mode == "RGB"
    except PhotoError as error:
        assert str(error).isprintable()


def test_a_telephones_turned_heic_is_turned_once() -> None:
    """It says so twice, in its own boxes and in its Exif."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pytest.importorskip("pillow_heif").register_heif_opener()
    data = encoded(PICTURE, "HEIF", quality=95, exif=exif.tobytes())
    assert b"irot" in data
    read = np.asarray(decode(data, RULES)).astype(int)
    upright = np.rot90(PICTURE, -1)
    assert read.shape == upright.shape and np.abs(read - upright).mean() < 4


@pytest.mark.parametrize("text", [b"BM means Bundesministerium, it says here", b"II*\0", b"<html>"])
def test_what_is_no_photo_by_its_bytes_is_none(text: bytes) -> None:
    assert not is_photo_start(text)
