"""Augmented views: random crops, flips and colour changes of a photo."""

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing, prepare, prepare_box

MIN_AREA = 0.6
"""A view shows at least this share of the centred square's area."""
STRETCH = 0.2
"""Width to height varies by up to this power of e."""
COLOUR_JITTER = 0.2
"""Brightness, contrast and saturation vary by up to this share of their value."""
LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in grey (ITU-R BT.601), as in Pillow."""


def view(image: Image.Image, rules: Preprocessing, number: int, seed: int) -> Pixels:
    """View `number` of an upright RGB photo; view 0 is the photo as the device prepares it.

    Returns:
        uint8 (height_px, width_px, 3), resized by the device's own rule.
    """
    if number == 0:
        return prepare(image, rules)
    rng = np.random.default_rng([seed, number])
    side = min(image.size) * np.sqrt(rng.uniform(MIN_AREA, 1))
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH) / 2)
    width = int(np.clip(side * stretch, 1, image.width))
    height = int(np.clip(side / stretch, 1, image.height))
    left = int(rng.integers(0, image.width - width + 1))
    upper = int(rng.integers(0, image.height - height + 1))
    box = (left, upper, left + width, upper + height)
    pixels = prepare_box(np.asarray(image), box, rules)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    return recoloured(pixels, *(1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3)))


def views_digest(rules: Preprocessing) -> str:
    """A digest of the views of a fixed noise picture.

    It changes with things that neither source nor version shows, such as another build of Pillow.
    """
    noise = np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8)
    views = [view(Image.fromarray(noise), rules, number, 0) for number in range(3)]
    return hashlib.sha256(np.stack(views).tobytes()).hexdigest()


def recoloured(pixels: Pixels, brightness: float, contrast: float, saturation: float) -> Pixels:
    """Change all three at once: each is linear in the colours, contrast around the mean grey."""
    to_colour: npt.NDArray[np.float64] = saturation * np.eye(3) + (1 - saturation) * LUMA
    grey = float(pixels.mean(axis=(0, 1)) @ LUMA)
    offset = brightness * (1 - contrast) * grey
    matrix = np.column_stack([brightness * contrast * to_colour, np.full(3, offset)])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.convert("RGB", tuple(matrix.ravel().tolist())))
