"""Where a photo that a device saved comes from, written into the photo itself.

The record is in the JPEG's Exif, so it stays with the file when people copy, rename and sort it.
Training recognises such photos by it. Most of them were chosen by the model's own uncertainty:
training may learn from them, but they say nothing about how often the model is right. Those with
the reason `RANDOM` were drawn whatever the answer was, so these alone can say it.
"""

import io
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from PIL import Image

VERSION = 1
_DESCRIPTION = 0x010E
"""Exif's ImageDescription: the record, as ASCII JSON."""
_DEVICE, _SOFTWARE, _TIME = 0x0110, 0x0131, 0x0132
_MARK = "fieldguide"

LABELLED = "labelled"
"""The reason of photos that a person labelled at the device."""
RANDOM = "random"
"""The reason of photos of moments drawn at random; never mixed with others in one figure."""
REVIEW = "_review"
"""Folder of the photos that nobody has sorted yet, with one subfolder per predicted class."""
OTHER = "_other"
"""Folder of sorted photos that show none of the classes; nothing trains on them."""


@dataclass(frozen=True)
class Provenance:
    """How a photo came to be saved."""

    reason: str
    """One of: `LABELLED`, `RANDOM`, changed, unknown, uncertain."""
    label: str
    """What a person said it is, or what the model took it for."""
    top: Mapping[str, float]
    """The model's best scores for this very picture, 0..1."""
    time: str
    """UTC, ISO 8601, by the device's clock."""
    device: str
    """Host name."""
    model_sha256: str
    source: str
    """Which frame of which camera."""
    probability: float | None = None
    """Of a random photo: that a second of running time was drawn, 0..1; its weight is 1 divided by
    it. None for other photos, and if the record has no number in this range."""

    @property
    def is_random(self) -> bool:
        """Whether the moment was drawn at random, whatever the model said."""
        return self.reason == RANDOM

    def exif(self, software: str) -> bytes:
        """The record as Exif, for Pillow's `save`."""
        exif = Image.Exif()
        record = {_MARK: VERSION, **asdict(self)}
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=("JPEG",))
            record = json.loads(image.getexif()[_DESCRIPTION])
        return _checked(record)
    except Exception:
        # Damaged or foreign Exif raises all kinds of errors, and is not our record.
        return None


def _checked(record: Mapping[str, Any]) -> Provenance | None:
    if not isinstance(record.get(_MARK), int):
        return None
    numbers = ("top", "probability")
    texts = {f.name: str(record.get(f.name, "")) for f in fields(Provenance)}
    texts = {name: text for name, text in texts.items() if name not in numbers}
    top = {str(name): float(score) for name, score in record.get("top", {}).items()}
    return Provenance(top=top, probability=_share(record.get("probability")), **texts)


def _share(value: Any) -> float | None:
    """A number from 0 to 1; None for anything else, so that the rest of the record still counts."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 1 else None
