"""Colour profiles as files embed them: a wide gamut (Display P3, of telephones), grey, printing."""

import io
import itertools
import struct
from collections.abc import Mapping

from PIL import Image, ImageCms

_D50 = (0.9642, 1.0, 0.8249)
_PRIMARIES = {
    "r": (0.51512, 0.2412, -0.00105),
    "g": (0.29198, 0.69225, 0.04189),
    "b": (0.1571, 0.06657, 0.78407),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_TO_D50 = (1.04788, 0.02292, -0.0502, 0.02959, 0.99048, -0.01706, -0.00923, 0.01508, 0.75168)


def _numbers(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(data), 28) + data


def wide_gamut_profile() -> bytes:
    """An ICC profile of a screen that is wider than sRGB."""
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _numbers(*_SRGB_CURVE)
    tags = {
        b"desc": _text("Wide gamut, for tests"),
        b"cprt": _text("none"),
        b"wtpt": b"XYZ \0\0\0\0" + _numbers(*_D50),
        b"chad": b"sf32\0\0\0\0" + _numbers(*_TO_D50),
    }
    for name, primary in _PRIMARIES.items():
        tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + _numbers(*primary)
        tags[f"{name}TRC".encode()] = curve
    return _profile(b"mntrRGB XYZ ", tags)


def grey_profile() -> bytes:
    """An ICC profile of grey pictures whose bytes are proportional to light."""
    linear = b"curv\0\0\0\0" + struct.pack(">I", 0)
    tags = {b"desc": _text("Linear grey"), b"cprt": _text("none"), b"kTRC": linear}
    return _profile(b"mntrGRAYXYZ ", {**tags, b"wtpt": b"XYZ \0\0\0\0" + _numbers(*_D50)})


def printing_profile() -> bytes:
    """An ICC profile of a printer whose every ink is a light grey, the black one black."""
    even = bytes(range(256))
    lightness = [
        0 if black else 255 - 50 * sum(inks) for *inks, black in itertools.product((0, 1), repeat=4)
    ]
    nodes = b"".join(bytes((light, 128, 128)) for light in lightness)
    same = _numbers(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + same + even * 4 + nodes + even * 3
    tags = {b"desc": _text("Printer"), b"cprt": _text("none"), b"A2B0": table}
    return _profile(b"prtrCMYKLab ", {**tags, b"wtpt": b"XYZ \0\0\0\0" + _numbers(*_D50)})


def _profile(kind: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """The file of a profile: class, colours and connection space, then its tags."""
    start, table, body = 132 + 12 * len(tags), b"", b""
    for tag, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += struct.pack(">4sII", tag, start + len(body), len(padded))
        body += padded
    date = struct.pack(">6H", 2020, 1, 1, 0, 0, 0)
    size = struct.pack(">I4xI", start + len(body), 0x02400000 if b"Lab" in kind else 0x04000000)
    head = (size + kind + date + b"acsp" + b"\0" * 28 + _numbers(*_D50)).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags)) + table + body


def stored_wide(picture: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    """The file of an sRGB picture of the same scene in the wide gamut, with its profile."""
    profile = wide_gamut_profile()
    embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    wide = ImageCms.profileToProfile(picture, srgb, embedded, ImageCms.Intent.RELATIVE_COLORIMETRIC)
    assert wide is not None
    data = io.BytesIO()
    wide.save(data, kind, icc_profile=profile, **options)
    return data.getvalue()
