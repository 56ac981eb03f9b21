"""Faults of light and colour: too little, too much, of the wrong colour, or flickering.

Light adds up in linear values, so pictures are converted to these and back (IEC 61966-2-1).
"""

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Pixels

Rng = np.random.Generator
Light = npt.NDArray[np.float32]
"""Linear light, 0..1."""

STEPS = 4096
"""Of the table from light to bytes: fine enough that each byte comes back as it was."""
READ_NOISE = 3.0
"""Standard deviation of a small sensor's noise in the dark, in electrons."""
INFRARED = (0.55, 0.3, 0.15)
"""What an infrared picture has of red, green and blue: leaves and skin are bright in it."""
LAMP = 0.75
"""How much darker the corners are than the middle under the camera's own infrared lamp."""
BANDS = (3, 9)
"""Fewest and most bands of a lamp's flicker in one picture of a rolling shutter."""


def _linear(byte: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    value = byte / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _encoded(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    powers = 1.055 * np.maximum(light, 1e-12) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, powers)


_LIGHT: Light = _linear(np.arange(256.0)).astype(np.float32)
# Finer where it is dark: the table is over the square root of light.
_BYTES: Pixels = np.rint(255 * _encoded(np.linspace(0, 1, STEPS) ** 2)).astype(np.uint8)


def _to_bytes(light: Light) -> Pixels:
    places = np.sqrt(np.clip(light, 0, 1)) * np.float32(STEPS - 1) + np.float32(0.5)
    return _BYTES[places.astype(np.int16)]


def low_light(frame: Pixels, electrons: float, rng: Rng) -> Pixels:
    """Few photons: shot noise and read noise, and a picture that stays dark.

    Args:
        frame: uint8 (h, w, 3).
        electrons: that white gives in one pixel; a good exposure gives thousands.
        rng: of the noise.
    """
    counted = _LIGHT[frame] * np.float32(electrons)
    noise = rng.standard_normal(frame.shape, np.float32)
    counted += noise * np.sqrt(counted + np.float32(READ_NOISE**2))
    # The camera's gain gives back half of what is missing, on a scale of stops.
    gain = np.float32((electrons / 2000) ** 0.25 / electrons)
    return _to_bytes(counted * gain)


def over_exposure(frame: Pixels, stops: float, rng: Rng) -> Pixels:
    """Too much light: bright parts become white.

    Args:
        frame: uint8 (h, w, 3).
        stops: each doubles the light.
        rng: not used.
    """
    return _to_bytes(_LIGHT * np.float32(2**stops))[frame]


def white_balance(frame: Pixels, stops: float, rng: Rng) -> Pixels:
    """Too warm or too cold: red and blue are off in opposite directions.

    Args:
        frame: uint8 (h, w, 3).
        stops: by how much each is off.
        rng: of the direction.
    """
    warmer = stops if rng.random() < 0.5 else -stops
    gains = 2.0 ** np.array([warmer, 0, -warmer], np.float32)
    tables = _to_bytes(_LIGHT[:, np.newaxis] * gains.astype(np.float32))
    return np.stack([tables[:, i][frame[..., i]] for i in range(3)], axis=-1)


def infrared(frame: Pixels, share: float, rng: Rng) -> Pixels:
    """Infrared light instead of colours: a part of it at dusk, all of it and a lamp at night.

    Args:
        frame: uint8 (h, w, 3).
        share: of infrared in the picture, 0..1; what is above 1 is the lamp's.
        rng: not used.
    """
    light, grey_share = _LIGHT[frame], np.float32(min(share, 1))
    grey = light @ np.array(INFRARED, np.float32)
    light += grey_share * (grey[..., np.newaxis] - light)
    if share > 1:
        light *= _lamp(frame.shape[0], frame.shape[1], share - 1)[..., np.newaxis]
    return _to_bytes(light)


def _lamp(height: int, width: int, strength: float) -> Light:
    """float32 (h, w): bright in the middle, dark in the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    away = (x * x + y * y) / 2
    return np.asarray((1 + strength) * (1 - LAMP * away), np.float32)


def rolling_bands(frame: Pixels, depth: float, rng: Rng) -> Pixels:
    """Bands of a lamp that flickers while a rolling shutter reads row after row.

    Args:
        frame: uint8 (h, w, 3).
        depth: how much darker the darkest row is, 0..1.
        rng: of number and place of the bands.
    """
    bands, phase = rng.uniform(*BANDS), rng.uniform(0, 2 * np.pi)
    angles = 2 * np.pi * bands * np.linspace(0, 1, frame.shape[0]) + phase
    rows = (1 - depth * (0.5 + 0.5 * np.sin(angles))).astype(np.float32)
    return _to_bytes(_LIGHT[frame] * rows[:, np.newaxis, np.newaxis])
