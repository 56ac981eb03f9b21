"""The small picture in which differences are looked for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Pixels
from device.contract.look.rules import LookRules

Cells = npt.NDArray[np.int16]
"""(3, rows, columns): red, green and blue of each cell, 0 to 510 (two samples of 0 to 255)."""
FULL = 510
"""The largest value of a cell."""


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

    def cells(self, frame: Pixels) -> Cells:
        """The small picture of a frame, a uint8 array (height_px, width_px, 3) in R, G, B order.

        Two samples of each cell, at a quarter and at three quarters of its diagonal. Averaging
        every pixel would cost more than all the rest of the look, and noise is less than what
        counts as a difference.
        """
        rows, columns = self.shape
        high, wide = self.cell_height_px, self.cell_width_px
        samples = np.empty((2, 3, rows, columns), np.uint8)
        for made, quarters in zip(samples, (1, 3), strict=True):
            some = frame[quarters * high // 4 :: high, quarters * wide // 4 :: wide]
            made[:] = some[:rows, :columns].transpose(2, 0, 1)
        first, second = samples.astype(np.int16)
        return np.asarray(first + second)
