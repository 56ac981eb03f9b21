"""A film that is the same to the byte everywhere and for ever: no float, no random generator."""

import hashlib
from collections.abc import Iterator

import numpy as np

from device.contract.arrays import Pixels

FRAMES, STEP_MS = 90, 250
ENTERS, LEAVES = 50, 80
"""Numbers of the frames in which a patch crosses the place."""


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
