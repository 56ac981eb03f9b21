"""The formats that a photo may have, by name and by bytes, and what reads them."""

import importlib
import io
import re
from dataclasses import dataclass
from functools import cache

from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from device.errors import PhotoError

PHOTO_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "mpo", "png", "apng", "webp", "bmp", "dib"),
        ("gif", "tif", "tiff", "heic", "heif", "hif", "avif", "jxl"),
    )
    for name in names
)
"""Of files that are photos, or say why not."""
PHOTO_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""Pillow's decoders that a photo may reach, the common ones first: the last two load on need."""
JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Newer:
    """A format that Pillow reads with the help of another package, or not everywhere."""

    name: str
    start: re.Pattern[bytes]
    format: str
    """As Pillow calls it."""
    module: str
    package: str


_NEWER = (
    Newer(
        "an AVIF picture", re.compile(rb"....ftypavi[fs]", re.DOTALL), "AVIF", "PIL", "Pillow 12"
    ),
    Newer(
        "a HEIC picture",
        re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL),
        "HEIF",
        "pillow_heif",
        "pillow-heif",
    ),
    Newer(
        "a JPEG XL picture",
        re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "),
        "JXL",
        "pillow_jxl",
        "pillow-jxl-plugin",
    ),
)
_FOREIGN = (
    ("film", re.compile(rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL)),
    ("web page", re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)),
)
"""What photos that were renamed, or not really downloaded, turn out to be."""
_STARTS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL
)
"""Not TIFF's: cameras' raw pictures, measurements and maps begin like it."""


def is_photo_start(data: bytes) -> bool:
    """Whether a file that begins so (64 bytes do) is a photo, whatever its name."""
    return bool(_STARTS.match(data)) or any(kind.start.match(data) for kind in _NEWER)


def opened(data: bytes) -> Image.Image:
    """The picture in the bytes of a photo, not decoded yet.

    Raises:
        PhotoError: if it is of a format that nothing installed here reads.
        Exception: whatever Pillow raises on bytes that are no picture, or a damaged one.
    """
    if data.startswith(JPEG):
        # Past `Image.open`, whose guard against bombs does not know how small it will become.
        return JpegImageFile(io.BytesIO(data))
    for kind in _NEWER:
        if kind.start.match(data):
            return _opened_by(kind, data)
    return Image.open(io.BytesIO(data), formats=PHOTO_FORMATS)


def _opened_by(kind: Newer, data: bytes) -> Image.Image:
    if not _can_read(kind):
        raise PhotoError(f"{kind.name}: install {kind.package} to read it, or save it as JPEG")
    try:
        return Image.open(io.BytesIO(data), formats=[kind.format])
    except UnidentifiedImageError as error:
        raise PhotoError(f"damaged picture: {kind.name} that is not whole") from error


@cache
def _can_read(kind: Newer) -> bool:
    try:
        reader = importlib.import_module(kind.module)
    except ImportError:
        return False
    if kind.format == "HEIF":
        reader.register_heif_opener()
    Image.init()
    return kind.format in Image.OPEN


def foreign(data: bytes) -> str:
    """What to say of bytes that are no picture for us; by name, whatever the file's name says."""
    for name, start in _FOREIGN:
        if start.match(data):
            return f"a {name}, whatever it is called: save it as JPEG"
    return "not a picture of a known format (JPEG, PNG, WebP, BMP, GIF, TIFF, HEIC, AVIF, JPEG XL)"
