"""Files that are no whole photo: each is a `PhotoError` of one short line, nothing else."""

import faulthandler
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from device.camera.source import open_source
from device.contract import photos
from device.contract.photos import decode, load_photo
from device.contract.preprocess import Preprocessing, prepare
from device.errors import PhotoError
from device.settings.sections import CameraConfig
from tests.support.pictures import RULES, encoded, picture

LONGEST_MESSAGE = 120
DAMAGED_PER_KIND = 25
HANG_S = 120


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has one row of data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(bytes(3 * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def bmp_header(width: int, height: int) -> bytes:
    body = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 300, 0, 0, 54) + body + bytes(300)


def gif_header(width: int, height: int) -> bytes:
    whole = encoded(Image.new("P", (8, 8)), "GIF")
    return whole[:6] + struct.pack("<HH", width, height) + whole[10:]


def kinds() -> dict[str, bytes]:
    """A whole picture in each format and variant that may be met."""
    image = Image.fromarray(picture(0, 0))
    other = image.rotate(10)
    tags = Image.Exif()
    tags[0x0112], tags[0x010F], tags[0x011A] = 6, "maker", 72.0
    several = {"save_all": True, "append_images": [other]}
    grey16 = Image.fromarray(np.arange(120 * 100, dtype=np.uint16).reshape(100, 120) * 5)
    return {
        "jpeg": encoded(image, "JPEG", exif=tags.tobytes()),
        "jpeg-progressive": encoded(image, "JPEG", progressive=True),
        "jpeg-cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "mpo": encoded(image, "MPO", **several),
        "png": encoded(image, "PNG", exif=tags.tobytes()),
        "png-palette": encoded(image.convert("P"), "PNG", transparency=3),
        "png-16": encoded(grey16, "PNG"),
        "png-animated": encoded(image, "PNG", **several),
        "webp": encoded(image, "WEBP", exif=tags.tobytes()),
        "webp-lossless": encoded(image.convert("RGBA"), "WEBP", lossless=True),
        "webp-animated": encoded(image, "WEBP", **several),
        "tiff": encoded(image, "TIFF", exif=tags),
        "tiff-deflate": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-jpeg": encoded(image, "TIFF", compression="jpeg"),
        "gif": encoded(image.convert("P"), "GIF", save_all=True, append_images=[other]),
        "bmp": encoded(image, "BMP"),
        "bmp-palette": encoded(image.convert("P"), "BMP"),
    }


KINDS = kinds()
CUT_AT = {"gif": 900, "mpo": 900}
"""Inside the first picture, where half of the file would leave it whole."""


def problem(data: bytes) -> str:
    """The message of the PhotoError that decoding raises; it must be one."""
    with pytest.raises(PhotoError) as caught:
        decode(data, RULES)
    message = str(caught.value)
    assert message == message.strip() and len(message.splitlines()) == 1, message
    assert len(message) <= LONGEST_MESSAGE and not message.endswith(":"), message
    return message


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """End the whole run, with a traceback, should a decoder not come back."""
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def test_a_zero_byte_file_is_refused_with_one_line() -> None:
    assert "empty" in problem(b"")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_whole_files_of_these_tests_are_fine(kind: str) -> None:
    assert prepare(decode(KINDS[kind], RULES), RULES).shape == RULES.shape


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_truncated_photo_is_refused_with_one_line(kind: str) -> None:
    data = KINDS[kind]
    for cut in (CUT_AT.get(kind, len(data) // 2), 20, 3, 1):
        problem(data[:cut])


@pytest.mark.parametrize(
    "data",
    [b"these are no pixels\n" * 50, b"\0" * 5000, b"<svg/>", b"%PDF-1.7\n", b"P6 1 1 255\n\1\2\3"],
    ids=["text", "zeros", "svg", "pdf", "ppm"],
)
def test_what_is_no_known_format_is_refused_by_naming_the_known_ones(data: bytes) -> None:
    assert "JPEG" in problem(data)


@pytest.mark.parametrize("header", [png_header, bmp_header, gif_header])
@pytest.mark.parametrize(("width", "height"), [(65_000, 65_000), (10_000, 10_000)])
def test_a_gigapixel_header_is_refused_before_memory_is_taken(
    header: Callable[[int, int], bytes], width: int, height: int
) -> None:
    assert "pixels" in problem(header(width, height))


def test_a_photo_below_the_pixel_limit_is_not_refused_for_its_size() -> None:
    image = Image.new("1", (9000, 9000))
    assert prepare(decode(encoded(image), RULES), RULES).shape == RULES.shape


@pytest.mark.parametrize(("width", "height"), [(12_000, 9000), (16_320, 12_240), (65_500, 1400)])
def test_a_jpeg_above_the_limit_is_read_at_its_decoder_s_scale(width: int, height: int) -> None:
    """Telephones make pictures of 108 and 200 megapixels, and panoramas."""
    grey = np.linspace(0, 255, width, dtype=np.uint8)[np.newaxis].repeat(height, axis=0)
    data = encoded(Image.fromarray(grey), "JPEG")
    image = decode(data, RULES)
    assert min(image.size) >= RULES.jpeg_decode_scale * RULES.width_px
    pixels = np.asarray(image).astype(int)
    assert abs(pixels[:, 0].mean()) < 4 and abs(pixels[:, -1].mean() - 255) < 4
    assert prepare(image, RULES).shape == RULES.shape


@pytest.mark.parametrize("kind", [kind for kind in sorted(KINDS) if kind[:3] in ("jpe", "mpo")])
def test_a_jpeg_has_the_same_pixels_below_and_above_the_limit(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that Pillow's own `draft` gives: the decoder's scale, and nothing of ours."""
    small = Preprocessing(height_px=16, width_px=16)
    below = np.asarray(decode(KINDS[kind], small))
    opened = Image.open(io.BytesIO(KINDS[kind]))
    width, height = opened.size
    opened.draft(None, (32, 32))
    same = ImageOps.exif_transpose(opened).convert("RGB")
    np.testing.assert_array_equal(below, np.asarray(same))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", width * height // 4)
    monkeypatch.setattr(photos, "MAX_PHOTO_PIXELS", width * height // 4 + 1)
    above = decode(KINDS[kind], small)
    np.testing.assert_array_equal(below, np.asarray(above))


def test_what_no_decoder_s_scale_makes_small_enough_is_refused() -> None:
    huge = Preprocessing(height_px=4096, width_px=4096)
    grey = encoded(Image.new("L", (12_000, 9000)), "JPEG")
    with pytest.raises(PhotoError, match="12000x9000 pixels are more than 89,478,485"):
        decode(grey, huge)
    assert "as JPEG" in problem(encoded(Image.new("1", (12_000, 9000))))
    start = grey.index(b"\xff\xc0")
    bomb = grey[: start + 5] + struct.pack(">HH", 65_000, 65_000) + grey[start + 9 :]
    assert "65000x65000 pixels" in problem(bomb)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x24ftypmif1\0\0\0\0heic", "HEIC"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "film"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "film"),
        (b"\n<!DOCTYPE html><html>", "web page"),
    ],
)
def test_a_photo_that_was_renamed_is_called_by_what_it_is(start: bytes, name: str) -> None:
    assert name in problem(start + bytes(500))


def test_floating_point_pixels_are_refused() -> None:
    assert "floating-point" in problem(encoded(Image.new("F", (8, 8)), "TIFF"))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.filterwarnings("error")
def test_random_damage_is_a_photo_error_or_a_picture_and_nothing_else(kind: str) -> None:
    rng = np.random.default_rng(sorted(KINDS).index(kind))
    refused = 0
    for _ in range(DAMAGED_PER_KIND):
        data = damaged(KINDS[kind], rng)
        try:
            assert prepare(decode(data, RULES), RULES).shape == RULES.shape
        except PhotoError:
            problem(data)
            refused += 1
    assert refused, "the damage was too light to test anything"


@pytest.mark.parametrize(
    "error",
    [
        struct.error("unpack"),
        ValueError(),
        IndexError("x\ny"),
        EOFError(),
        OverflowError(),
        KeyError(1),
    ],
)
def test_whatever_a_decoder_raises_is_a_photo_error_of_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Image.Image) -> None:
        raise error

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    problem(KINDS["png"])


def test_too_little_memory_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    assert "memory" in problem(KINDS["png"])


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with its end lost, or some bytes changed, removed or added."""
    broken, head = bytearray(data), min(len(data), 300)
    match rng.integers(5):
        case 0:
            del broken[rng.integers(1, len(broken)) :]
        case 1:
            for at in rng.integers(0, head, rng.integers(1, 6)):
                broken[at] = rng.integers(256)
        case 2:
            for at in rng.integers(0, len(broken), rng.integers(1, 40)):
                broken[at] = rng.integers(256)
        case 3:
            at = rng.integers(len(broken))
            del broken[at : at + rng.integers(1, 64)]
        case _:
            at = rng.integers(head)
            broken[at:at] = rng.bytes(int(rng.integers(1, 16)))
    return bytes(broken)


def test_of_a_folder_the_service_takes_no_photo_larger_than_its_memory(tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(KINDS["png"])
    (tmp_path / "scan.png").write_bytes(encoded(Image.new("1", (6000, 4000))))
    (tmp_path / "photo.jpg").write_bytes(encoded(Image.new("L", (6000, 4000)), "JPEG"))
    service = open_source(str(tmp_path), RULES, CameraConfig()).frames()
    errors = {Path(frame.name).name: frame.error for frame in service}
    assert "6000x4000 pixels are more than" in errors.pop("scan.png")
    assert set(errors.values()) == {""} and len(errors) == 2
    assert not any(frame.error for frame in open_source(str(tmp_path), RULES).frames())


# --- files ------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="No such file"):
        load_photo(tmp_path / "absent.jpg", RULES)
    with pytest.raises(PhotoError, match="directory"):
        load_photo(tmp_path, RULES)


def test_a_huge_file_is_refused_without_being_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MAX_PHOTO_BYTES", 2**20)
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(2**20)
        assert len(photos.read_photo(huge)) == 2**20
        file.truncate(2**40)
    with pytest.raises(PhotoError, match="larger than 1 MiB"):
        load_photo(huge, RULES)


def test_a_real_photo_file_is_prepared(tmp_path: Path) -> None:
    path = tmp_path / "no_suffix_needed"
    path.write_bytes(KINDS["jpeg"])
    assert load_photo(path, RULES).shape == RULES.shape
