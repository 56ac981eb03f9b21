"""The small picture of a visit."""

import io

import numpy as np
from PIL import Image

from device.contract.arrays import Box, Pixels

SIDE_PX = 320
"""Longest side."""
JPEG_QUALITY = 85


def cut(picture: Pixels, box: Box) -> Pixels:
    """A copy of what is in a box, with sides of less than twice `SIDE_PX`: it is kept for a while.

    Args:
        picture: uint8 (h, w, 3), R, G, B: a whole frame.
        box: a part of it.
    """
    left, upper, right, lower = box
    part = picture[upper:lower, left:right]
    factor = max(1, max(part.shape[:2]) // SIDE_PX)
    return part.copy() if factor == 1 else np.asarray(Image.fromarray(part).reduce(factor))


def jpeg(part: Pixels) -> bytes:
    """A JPEG of at most `SIDE_PX` a side, 5 to 25 kB."""
    image = Image.fromarray(part)
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()
