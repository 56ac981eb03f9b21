"""A frame as a photo for retraining, with its origin, and what of it the model saw, in Exif.

Where the settings limit the camera to a region of its frames, that region is all that is saved.
"""

import hashlib
import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from PIL import Image

from device import __version__
from device.contract.arrays import Pixels
from device.contract.provenance import Provenance
from device.settings.region import WHOLE, Region, region_pixels
from device.telemetry.machine import board_name
from device.telemetry.observation import Observation

THUMBNAIL_PX = 16
JPEG_START, APP1 = b"\xff\xd8", b"\xff\xe1"
"""Exif stands in a segment of its own, the first after the start."""


def classified_part(observation: Observation) -> Pixels:
    """The part of the picture that the model saw, or would have seen."""
    assert observation.picture is not None
    left, upper, right, lower = observation.crop_box
    return observation.picture[upper:lower, left:right]


def thumbnail(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Grey values (16, 16) of a picture, 0..255."""
    image = Image.fromarray(pixels).convert("L")
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    return np.asarray(image.resize(size, Image.Resampling.BOX), np.float32)


def within(observation: Observation, region: Region) -> Observation:
    """An observation whose frame is only a region of the real one, with its box in pixels of it."""
    assert observation.picture is not None
    height, width = observation.picture.shape[:2]
    left, upper, right, lower = region_pixels(region, width, height)
    box = observation.crop_box
    inside = (
        min(max(box[0], left), right - 1) - left,
        min(max(box[1], upper), lower - 1) - upper,
        max(min(box[2], right), left + 1) - left,
        max(min(box[3], lower), upper + 1) - upper,
    )
    return replace(
        observation, picture=observation.picture[upper:lower, left:right], crop_box=inside
    )


@dataclass(frozen=True)
class Shot:
    """A frame as it will be saved: it may have to wait, and takes little memory meanwhile."""

    observation: Observation
    """Without its picture; its box is in pixels of the JPEG."""
    size_px: tuple[int, int]
    """Width and height of the JPEG."""
    jpeg: bytes
    small: npt.NDArray[np.float32]
    """As `thumbnail`, of the part that the model saw."""

    def photo(self, reason: str, label: str, probability: float | None = None) -> bytes:
        """The JPEG; its Exif says why it was saved, and what of it the model saw.

        Args:
            reason: as in `Provenance`.
            label: what a person said it is, or what the model took it for.
            probability: as in `Provenance`.
        """
        record = replace(
            _provenance(self.observation, reason, label, probability), size_px=self.size_px
        )
        exif = record.exif(f"Fieldguide {__version__}")
        start = len(JPEG_START)
        length = (len(exif) + 2).to_bytes(2, "big")
        return self.jpeg[:start] + APP1 + length + exif + self.jpeg[start:]


def shot(observation: Observation, quality: int, region: Region = WHOLE) -> Shot:
    """Encode an observation's frame.

    Args:
        observation: with its picture.
        quality: of the JPEG, 1..95.
        region: what of the frame is saved.
    """
    shown = within(observation, region)
    assert shown.picture is not None
    data = io.BytesIO()
    Image.fromarray(shown.picture).save(data, "JPEG", quality=quality)
    # Features are small, and tell what is unlike the photos that were saved before.
    bare = replace(shown.without_picture(), features=shown.features)
    height, width = shown.picture.shape[:2]
    return Shot(bare, (width, height), data.getvalue(), thumbnail(classified_part(shown)))


def _provenance(
    observation: Observation, reason: str, label: str, probability: float | None
) -> Provenance:
    # All zeros: it was not classified.
    was_classified = bool(observation.scores.any())
    order = np.argsort(-observation.scores, kind="stable")[:5] if was_classified else ()
    names, looked_at = observation.model.labels, observation.seen is not None
    return Provenance(
        reason=reason,
        label=label,
        top={names[i]: round(float(observation.scores[i]), 4) for i in order},
        time=datetime.fromtimestamp(observation.unix_s, UTC).isoformat(timespec="milliseconds"),
        device=board_name(),
        model_sha256=observation.model.sha256,
        source=observation.source,
        probability=probability,
        box=observation.crop_box if was_classified else None,
        seen=observation.seen.value if observation.seen else None,
        changed_permille=observation.changed_permille if looked_at else None,
    )


def file_name(observation: Observation, data: bytes, end: str = ".jpg") -> str:
    """A name that sorts by time; the digest keeps names unique over devices and clock changes."""
    return f"{stamp(observation.unix_s)}-{hashlib.sha256(data).hexdigest()[:8]}{end}"


def stamp(unix_s: float) -> str:
    """A time as used in file names, in UTC with milliseconds."""
    moment = datetime.fromtimestamp(unix_s, UTC)
    return moment.strftime("%Y%m%dT%H%M%S") + f".{moment.microsecond // 1000:03}Z"
