"""Where a photo that a device saved comes from, written into the photo itself.

The record is in the JPEG's Exif, so it stays with the file when people copy, rename and sort it.
Training recognises such photos by it. Most of them were chosen by the model's own uncertainty:
training may learn from them, but they say nothing about how often the model is right. Those with
the reason `RANDOM` were drawn whatever the answer was, so these alone can say it.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from PIL import ExifTags, Image

from device.contract.arrays import Box
from device.contract.look.rules import Seen
from device.contract.names import look_alike_key
from device.quiet import quiet_pillow

VERSION = 2
"""Photos of version 1 are what the model saw. Since then they are whole frames."""
_DESCRIPTION = 0x010E
"""Exif's ImageDescription: the record, as ASCII JSON."""
_DEVICE, _SOFTWARE, _TIME = 0x0110, 0x0131, 0x0132
_MARK = "fieldguide"

LABELLED = "labelled"
"""The reason of photos that a person labelled at the device."""
WORLD = "world"
"""The reason of photos of what was unlike what the camera usually sees, while that was so often."""
RANDOM = "random"
"""The reason of photos of moments drawn at random; never mixed with others in one figure."""
REVIEW = "_review"
"""Folder of the photos that nobody has sorted yet, with one subfolder per predicted class."""
OTHER = "_other"
"""Folder of sorted photos that show none of the classes; nothing trains on them."""


def is_other(folder: str) -> bool:
    """Whether a folder of this name holds photos that show none of the classes.

    Some file systems change how names are spelled, so `_Other` does, too.
    """
    return look_alike_key(folder) == OTHER


@dataclass(frozen=True)
class Provenance:
    """How a photo came to be saved."""

    reason: str
    """One of: `LABELLED`, `RANDOM`, `WORLD`, changed, unknown, uncertain."""
    label: str
    """What a person said it is, or what the model took it for."""
    top: Mapping[str, float]
    """The model's best scores for this very picture, 0..1."""
    time: str
    """UTC, ISO 8601, by the device's clock."""
    device: str
    """Host name; one that many boards have, with digits of its own behind it."""
    model_sha256: str
    source: str
    """Which frame of which camera."""
    probability: float | None = None
    """Of a random photo: that a second of running time was drawn, 0..1; its weight is 1 divided by
    it. None for other photos, and if the record has no number in this range."""
    box: Box | None = None
    """What of the photo the model saw: left, upper, right, lower in its pixels. None if it was not
    classified because nothing was there, in photos that are what the model saw, and if `altered`.
    """
    seen: str | None = None
    """What a look at the frame found, a value of `device.contract.look.rules.Seen`; None if the
    camera was not looked at, in older photos, and if `altered`."""
    changed_permille: int | None = None
    """How much of the frame differed from the background, 0 to 1000; None likewise."""
    size_px: tuple[int, int] | None = None
    """Width and height of the photo as it was saved; None in older photos."""
    altered: bool = field(default=False, metadata={"kept": False})
    """Whether somebody has turned, cut or resized the photo since, so that what the model saw of it
    is not known any more; not in the record."""

    @property
    def is_random(self) -> bool:
        """Whether the moment was drawn at random, whatever the model said."""
        return self.reason == RANDOM

    def exif(self, software: str) -> bytes:
        """The record as Exif, for Pillow's `save`."""
        exif = Image.Exif()
        kept = [each.name for each in fields(self) if each.metadata.get("kept", True)]
        record = {_MARK: VERSION, **{name: getattr(self, name) for name in kept}}
        exif[_DESCRIPTION] = json.dumps(record, ensure_ascii=True)
        exif[_DEVICE] = self.device.encode("ascii", "replace").decode("ascii")
        exif[_SOFTWARE] = software
        exif[_TIME] = self.time[:19].replace("-", ":").replace("T", " ")
        return exif.tobytes()


def read(data: bytes) -> Provenance | None:
    """The record in a photo's bytes; None for a photo that was not saved by a device."""
    # A quick test first: most photos have no record.
    if _MARK.encode() not in data[: 2**18]:
        return None
    try:
        with quiet_pillow():
            image = Image.open(io.BytesIO(data), formats=("JPEG",))
            exif = image.getexif()
            record = _checked(json.loads(exif[_DESCRIPTION]))
        turned = exif.get(ExifTags.Base.Orientation, 1) != 1
        return record and _of_this_picture(record, (0, 0) if turned else image.size)
    except Exception:
        # Damaged or foreign Exif raises all kinds of errors, and is not our record.
        return None


def _checked(record: Mapping[str, Any]) -> Provenance | None:
    if not isinstance(record.get(_MARK), int):
        return None
    seen = record.get("seen")
    texts: dict[str, Any] = {name: str(record.get(name, "")) for name in _TEXTS}
    return Provenance(
        **texts,
        top={str(name): float(score) for name, score in record.get("top", {}).items()},
        probability=_share(record.get("probability")),
        box=_box(record.get("box")),
        seen=seen if isinstance(seen, str) and seen in _SEEN else None,
        changed_permille=_permille(record.get("changed_permille")),
        size_px=_size(record.get("size_px")),
    )


def _of_this_picture(record: Provenance, size_px: tuple[int, int]) -> Provenance:
    """The record without what was seen, if a picture of this size is not the one that was saved.

    The box of a smaller picture is not computed: it may have been cut to the same shape.
    """
    box = record.box
    if box is None:
        return record
    if record.size_px in (None, size_px) and box[2] <= size_px[0] and box[3] <= size_px[1]:
        return record
    # Whoever turned the photo, cut it or made it smaller left the record in it.
    return replace(record, box=None, seen=None, altered=True)


_SEEN = frozenset(seen.value for seen in Seen)
_TEXTS = ("reason", "label", "time", "device", "model_sha256", "source")


def _share(value: Any) -> float | None:
    """A number from 0 to 1; None for anything else, so that the rest of the record still counts."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None


def _permille(value: Any) -> int | None:
    return value if _is_count(value) and value <= 1000 else None


def _box(value: Any) -> Box | None:
    """Four whole numbers around something; None for anything else."""
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_count, value)):
        return None
    left, upper, right, lower = value
    return (left, upper, right, lower) if left < right and upper < lower else None


def _size(value: Any) -> tuple[int, int] | None:
    is_size = isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))
    return (value[0], value[1]) if is_size else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
