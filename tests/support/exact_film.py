"""A film that is the same to the byte everywhere and for ever: no float, no random generator."""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Pixels

FRAMES, STEP_MS = 90, 250
ENTERS, LEAVES = 50, 80
"""Numbers of the frames in which a patch crosses the place."""
HARSH_FRAMES = 200
SUNS = ((0, 256), (20, 256), (50, 440), (60, 440), (64, 110), (95, 110), (100, 256), (200, 256))
"""From which frame on the sun shines how brightly, in 256ths; it changes evenly in between."""
STAYS = range(66, 90)
NUDGED, NIGHT = range(120, 200), range(140, 165)


def drawn(text: str, *shape: int) -> Pixels:
    """Bytes that are the same everywhere and for ever."""
    data = hashlib.shake_256(text.encode()).digest(int(np.prod(shape)))
    return np.frombuffer(data, np.uint8).reshape(shape)


def exact_film(scale: int = 1) -> Iterator[tuple[Pixels, int]]:
    """A patch crosses a chequered place in changing light.

    Args:
        scale: frames are so many times 160x120 pixels.

    Yields:
        Each frame and its time in milliseconds.
    """
    still = 40 + drawn("place", 12, 16, 3).repeat(10, 0).repeat(10, 1).astype(np.int32) // 2
    for number in range(FRAMES):
        frame = still.copy()
        if ENTERS <= number < LEAVES:
            left = 4 * (number - ENTERS)
            frame[50:75, left : left + 30] = 20 + drawn("patch", 25, 30, 3) // 2
        frame = frame * (200 + number) // 256 + drawn(str(number), 120, 160, 3) // 32
        shown = frame.clip(0, 255).astype(np.uint8)
        yield shown.repeat(scale, 0).repeat(scale, 1), STEP_MS * number


def harsh_film() -> Iterator[tuple[Pixels, int]]:
    """A place in sun that overexposes it, in dusk, shadow and infrared, nudged, with visitors.

    Yields:
        Each frame, 150x119 pixels, and its time in milliseconds.
    """
    still = 10 + drawn("harsh", 13, 16, 3).repeat(10, 0).repeat(10, 1).astype(np.int32) * 3 // 4
    still[85:, 20:90] = 252
    numbers, gains = zip(*SUNS, strict=True)
    for number in range(HARSH_FRAMES):
        frame = still.copy()
        if ENTERS <= number < LEAVES or number in STAYS:
            left = 60 if number in STAYS else 4 * (number - ENTERS)
            frame[50:85, left : left + 35] = 20 + drawn("patch", 35, 35, 3) // 2
        if number in NUDGED:
            frame = np.roll(frame, (4, -6), (0, 1))
        if number in NIGHT:
            frame[:] = (2 * frame[..., :1] + frame[..., 1:2]) // 4
        frame = frame * _between(number, numbers, gains) // 256
        frame = frame * _shadow(number) // 256 + drawn(str(number), *still.shape) // 32
        yield frame.clip(0, 255).astype(np.uint8)[:119, :150], STEP_MS * number


def _between(number: int, numbers: tuple[int, ...], values: tuple[int, ...]) -> int:
    at = max(i for i, begins in enumerate(numbers[:-1]) if begins <= number)
    begins, length = numbers[at], numbers[at + 1] - numbers[at]
    return values[at] + (values[at + 1] - values[at]) * (number - begins) // length


def _shadow(number: int) -> npt.NDArray[np.int32]:
    """How bright each column is, in 256ths: a shadow with a soft border comes from the right."""
    inside = np.arange(160, dtype=np.int32) - 170 + 2 * (number % 50)
    return (256 - 2 * inside.clip(0, 40))[:, None]
