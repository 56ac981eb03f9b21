"""The formats that a photo or film may have, by file name and by bytes, and what reads them."""

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
"""Files with these suffixes are photos, or give an error that says why not."""
FILM_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("mp4", "m4v", "mov", "qt", "mkv", "webm", "avi", "divx", "3gp", "3g2", "mjpeg", "mjpg"),
        ("mpg", "mpeg", "vob", "mts", "m2ts", "ts", "wmv", "asf", "flv", "ogv", "mxf", "dv"),
        ("h264", "264", "h265", "265", "hevc"),
    )
    for name in names
)
"""Files with these suffixes are films, or give an error that says why not."""
PICTURES_IN_A_ROW = frozenset({".mjpeg", ".mjpg"})
"""Films that begin like a photo."""
PHOTO_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
"""The Pillow decoders that photos may use, common ones first: the last two load on demand."""
JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Newer:
    """A format that Pillow reads only with another package, or not on every machine."""

    name: str
    start: re.Pattern[bytes]
    format: str
    """Pillow's name for it."""
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
_FILM = re.compile(
    rb"....ftyp(?!M4[ABP])|....(moov|mdat|wide)|\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01"
    rb"|\0\0\x01\xba|\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    re.DOTALL,
)
"""MP4 and QuickTime (not sound alone), Matroska and WebM, AVI, Flash, MPEG, Windows Media."""
_FOREIGN = (
    ("film", _FILM),
    ("web page", re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)),
)
"""What files turn out to be that were renamed to photos, or not really downloaded."""
_STARTS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL
)
"""TIFF is not among them: cameras' raw pictures, measurements and maps begin the same way."""


def is_photo_start(data: bytes) -> bool:
    """Whether a file that begins with this (64 bytes suffice) is a photo, whatever its name."""
    return bool(_STARTS.match(data)) or any(kind.start.match(data) for kind in _NEWER)


def is_film_start(data: bytes) -> bool:
    """Whether a file that begins with this (64 bytes suffice) is a film, whatever its name."""
    return not is_photo_start(data) and bool(_FILM.match(data))


def opened(data: bytes) -> Image.Image:
    """The picture in the bytes of a photo, not decoded yet.

    Raises:
        PhotoError: if nothing installed here reads its format.
        Exception: whatever Pillow raises for bytes that are not a picture, or are damaged.
    """
    if data.startswith(JPEG):
        # Not through `Image.open`, whose guard against decompression bombs does not know that this
        # JPEG will be decoded at a smaller size.
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
    """The error message for bytes that are not a readable picture; says what they really are."""
    for name, start in _FOREIGN:
        if start.match(data):
            advice = "give it a film's suffix (.mp4, .mkv), or " if name == "film" else ""
            return f"a {name}, whatever its name says: {advice}save it as JPEG"
    return "not a picture of a known format (JPEG, PNG, WebP, BMP, GIF, TIFF, HEIC, AVIF, JPEG XL)"
