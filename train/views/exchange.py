"""Views that exchange the background: a subject of one place before the background of another.

Where each class has a place of its own, a network learns the place instead of the class. In these
views the two are independent: the background comes from any place, each as likely as the others,
and the subject may stand anywhere in the view.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.look.change import Mask, grown
from device.contract.preprocess import Preprocessing, prepare_box
from train.data.augment import COLOUR_JITTER, MIN_AREA, STRETCH, moved, recoloured
from train.data.sight.sighting import Sighting
from train.views.backgrounds import smoothed

LIGHT_JITTER = 0.2
"""The background's light differs from the subject's by up to this power of e."""
SOFT_PX = 1
"""The mask's edge is this soft, in cells."""


Shares = tuple[float, float, float, float]
"""Left, upper, right, lower as shares of a picture's width and height, 0 to 1."""


@dataclass(frozen=True)
class Standing:
    """A photo of a place whose subject is known."""

    mask: Mask
    """bool (rows, columns): the cells that belong to the subject, without holes."""
    covered: tuple[float, float]
    """The shares of the photo's width and height that the cells cover, from the upper left."""
    box: Shares
    """Around the subject."""
    light: float
    """How many times brighter the photo is than the background of its place."""

    @classmethod
    def of(cls, seen: Sighting) -> "Standing":
        """From what was seen in a photo."""
        subject, grid, (rows, columns) = seen.subject, seen.grid, seen.grid.shape
        across = columns * grid.cell_width_px / grid.width_px
        down = rows * grid.cell_height_px / grid.height_px
        box = (
            *(subject.left / columns * across, subject.upper / rows * down),
            *(subject.right / columns * across, subject.lower / rows * down),
        )
        # A change is told from the sums of 3x3 cells, so it reaches a cell too far, and a rim of
        # the old background would tell the place.
        mask: Mask = ~grown(~filled(subject.mask))
        return cls(mask, (across, down), box, seen.light)


def exchanged(
    image: Image.Image,
    standing: Standing,
    backgrounds: Sequence[Pixels],
    rules: Preprocessing,
    seeds: Sequence[int],
    box: Box | None = None,
) -> Pixels:
    """A view of a photo's subject before another background.

    Args:
        image: the upright RGB photo.
        standing: its subject.
        backgrounds: of all places, uint8 (h, w, 3), of any sizes.
        rules: the preprocessing record.
        seeds: of the random numbers; the same ones give the same bytes.
        box: where the photo is cut; None if it is not.

    Returns:
        uint8 (height_px, width_px, 3), resized by the device's own rule.
    """
    rng = np.random.default_rng(seeds)
    background = backgrounds[int(rng.integers(len(backgrounds)))]
    if box is None:
        behind = _behind(rng, background, _side(rng, background.shape[1::-1]), rules)
        shown = _box_around(rng, image.size, standing.box)
    else:
        shown = moved(rng, image.size, box)
        behind = _behind(rng, background, _as_large(shown, image.size, background), rules)
    times = standing.light * float(np.exp(rng.uniform(-LIGHT_JITTER, LIGHT_JITTER)))
    mask = _cut_mask(standing, image.size, shown, rules)
    pixels = composite(_cut(image, shown, rules), _lit(behind, times), mask)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return recoloured(pixels, *(1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3)))


def filled(mask: Mask) -> Mask:
    """The mask, and what lies between two of its cells both in its row and in its column."""
    between = [
        np.logical_or.accumulate(mask, axis)
        & np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis), axis)
        for axis in (0, 1)
    ]
    whole: Mask = mask | (between[0] & between[1])
    return whole


def composite(front: Pixels, behind: Pixels, mask: Pixels) -> Pixels:
    """The front where the mask is 255, what is behind where it is 0, a blend between.

    Args:
        front: uint8 (h, w, 3).
        behind: uint8 (h, w, 3).
        mask: uint8 (h, w).
    """
    pictures = (Image.fromarray(np.ascontiguousarray(p)) for p in (front, behind, mask))
    return np.asarray(Image.composite(*pictures))


def soft(mask: Mask) -> Pixels:
    """A subject's mask as uint8 of the same shape, with a soft edge."""
    return (255 * smoothed(mask.astype(np.float32), SOFT_PX)).round().astype(np.uint8)


def _side(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a view's box, as `augment.view` draws them."""
    side = min(size) * np.sqrt(rng.uniform(MIN_AREA, 1))
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH) / 2)
    return max(1, int(side * stretch)), max(1, int(side / stretch))


def _as_large(box: Box, size: tuple[int, int], background: Pixels) -> tuple[int, int]:
    """The width and height of a box of a picture as the same shares of a background."""
    height, width = background.shape[:2]
    shares = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    return max(1, round(shares[0] * width)), max(1, round(shares[1] * height))


def _behind(
    rng: np.random.Generator, background: Pixels, sides: tuple[int, int], rules: Preprocessing
) -> Pixels:
    """A random box of a background, mirrored or not."""
    height, width = background.shape[:2]
    box_w, box_h = np.minimum(sides, (width, height)).tolist()
    left, upper = (int(rng.integers(0, n + 1)) for n in (width - box_w, height - box_h))
    pixels = prepare_box(background, (left, upper, left + box_w, upper + box_h), rules)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _lit(pixels: Pixels, times: float) -> Pixels:
    return (pixels * np.float32(times)).clip(0, 255).astype(np.uint8)


def _box_around(rng: np.random.Generator, size: tuple[int, int], shares: Shares) -> Box:
    """A box of a view's size that holds the subject somewhere; it may reach over the photo."""
    width, height = _side(rng, size)
    left = _start(rng, shares[0] * size[0], shares[2] * size[0], width)
    upper = _start(rng, shares[1] * size[1], shares[3] * size[1], height)
    return (left, upper, left + width, upper + height)


def _start(rng: np.random.Generator, low: float, high: float, length: int) -> int:
    """Where a box begins that holds `low` to `high`, or lies within if it is too small."""
    first, last = sorted((low, high - length))
    return int(rng.uniform(first, last))


def _cut(image: Image.Image, box: Box, rules: Preprocessing) -> Pixels:
    """A box of a photo, resized; black where it reaches over the photo."""
    cropped = np.asarray(image.crop(box))
    return prepare_box(cropped, (0, 0, cropped.shape[1], cropped.shape[0]), rules)


def _cut_mask(standing: Standing, size: tuple[int, int], box: Box, rules: Preprocessing) -> Pixels:
    """The soft mask of the same box; 0 where it reaches over the photo."""
    covered = [
        max(1, round(share * side)) for share, side in zip(standing.covered, size, strict=True)
    ]
    cells = Image.fromarray(soft(standing.mask))
    whole = cells.resize((covered[0], covered[1]), Image.Resampling.BILINEAR)
    shape = (rules.width_px, rules.height_px)
    return np.asarray(whole.crop(box).resize(shape, Image.Resampling.BILINEAR))
