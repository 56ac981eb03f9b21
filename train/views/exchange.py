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
from device.contract.preprocess import Preprocessing, prepare_box
from train.data.augment import COLOUR_JITTER, MIN_AREA, STRETCH, recoloured
from train.views.backgrounds import Mask, Subject, smoothed

LIGHT_JITTER = 0.2
"""The background's light differs from the subject's by up to this power of e."""
SOFT_PX = 1
"""The mask's edge is this soft, in small pixels."""


@dataclass(frozen=True)
class Standing:
    """A photo of a place whose subject is known."""

    subject: Subject
    light: float
    """How many times brighter the photo is than the background of its place."""


def exchanged(
    image: Image.Image,
    standing: Standing,
    backgrounds: Sequence[Pixels],
    rules: Preprocessing,
    seeds: Sequence[int],
) -> Pixels:
    """A view of a photo's subject before another background.

    Args:
        image: the upright RGB photo.
        standing: its subject.
        backgrounds: of all places, uint8 (h, w, 3), of any sizes.
        rules: the preprocessing record.
        seeds: of the random numbers; the same ones give the same bytes.

    Returns:
        uint8 (height_px, width_px, 3), resized by the device's own rule.
    """
    rng = np.random.default_rng(seeds)
    behind = _behind(rng, backgrounds[int(rng.integers(len(backgrounds)))], rules)
    behind = _lit(behind, standing.light * float(np.exp(rng.uniform(-LIGHT_JITTER, LIGHT_JITTER))))
    box = _box_around(rng, image.size, standing.subject.box)
    pixels = composite(_cut(image, box, rules), behind, _cut_mask(standing, image.size, box, rules))
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return recoloured(pixels, *(1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3)))


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
    """A subject's mask as uint8 (72, 96), with a soft edge."""
    return (255 * smoothed(mask.astype(np.float32), SOFT_PX)).round().astype(np.uint8)


def _side(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a view's box, as `augment.view` draws them."""
    side = min(size) * np.sqrt(rng.uniform(MIN_AREA, 1))
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH) / 2)
    return max(1, int(side * stretch)), max(1, int(side / stretch))


def _behind(rng: np.random.Generator, background: Pixels, rules: Preprocessing) -> Pixels:
    """A random box of a background, mirrored or not."""
    height, width = background.shape[:2]
    box_w, box_h = np.minimum(_side(rng, (width, height)), (width, height)).tolist()
    left, upper = (int(rng.integers(0, n + 1)) for n in (width - box_w, height - box_h))
    pixels = prepare_box(background, (left, upper, left + box_w, upper + box_h), rules)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _lit(pixels: Pixels, times: float) -> Pixels:
    return (pixels * np.float32(times)).clip(0, 255).astype(np.uint8)


def _box_around(
    rng: np.random.Generator, size: tuple[int, int], shares: tuple[float, float, float, float]
) -> Box:
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
    whole = Image.fromarray(soft(standing.subject.mask)).resize(size, Image.Resampling.BILINEAR)
    shape = (rules.width_px, rules.height_px)
    return np.asarray(whole.crop(box).resize(shape, Image.Resampling.BILINEAR))
