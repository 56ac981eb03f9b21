"""Augmented views: the same photo as another day's camera might have seen it."""

import numpy as np
from PIL import Image, ImageEnhance

from device.preprocess import Pixels, Preprocessing, prepare

LEAST_AREA = 0.6
"""A view shows at least this share of the centred square's area."""
COLOUR_JITTER = 0.2
"""Brightness, contrast and saturation vary by up to this share."""


def view(image: Image.Image, rules: Preprocessing, number: int, seed: int) -> Pixels:
    """View `number` of an upright RGB photo; view 0 is the photo as the device prepares it.

    Returns:
        uint8 (height_px, width_px, 3), resized by the device's own rule.
    """
    if number == 0:
        return prepare(image, rules)
    rng = np.random.default_rng([seed, number])
    side = max(1, int(min(image.size) * np.sqrt(rng.uniform(LEAST_AREA, 1))))
    left = int(rng.integers(0, image.width - side + 1))
    upper = int(rng.integers(0, image.height - side + 1))
    image = image.crop((left, upper, left + side, upper + side))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = Image.fromarray(prepare(image, rules))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER))
    return np.asarray(picture)
