"""What light, weather and a fault of the camera do to a picture of a real photo."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from device.contract.arrays import Pixels
from device.drift.sample import Floats

LEVELS = 10
"""Steps of brightness, each 0.7 times the one before; the second is that of the photo."""
HALF = 2
"""So many steps halve the light."""
BLUR_PX = 3.0
"""Radius of the Gaussian, of 224 pixels."""
VEIL = 0.55
"""Contrast that fog and rain leave."""
NIGHT_GAIN = 0.5


@dataclass(frozen=True)
class Condition:
    """One state of light, weather and lens."""

    level: int
    """0 to `LEVELS` - 1; by infrared light 0, or `HALF` if that is dimmed."""
    veiled: bool = False
    infrared: bool = False
    blurred: bool = False

    @property
    def number(self) -> int:
        """Its place in `ALL`."""
        return _NUMBERS[self]


def _all() -> Iterator[Condition]:
    for blurred in (False, True):
        for veiled in (False, True):
            for level in range(LEVELS):
                yield Condition(level, veiled, False, blurred)
        yield from (Condition(level, False, True, blurred) for level in (0, HALF))


ALL = tuple(_all())
_NUMBERS = {condition: number for number, condition in enumerate(ALL)}


def all_shown(photo: Pixels, seed: int) -> Iterator[Pixels]:
    """A photo as the camera shows it in each condition of `ALL`.

    Args:
        photo: uint8 (h, w, 3).
        seed: of the sensor's noise.
    """
    image = Image.fromarray(photo)
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR_PX)), np.float32)
    sharp = np.asarray(image, np.float32)
    noise = np.random.default_rng(seed).normal(0, 1, sharp.shape).astype(np.float32)
    for condition in ALL:
        yield _shown(blurred if condition.blurred else sharp, noise, condition)


def _shown(values: Floats, noise: Floats, condition: Condition) -> Pixels:
    gain = 2 ** (0.5 - condition.level / 2)
    if condition.infrared:
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
        gain = NIGHT_GAIN * 2 ** (-condition.level / 2)
    if condition.veiled:
        values = values.mean() + VEIL * (values - values.mean())
    # Dark pictures are grainy: cameras raise their gain. Making the frame small evens out much.
    grain = 0.7 + 1.5 * max(0.0, 1 - gain)
    return np.clip(values * np.float32(gain) + noise * np.float32(grain), 0, 255).astype(np.uint8)
