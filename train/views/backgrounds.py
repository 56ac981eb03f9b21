"""The background of a place: the median of its frames.

A camera that stands still always sees the same background, and what visits is somewhere else each
time, if the frames come from several events.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Pixels

Picture = npt.NDArray[np.float32]

SMALL_PX = (96, 72)
"""Width and height of the small pictures by which the light of frames is told."""
STRIP_PX = 32


def small(image: Image.Image) -> Picture:
    """An RGB picture as float32 (72, 96, 3), 0 to 255, whatever its size and shape."""
    shrunk = image.resize(SMALL_PX, Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(shrunk, np.float32)


def light(picture: Picture, background: Picture) -> float:
    """How many times brighter a picture is than a background, over most of it; above 0."""
    return float(np.median((picture.mean(axis=-1) + 1) / (background.mean(axis=-1) + 1)))


def lights(pictures: Sequence[Picture]) -> npt.NDArray[np.float32]:
    """How bright each small picture of a place is, as a share of their median; float32 (n,)."""
    stack = np.stack(pictures)
    means = stack.mean(axis=(1, 2, 3)) + 1
    common = np.median(stack * (np.median(means) / means)[:, None, None, None], axis=0)
    return np.array([light(picture, common) for picture in pictures], np.float32)


def background(frames: Sequence[Pixels], of_light: npt.NDArray[np.float32]) -> Pixels:
    """The median of a place's frames after their light is divided out.

    Args:
        frames: uint8 (h, w, 3), all of one size.
        of_light: how bright each is, from `lights`.

    Returns:
        uint8 (h, w, 3). It is made in strips: as floats, all frames would need four times the
        memory.
    """
    made = np.empty_like(frames[0])
    divisor = of_light[:, None, None, None]
    for top in range(0, len(made), STRIP_PX):
        strip = np.stack([frame[top : top + STRIP_PX] for frame in frames])
        middle = np.median(strip / divisor, axis=0)
        made[top : top + STRIP_PX] = middle.clip(0, 255).round().astype(np.uint8)
    return made


def smoothed(values: Picture, reach_px: int) -> Picture:
    """The mean of each value and its neighbours up to `reach_px` away; (h, w), edges repeated."""
    width = 2 * reach_px + 1
    for axis in (0, 1):
        padding = [(reach_px, reach_px) if axis == a else (0, 0) for a in (0, 1)]
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(values, padding, mode="edge"), width, axis=axis
        )
        values = windows.mean(axis=-1, dtype=np.float32)
    return values
