"""A photo of the data folder, as the split sees it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Box
from device.contract.moments import Moment

THUMBNAIL_PX = 16


@dataclass(frozen=True)
class Photo:
    """One file of the data folder, with what the split needs to know of it."""

    path: str
    """Relative to the data folder, with forward slashes."""
    label: str
    sha256: str
    thumbnail: npt.NDArray[np.float32] | None = None
    """Zero mean, unit length, from `thumbnail`; None if the file is not a usable photo."""
    detail: npt.NDArray[np.uint8] | None = None
    """From `copies.detail`; edited copies are searched for if all usable photos have it."""
    problem: str = ""
    """Why it cannot be used; empty for a good photo."""
    collected: bool = False
    """Whether a device saved it: such photos are trained on, never used to judge a model."""
    moment: Moment = field(default_factory=Moment)
    """What it says of its camera and time."""
    film: str = ""
    """Path of the film that it is a frame of; empty if it is none."""
    box: Box | None = None
    """Where something is, in pixels of `decode_frame`'s picture; None if only other photos can
    tell."""


def thumbnail(image: Image.Image) -> npt.NDArray[np.float32]:
    """A tiny version of a picture, for comparison.

    Returns:
        float32 (768,): each colour channel without its mean, all three together of length 1.
        The dot product of two thumbnails is their correlation. Recompression, resizing and
        small changes of light keep it near 1. A flat colour gives zeros, similar to nothing.
    """
    # Pillow's reduce runs first: a triangle filter on 12 megapixels would take 20 times as long.
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    values = np.asarray(small, np.float32)
    # Each channel's mean is removed: different yellow flowers share a colour, not the picture.
    values = (values - values.mean(axis=(0, 1))).ravel()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 else np.zeros_like(values)


def thumbnails(photos: Sequence[Photo]) -> npt.NDArray[np.float32]:
    """Those of usable photos, as float32 (n, 768)."""
    return np.stack([photo.thumbnail for photo in photos if photo.thumbnail is not None])


def details(photos: Sequence[Photo]) -> npt.NDArray[np.uint8] | None:
    """Those of usable photos, as uint8 (n, 32, 32, 3); None if one has none."""
    found = [photo.detail for photo in photos if photo.detail is not None]
    return np.stack(found) if len(found) == len(photos) else None
