"""Faults of how a camera hangs: it is turned, or too far away."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Pixels

Rng = np.random.Generator

BACKDROP = 64
"""What surrounds a small subject is shrunk by this, and so blurred beyond recognition."""
SOFT = 0.04
"""Width of the blend between both, of the subject's picture."""


def turned(frame: Pixels, degrees: float, rng: Rng) -> Pixels:
    """Turn the picture; its corners show it mirrored, since nothing is known of them.

    Args:
        frame: uint8 (h, w, 3).
        degrees: to one side or the other.
        rng: of the side.
    """
    angle = np.deg2rad(degrees if rng.random() < 0.5 else -degrees)
    height, width = frame.shape[:2]
    down, right = height // 4, width // 4
    wider = np.pad(frame, ((down, down), (right, right), (0, 0)), "symmetric")
    c, s = np.cos(angle), np.sin(angle)
    x, y = width / 2, height / 2
    # Where a pixel of the result is taken from: turned around the middle of the wider picture.
    matrix = (c, s, right + x - c * x - s * y, -s, c, down + y + s * x - c * y)
    size, bilinear = (width, height), Image.Resampling.BILINEAR
    image = Image.fromarray(wider).transform(size, Image.Transform.AFFINE, matrix, bilinear)
    return np.asarray(image)


def small_subject(frame: Pixels, scale: float, rng: Rng) -> Pixels:
    """Shrink the picture, anywhere before what its own colours look like out of focus.

    Args:
        frame: uint8 (h, w, 3).
        scale: share of its width and height that it keeps, 0..1.
        rng: of the place.
    """
    image = Image.fromarray(frame)
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    tiny = [max(1, side // BACKDROP) for side in image.size]
    around = image.resize(tiny, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)
    left, upper = (int(rng.integers(0, side + 1)) for side in np.subtract(image.size, small.size))
    around.paste(small, (left, upper), _soft_edges(width, height))
    return np.asarray(around)


def _soft_edges(width: int, height: int) -> Image.Image:
    """A mask, mode L: opaque but for its edges."""
    x, y = (_from_ends(side) for side in (width, height))
    opaque = np.minimum(1, np.minimum(x, y[:, np.newaxis]))
    return Image.fromarray((255 * opaque).astype(np.uint8))


def _from_ends(side: int) -> npt.NDArray[np.float64]:
    """For each pixel of a side how far it is from the nearer end; 1 where the blend is over."""
    places = np.arange(side)
    return np.minimum(places, places[::-1]) / max(1, side * SOFT)
