"""Faults between the scene and the sensor: focus, motion, and what sticks to the lens.

Amounts are shares of the picture's shorter side, so that a fault looks alike at any size.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from device.contract.arrays import Pixels

Rng = np.random.Generator

MASK_SHARE = 4
"""Drops and spots are drawn this much smaller: they have no sharp edges."""
SPOT_SIDES = (0.04, 0.2)
"""Smallest and largest half side of a drop or spot, of the shorter side."""
HAZE = 8
"""What is seen through a drop is shrunk by this, and so blurred."""


def defocus(frame: Pixels, radius: float, rng: Rng) -> Pixels:
    """Blur every point into a disc, as a lens out of focus does.

    Args:
        frame: uint8 (h, w, 3).
        radius: of the disc.
        rng: not used: this fault has no chance in it.
    """
    height, width = frame.shape[:2]
    r = max(1.0, radius * min(height, width))
    reach = int(r)
    padded = np.pad(frame, ((reach, reach), (reach + 1, reach), (0, 0)), "edge")
    # Sums of rows up to each pixel: a row of the disc is the difference of two of them.
    sums = padded.cumsum(axis=1, dtype=np.int32)
    total, points = np.zeros(frame.shape, np.int32), 0
    for offset in range(-reach, reach + 1):
        half = int(np.sqrt(r * r - offset * offset))
        rows = sums[reach + offset : reach + offset + height]
        total += rows[:, reach + 1 + half : reach + 1 + half + width]
        total -= rows[:, reach - half : reach - half + width]
        points += 2 * half + 1
    return _mean(total, points)


def motion_blur(frame: Pixels, length: float, rng: Rng) -> Pixels:
    """Smear along a line in a random direction: camera or subject moved.

    Args:
        frame: uint8 (h, w, 3).
        length: of the line.
        rng: of the direction.
    """
    height, width = frame.shape[:2]
    pixels, angle = length * min(height, width), rng.uniform(0, np.pi)
    along = np.linspace(-pixels / 2, pixels / 2, int(np.ceil(pixels)) + 1)
    steps = np.rint(np.stack([along * np.sin(angle), along * np.cos(angle)], 1)).astype(int)
    reach = int(np.abs(steps).max())
    padded = np.pad(frame, ((reach, reach), (reach, reach), (0, 0)), "edge")
    total = np.zeros(frame.shape, np.int32)
    for down, right in (steps + reach).tolist():
        total += padded[down : down + height, right : right + width]
    return _mean(total, len(steps))


def dirty_lens(frame: Pixels, share: float, rng: Rng) -> Pixels:
    """Drops, which show a blurred picture upside down, and dark spots.

    Args:
        frame: uint8 (h, w, 3).
        share: of the picture that is covered, about.
        rng: of places, sizes and kinds.
    """
    image = Image.fromarray(frame)
    wet = rng.random() < 0.5
    mask = _spots(image.size, share, rng)
    small = image.resize([max(1, side // HAZE) for side in image.size], Image.Resampling.BOX)
    through = small.transpose(Image.Transpose.ROTATE_180) if wet else small.point(_darker)
    return np.asarray(Image.composite(through.resize(image.size), image, mask))


def _darker(value: int) -> float:
    return 0.35 * value + 12


def _spots(size: tuple[int, int], share: float, rng: Rng) -> Image.Image:
    """A soft mask, mode L, of a picture's width and height."""
    width, height = (max(1, side // MASK_SHARE) for side in size)
    mask = Image.new("L", (width, height))
    draw, short = ImageDraw.Draw(mask), min(width, height)
    covered = 0.0
    while covered < share * width * height:
        a, b = rng.uniform(*SPOT_SIDES) * short * np.exp(rng.uniform(-0.3, 0.3, 2))
        x, y = rng.uniform(0, (width, height))
        draw.ellipse((x - a, y - b, x + a, y + b), fill=255)
        covered += np.pi * a * b
    return mask.filter(ImageFilter.GaussianBlur(short / 60)).resize(size)


def _mean(total: np.ndarray[tuple[int, ...], np.dtype[np.int32]], count: int) -> Pixels:
    return ((total + count // 2) // count).astype(np.uint8)
