"""The small picture in which differences are looked for."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Pixels
from device.contract.look.rules import LookRules

Cells = npt.NDArray[np.int16]
"""(3, rows, columns): red, green and blue of each cell, 0 to 510 (two samples of 0 to 255)."""
FULL = 510
"""The largest value of a cell."""


class Sampled(Protocol):
    """A picture that gives single pixels without being an array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, and 3."""
        ...

    def samples(
        self, first_px: tuple[int, int], step_px: tuple[int, int], count: tuple[int, int]
    ) -> Pixels:
        """Some pixels in rows and columns, uint8 (count down, count across, 3).

        Args:
            first_px: the first of them, across and down, from the upper left corner.
            step_px: from each to the next, across and down.
            count: how many, across and down.
        """
        ...


@dataclass(frozen=True)
class Grid:
    """How a frame is divided into cells; what is left over at right and below is not looked at."""

    width_px: int
    height_px: int
    cell_width_px: int
    cell_height_px: int
    """As wide, except where the frame itself is lower than a cell."""

    @classmethod
    def of(cls, width_px: int, height_px: int, rules: LookRules) -> "Grid":
        """The grid of frames of a size, of the smallest square cells that `rules` allow."""
        side = max(-(-width_px // rules.columns), -(-height_px // rules.rows))
        return cls(width_px, height_px, min(side, width_px), min(side, height_px))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.height_px // self.cell_height_px, self.width_px // self.cell_width_px

    def cells(self, frame: Pixels | Sampled) -> Cells:
        """The small picture of a frame of this size, in R, G, B order.

        Two samples of each cell, at a quarter and at three quarters of its diagonal. Averaging
        every pixel would cost more than all the rest of the look, and noise is less than what
        counts as a difference.
        """
        rows, columns = self.shape
        high, wide = self.cell_height_px, self.cell_width_px
        samples = np.empty((2, 3, rows, columns), np.uint8)
        for made, quarters in zip(samples, (1, 3), strict=True):
            start = quarters * wide // 4, quarters * high // 4
            made[:] = _samples(frame, start, (wide, high), (columns, rows)).transpose(2, 0, 1)
        first, second = samples.astype(np.int16)
        return np.asarray(first + second)


def _samples(
    frame: Pixels | Sampled, first: tuple[int, int], step: tuple[int, int], count: tuple[int, int]
) -> Pixels:
    if not isinstance(frame, np.ndarray):
        return frame.samples(first, step, count)
    (x, y), (wide, high), (columns, rows) = first, step, count
    return frame[y::high, x::wide][:rows, :columns]
