"""Leaves in a gust show the place itself, some cells aside; a visitor brings what was not there."""

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import Cells
from device.contract.look.change import SMOOTHED, Mask, Plane
from device.contract.look.rules import LookRules

Places = npt.NDArray[np.intp]
REACH = 3
"""Leaves sway by so many cells in a gust, down and across."""
AROUND = np.arange(-REACH, REACH + 1)[:, None]
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
    cells = np.flatnonzero(mask)
    cells = cells[:: -(-len(cells) // SAMPLE)]
    restless = np.count_nonzero(spread.take(cells) > rules.least_difference * SMOOTHED)
    if 2 * restless < len(cells):
        return False
    apart = _apart(picture, expected, cells)
    most = MOST_PERCENT * _sum(apart[len(apart) // 2])
    left = 100 * _sum(apart.min(axis=0))
    return left <= most and left + 100 * _sum(_apart(expected, picture, cells).min(axis=0)) <= most


def _sum(values: Plane) -> int:
    return int(values.sum(dtype=np.int64))


def _apart(one: Cells, other: Cells, cells: Places) -> Plane:
    """How much some cells of one differ from all places around in the other: (places, cells)."""
    high, wide = one.shape[1:]
    rows, columns = np.divmod(cells, wide)
    down = (rows + AROUND).clip(0, high - 1) * wide
    across = (columns + AROUND).clip(0, wide - 1)
    places = (down[:, None] + across).reshape(-1, len(cells))
    apart = other.reshape(3, -1).take(places, axis=1)
    apart -= one.reshape(3, 1, -1).take(cells, axis=2)
    np.abs(apart, out=apart)
    made: Plane = apart[0] + apart[1]
    made += apart[2]
    return made
