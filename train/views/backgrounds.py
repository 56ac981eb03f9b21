"""The background of a place, and what stands before it.

A camera that stands still always sees the same background. The median of its frames shows it, if
the frames come from several events: what visits is somewhere else each time. What differs from the
background in a frame is the subject. Everything but the median itself works on small pictures, as
pure functions of NumPy arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Pixels

Picture = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SMALL_PX = (96, 72)
"""Width and height of the small pictures in which differences are looked for."""
MIN_FRAMES = 8
MIN_EVENTS = 4
"""A median of fewer frames, or of frames of fewer events, may show the subjects, too."""
SMOOTHING_PX = 2
"""A difference is averaged over this many small pixels to each side: noise and edges vanish."""
DEVIATIONS = 1.5
"""A small pixel has changed if it differs by more than the mean and this many deviations ..."""
LEAST_DIFFERENCE = 24.0
"""... and by at least this much, all three colours together (each is 0 to 255)."""
BOX_PERCENTILES = (4, 96)
"""The subject's box holds the changed pixels between these; a few may be leaves in the wind."""
MARGIN = 0.15
"""The mask may reach this share of the box's longer side over the box."""
SUBJECT_SHARES = (0.003, 0.4)
"""A subject covers a share of the picture between these: less is noise, more is light or camera."""
LEAST_FILLED = 0.35
"""The subject fills at least this share of its box; otherwise the changes are scattered."""
STRIP_PX = 32


@dataclass(frozen=True)
class Subject:
    """What stands before a background."""

    mask: Mask
    """bool (72, 96): the small pixels that belong to it, without holes."""
    box: tuple[float, float, float, float]
    """Left, upper, right, lower as shares of the picture's width and height, 0 to 1."""


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


def difference(picture: Picture, of_place: Picture) -> Picture:
    """How much a small picture differs from the small background of its place.

    Returns:
        float32 (72, 96), 0 to 765: the three colours' differences summed, light divided out,
        smoothed.
    """
    even = picture / light(picture, of_place)
    return smoothed(np.abs(even - of_place).sum(axis=-1), SMOOTHING_PX)


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


def subject(differences: Picture) -> Subject | None:
    """The subject of a frame, from `difference`; None where nothing can be told from the rest."""
    threshold = differences.mean() + DEVIATIONS * differences.std()
    changed = differences > max(float(threshold), LEAST_DIFFERENCE)
    if float(np.median(differences)) >= LEAST_DIFFERENCE or not changed.any():
        # Most of the picture has changed: another light, or a camera that was moved.
        return None
    left, upper, right, lower = box = _box(changed)
    mask = _filled(changed & _inside(box))
    low, high = SUBJECT_SHARES
    area = (right - left) * (lower - upper)
    if not low <= mask.mean() <= high or mask.sum() < LEAST_FILLED * area:
        return None
    height, width = mask.shape
    return Subject(mask, (left / width, upper / height, right / width, lower / height))


def _box(changed: Mask) -> tuple[int, int, int, int]:
    """Left, upper, right, lower in small pixels, around most of the changed ones."""
    rows, columns = np.nonzero(changed)
    left, right = np.percentile(columns, BOX_PERCENTILES).round().astype(int).tolist()
    upper, lower = np.percentile(rows, BOX_PERCENTILES).round().astype(int).tolist()
    return left, upper, right + 1, lower + 1


def _inside(box: tuple[int, int, int, int]) -> Mask:
    """The box with its margin, as bool (72, 96)."""
    left, upper, right, lower = box
    margin = max(1, round(MARGIN * max(right - left, lower - upper)))
    inside = np.zeros(SMALL_PX[::-1], bool)
    inside[max(0, upper - margin) : lower + margin, max(0, left - margin) : right + margin] = True
    return inside


def _filled(mask: Mask) -> Mask:
    """The mask, and what lies between two of its pixels both in its row and in its column."""
    between = [
        np.logical_or.accumulate(mask, axis)
        & np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
        for axis in (0, 1)
    ]
    filled: Mask = mask | (between[0] & between[1])
    return filled
