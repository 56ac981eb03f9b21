"""Which frames are unlike those that were kept: some of each kind teach more than many of one.

Centres of a stream (Charikar, Chekuri, Feder and Motwani 1997): a frame is kept if it is further
from all kept ones than a radius, which grows where there would be too many.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
MOST = 64
"""Frames that are remembered."""
FIRST_RADIUS = 0.05
"""One minus the cosine of two frames' features; of frames of the same sight it is less."""
GROWTH = 1.5


class Unlike:
    """Remembers what was kept, in some 0.3 MB; for one thread."""

    def __init__(self) -> None:
        """Nothing was kept yet."""
        self._kept: list[Floats] = []
        self._radius = FIRST_RADIUS

    def is_new(self, features: Floats) -> bool:
        """Whether a frame is unlike all that were kept.

        Args:
            features: float32 (n,); others than before (of another model) forget what was kept.
        """
        direction = _direction(features)
        if self._kept and self._kept[0].shape != direction.shape:
            self.forget()
        return self._is_far(direction, self._kept)

    def add(self, features: Floats) -> None:
        """Remember a frame that was kept."""
        self._kept.append(_direction(features))
        while len(self._kept) > MOST:
            self._radius *= GROWTH
            apart: list[Floats] = []
            for one in self._kept:
                if self._is_far(one, apart):
                    apart.append(one)
            self._kept = apart

    def forget(self) -> None:
        """Begin again."""
        self._kept, self._radius = [], FIRST_RADIUS

    def _is_far(self, direction: Floats, others: list[Floats]) -> bool:
        return all(1 - float(direction @ other) > self._radius for other in others)


def _direction(features: Floats) -> Floats:
    length = float(np.sqrt(np.square(features, dtype=np.float64).sum()))
    scaled: Floats = (features / max(length, 1e-12)).astype(np.float32)
    return scaled
