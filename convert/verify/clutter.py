"""Pictures without an object, to test whether the threshold turns them away.

Noise, gradients, stripes, clouds and shapes, drawn by numpy and Pillow. They stand in for walls,
skies, or a covered lens. They are easier to tell from known photos than pictures of similar things
are, so the share that is turned away is an upper bound for such pictures.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from device.contract.arrays import Pixels

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
Size = tuple[int, int]
"""Height and width in pixels."""

GRAIN = 0.02
"""Standard deviation of the sensor noise on every picture, of 0..1."""


def clutter(number: int, size: Size) -> Pixels:
    """Picture `number` of an endless series in which the kinds alternate.

    Returns:
        uint8 (height, width, 3), the same for the same number and size.
    """
    rng = np.random.default_rng([number, *size])
    values = _KINDS[number % len(_KINDS)](rng, size) + rng.normal(0, GRAIN, (*size, 3))
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _noise(rng: Rng, size: Size) -> Floats:
    return rng.uniform(rng.uniform(0, 0.5), rng.uniform(0.5, 1), (*size, 3))


def _gradient(rng: Rng, size: Size) -> Floats:
    return _between(rng, _slope(rng, size))


def _stripes(rng: Rng, size: Size) -> Floats:
    wave = np.sin(2 * np.pi * rng.uniform(2, 40) * _slope(rng, size))
    return _between(rng, 0.5 + 0.5 * (np.sign(wave) if rng.random() < 0.5 else wave))


def _clouds(rng: Rng, size: Size) -> Floats:
    total = np.zeros(size)
    for octave in range(1, 7):
        cells = rng.random((2**octave, 2**octave), dtype=np.float32)
        wide = Image.fromarray(cells).resize(size[::-1], Image.Resampling.BICUBIC)
        total += np.asarray(wide) / 2**octave
    return _between(rng, total)


def _shapes(rng: Rng, size: Size) -> Floats:
    image = Image.new("RGB", size[::-1], _paint(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 30)):
        points = rng.uniform(-0.2, 1.2, (int(rng.integers(3, 6)), 2)) * size[::-1]
        box = [tuple(points[:2].min(axis=0)), tuple(points[:2].max(axis=0))]
        if rng.random() < 0.5:
            draw.polygon([tuple(point) for point in points], fill=_paint(rng))
        elif rng.random() < 0.5:
            draw.rectangle(box, fill=_paint(rng))
        else:
            draw.ellipse(box, fill=_paint(rng))
    return np.asarray(image) / 255


_KINDS: tuple[Callable[[Rng, Size], Floats], ...] = (_noise, _gradient, _stripes, _clouds, _shapes)


def _slope(rng: Rng, size: Size) -> Floats:
    """A plane that rises in a random direction, 0..1."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : 1 : size[0] * 1j, 0 : 1 : size[1] * 1j]
    plane = x * np.cos(angle) + y * np.sin(angle)
    return np.asarray((plane - plane.min()) / np.ptp(plane))


def _between(rng: Rng, share: Floats) -> Floats:
    """A mix of two random colours; only the second where `share` (h, w) is 1."""
    first, second = rng.random((2, 3))
    return np.asarray(first + (second - first) * share[..., np.newaxis])


def _paint(rng: Rng) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(0, 256, 3))
