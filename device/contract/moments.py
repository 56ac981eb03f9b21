"""When a photo was taken and by which camera, as far as the photo itself says.

Photos that a device of ours saved carry a record of their own. Of all others the Exif is read, by a
small parser that looks at a bounded part of it: Exif is often damaged, and may be megabytes.
"""

import calendar
import re
import struct
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime

from device.contract import provenance
from device.contract.formats import opened
from device.quiet import quiet_pillow

MAX_EXIF_BYTES = 1024 * 1024
"""JPEG allows 64 KB. Larger ones come in parts, or in other formats, and are not read."""
_MAX_ENTRIES = 512
_MAX_TEXT_BYTES = 128
_START = b"Exif\0\0"
_QUICK_BYTES = 2**18
_TEXT_TYPES = (1, 2, 7, 129)
"""Of TIFF fields: bytes, ASCII, undefined, UTF-8. Some cameras write text as bytes."""
_MAKE, _MODEL, _DETAILS = 0x010F, 0x0110, 0x8769
_DNG_SERIAL = 0xC62F
_ORIGINAL, _SUB_SECOND, _OFFSET, _SERIAL = 0x9003, 0x9291, 0x9011, 0xA431
_TEXTS = frozenset({_MAKE, _MODEL, _DNG_SERIAL, _ORIGINAL, _SUB_SECOND, _OFFSET, _SERIAL})
"""Of the three times in Exif only the original one counts: DateTime is written again by whatever
exports the photo, and DateTimeDigitized is when a print or slide was scanned."""
_TIME = re.compile(r"(\d{4})[:/-]([ \d]\d)[:/-]([ \d]\d)[ T]([ \d]\d):([ \d]\d):([ \d]\d)")
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)")
_NO_SERIAL = re.compile(r"(.)\1*|1234567\d*|none|null|unknown|n/?a|not set|undefined", re.I)
"""What cameras and programs write that have no serial number to write."""
USUAL_HOSTS = {"", "localhost", "raspberrypi", "fieldguide"}
"""Names that several boards of one house may have."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a photo says of its camera and its time; without arguments: nothing."""

    camera: str = ""
    """The device, or make, model and serial number; empty if unknown."""
    unique: bool = False
    """Whether `camera` names one camera, not a model of which there may be several."""
    own: bool = False
    """Whether a device of ours saved the photo."""
    seconds: float | None = None
    """By the camera's clock and in its own time zone, since 1970; None if unknown."""
    offset_s: int | None = None
    """How far that time zone is ahead of UTC; None if unknown."""
    problem: str = ""
    """Why its Exif is of no use; empty if it was read, or if there is none."""


def read(data: bytes) -> Moment:
    """What the bytes of a photo say; bytes that are no picture, or without Exif, say nothing."""
    own = provenance.read(data)
    if own is not None:
        unique = own.device.lower() not in USUAL_HOSTS
        return Moment(own.device, unique, own=True, seconds=_iso(own.time), offset_s=0)
    block = _exif(data)
    if not block:
        return Moment()
    if len(block) > MAX_EXIF_BYTES:
        return Moment(problem="too large to be read")
    try:
        return _moment(_texts(block))
    except (struct.error, IndexError, ValueError):
        return Moment(problem="damaged")


def _iso(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _exif(data: bytes) -> bytes:
    """The Exif of a photo, from its TIFF header on; empty if there is none."""
    if data.startswith(b"\xff\xd8") and _START not in data[:_QUICK_BYTES]:
        return b""
    try:
        with quiet_pillow():
            block = opened(data).info.get("exif", b"")
    except Exception:
        # Whatever is wrong with the picture, reading its pixels says so.
        return b""
    return block.removeprefix(_START) if isinstance(block, bytes) else b""


def _texts(block: bytes) -> dict[int, str]:
    """The texts of interest, by tag.

    Raises:
        struct.error, IndexError, ValueError: if it is damaged.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2], "")
    if not order or struct.unpack_from(order + "H", block, 2) != (42,):
        raise ValueError("no TIFF header")
    (first,) = struct.unpack_from(order + "I", block, 4)
    found, details = _folder(block, order, first, _TEXTS)
    return {**found, **_folder(block, order, details, _TEXTS)[0]} if details else found


def _folder(
    block: bytes, order: str, start: int, wanted: Set[int]
) -> tuple[dict[int, str], int | None]:
    """The wanted texts of one of its directories, and where the one with details starts."""
    (count,) = struct.unpack_from(order + "H", block, start)
    if count > _MAX_ENTRIES:
        raise ValueError("too many fields")
    texts: dict[int, str] = {}
    details = None
    for number in range(count):
        where = start + 2 + 12 * number
        tag, kind, length, value = struct.unpack_from(order + "HHII", block, where)
        if tag == _DETAILS:
            details = value
        elif tag in wanted and kind in _TEXT_TYPES:
            inside = where + 8 if length <= 4 else value
            texts[tag] = _text(block, inside, min(length, _MAX_TEXT_BYTES))
    return texts, details


def _text(block: bytes, start: int, length: int) -> str:
    if start + length > len(block):
        raise IndexError("a text lies outside")
    text = block[start : start + length].partition(b"\0")[0].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _moment(texts: Mapping[int, str]) -> Moment:
    """Raises ValueError if its time is no time."""
    make, model = texts.get(_MAKE, ""), texts.get(_MODEL, "")
    serial = texts.get(_SERIAL) or texts.get(_DNG_SERIAL, "")
    unique = bool(serial) and not _NO_SERIAL.fullmatch(serial)
    camera = model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()
    zone = _ZONE.fullmatch(texts.get(_OFFSET, ""))
    return Moment(
        camera=f"{camera} no. {serial}".strip() if unique else camera,
        unique=unique,
        seconds=_seconds(texts.get(_ORIGINAL, ""), texts.get(_SUB_SECOND, "")),
        offset_s=int(f"{zone[1]}1") * (int(zone[2]) * 3600 + int(zone[3]) * 60) if zone else None,
    )


def _seconds(time: str, fraction: str) -> float | None:
    """Seconds since 1970; None if the camera wrote blanks or zeros because it knows no time.

    Raises:
        ValueError: if it is no time.
    """
    if not time.strip(" 0:-"):
        return None
    match = _TIME.match(time)
    if not match:
        raise ValueError("no time")
    year, month, day, hour, minute, second = map(int, match.groups())
    # A leap second is the 60th; `datetime` checks the other numbers.
    moment = datetime(year, month, day, hour, minute, min(second, 59))
    return calendar.timegm(moment.timetuple()) + _share(fraction)


def _share(fraction: str) -> float:
    return float(f"0.{fraction}") if fraction.isascii() and fraction.isdigit() else 0.0
