"""Augmented views: the same photo as another day's camera might have seen it."""

import numpy as np
from PIL import Image, ImageEnhance

from device.preprocess import Pixels, Preprocessing, prepare

LEAST_AREA = 0.6
"""A view shows at least this share of the centred square's area."""
STRETCH = 0.2
"""Width to height varies by up to this power of e."""
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
    side = min(image.size) * np.sqrt(rng.uniform(LEAST_AREA, 1))
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH) / 2)
    width = int(np.clip(side * stretch, 1, image.width))
    height = int(np.clip(side / stretch, 1, image.height))
    left = int(rng.integers(0, image.width - width + 1))
    upper = int(rng.integers(0, image.height - height + 1))
    longer = max(width, height)
    image = image.crop((left, upper, left + width, upper + height)).resize((longer, longer))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    picture = Image.fromarray(prepare(image, rules))
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(1 + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER))
    return np.asarray(picture)
