"""Frames of cameras that stand still: a ground for each place, and a disc that visits."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Pixels

SIZE_PX = (192, 144)
RADIUS_PX = 24
RED = (230, 20, 20)


@dataclass(frozen=True)
class Frame:
    """A frame, and where its visitor is."""

    pixels: Pixels
    disc: npt.NDArray[np.bool_]

    @property
    def image(self) -> Image.Image:
        """The frame as a picture."""
        return Image.fromarray(self.pixels)


def ground(place: int, size_px: tuple[int, int] = SIZE_PX) -> Pixels:
    """What the camera at a place always sees: green and blue patches, no red."""
    rng = np.random.default_rng((1, place))
    patches = rng.integers(40, 160, (9, 12, 3), dtype=np.uint8)
    patches[..., 0] = 0
    return np.asarray(Image.fromarray(patches).resize(size_px, Image.Resampling.BICUBIC))


def frame(
    place: int,
    number: int,
    *,
    light: float = 1.0,
    visited: bool = True,
    size_px: tuple[int, int] = SIZE_PX,
) -> Frame:
    """A frame with some noise, and a red disc anywhere; each number is another one."""
    rng = np.random.default_rng((place, number))
    width, height = size_px
    y, x = np.mgrid[0:height, 0:width]
    left, upper = (rng.uniform(RADIUS_PX, side - RADIUS_PX) for side in size_px)
    disc = ((x - left) ** 2 + (y - upper) ** 2 < RADIUS_PX**2) & visited
    values = np.where(disc[..., None], RED, ground(place, size_px)) * light
    noisy = values + rng.normal(0, 3, (height, width, 3))
    return Frame(noisy.clip(0, 255).astype(np.uint8), disc)
