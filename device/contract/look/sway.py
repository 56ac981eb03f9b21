"""Leaves in a gust show the place itself, some cells aside; a visitor brings what was not there."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import Cells
from device.contract.look.change import SMOOTHED, Mask, Plane
from device.contract.look.rules import LookRules

Places = npt.NDArray[np.intp]
REACH = 3
"""Leaves sway by so many cells in a gust, down and across."""
SAMPLE = 32
"""So many cells of a piece are enough to tell it by."""
MOST_PERCENT = 30
"""A piece sways if picture and background each hold nearly the same up to `REACH` away in the
other: what still differs then, both ways together, is at most this share of how much it differs in
place. It was mostly 9 to 31 for leaves in a gust, and 32 and more for visitors among such cells."""


def is_swaying(
    mask: Mask, picture: Cells, expected: Cells, spread: Plane, rules: LookRules
) -> bool:
    """Whether a piece that differs is something of the place that has moved a little.

    Args:
        mask: of the piece.
        picture: what is seen.
        expected: the background under the picture's light.
        spread: of the background. Only what has swayed before, if only a little, can be a gust.
        rules: of looking.
    """
    cells = mask.ravel().nonzero()[0]
    cells = cells[:: -(-len(cells) // SAMPLE)]
    restless = np.count_nonzero(spread.take(cells) > rules.least_difference * SMOOTHED)
    if 2 * restless < len(cells):
        return False
    apart = _apart(picture, expected, cells)
    most = MOST_PERCENT * _sum(apart[len(apart) // 2])
    left = 100 * _sum(np.minimum.reduce(apart))
    if left > most:
        return False
    return left + 100 * _sum(np.minimum.reduce(_apart(expected, picture, cells))) <= most


def _sum(values: Plane) -> int:
    # Of so few, NumPy's would take longer.
    return sum(values.tolist())


def _apart(one: Cells, other: Cells, cells: Places) -> Plane:
    """How much some cells of one differ from all places around in the other: (places, cells)."""
    rows, columns = np.divmod(cells, one.shape[2])
    down, across = _around(*one.shape[1:])
    places = down.take(rows, 1)[:, None] + across.take(columns, 1)
    apart = other.reshape(3, -1).take(places.reshape(-1, len(cells)), axis=1)
    apart -= one.reshape(3, 1, -1).take(cells, axis=2)
    np.abs(apart, out=apart)
    made: Plane = apart[0] + apart[1]
    made += apart[2]
    return made


@lru_cache(maxsize=8)
def _around(rows: int, columns: int) -> tuple[Places, Places]:
    """Of each row the first cells of those around, of each column those around: (places, n)."""
    steps = np.arange(-REACH, REACH + 1)[:, None]
    down, across = ((np.arange(n) + steps).clip(0, n - 1) for n in (rows, columns))
    return down * columns, across
