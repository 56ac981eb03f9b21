"""Where a photo that a device saved comes from, written into the photo itself.

The record is in the JPEG's Exif, so it stays with the file when people copy, rename and sort it.
Training recognises such photos by it. The model's own uncertainty chose them, so training may
learn from them, but they must never be used to evaluate a model.
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

REVIEW = "_review"
"""Folder of the photos that nobody has sorted yet, with one subfolder per predicted class."""


@dataclass(frozen=True)
class Provenance:
    """How a photo came to be saved."""

    reason: str
    """One of: labelled (by a person), changed, unknown, uncertain."""
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
    texts = {f.name: str(record.get(f.name, "")) for f in fields(Provenance) if f.name != "top"}
    top = {str(name): float(score) for name, score in record.get("top", {}).items()}
    return Provenance(top=top, **texts)
