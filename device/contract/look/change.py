"""What differs between a small picture and a background, with the light divided out."""

import itertools
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import FULL, Cells
from device.contract.look.light import ONE, OVEREXPOSED
from device.contract.look.rules import LookRules

Plane = npt.NDArray[np.int16]
"""One number for each cell, (rows, columns)."""
Mask = npt.NDArray[np.bool_]
"""(rows, columns)."""
SMOOTHED = 9
"""A smoothed difference is the sum over this many cells."""
WIDEST = 3 * FULL * SMOOTHED
"""The largest smoothed difference."""
MOST = (1 << 15) - 1
"""The largest number in a plane."""
STRONG_EDGE = 24
PLAIN = 4
"""A picture is plain if less than one cell in so many is at an edge."""


@dataclass(frozen=True)
class Background:
    """What a place looks like when nothing is there."""

    cells: Cells
    spread: Plane
    """How much a cell differs from it at most, as a rule: smoothed, 0 to 9 * 1530."""

    @cached_property
    def over(self) -> npt.NDArray[np.bool_]:
        """Which colours of which cells were overexposed when it was learned."""
        return np.asarray(self.cells >= OVEREXPOSED)

    @cached_property
    def is_over(self) -> bool:
        """Whether any was."""
        return anywhere(self.over)


def anywhere(mask: npt.NDArray[np.bool_]) -> bool:
    """Whether a mask of any shape holds anything; `any` of NumPy takes four times as long."""
    return bool(mask.item(mask.argmax()))


def difference(picture: Cells, expected: Cells) -> Plane:
    """How much cells differ: the three colours in sum, 0 to 1530."""
    return in_sum(picture - expected)


def in_sum(apart: Cells) -> Plane:
    """The same of the differences of each colour, up or down."""
    each = np.abs(apart)
    made: Plane = each[0] + each[1]
    made += each[2]
    return made


def smoothed(values: Plane) -> Plane:
    """The sum of each value and its eight neighbours; at most 9 * 1530. Edges are repeated."""
    wide = values.shape[1] + 2
    flat, bordered = _bordered(values)
    bordered[0], bordered[-1] = bordered[1], bordered[-2]
    bordered[:, 0], bordered[:, -1] = bordered[:, 1], bordered[:, -2]
    return _of_three(flat, wide, np.add)


def thresholds(spread: Plane, brightest: int, rules: LookRules) -> Plane:
    """The smoothed difference from which on a cell has changed.

    Args:
        spread: how much each cell usually differs.
        brightest: the largest gain, in 256ths: noise grows with it.
        rules: of looking.
    """
    smallest = rules.least_difference * SMOOTHED
    fits = WIDEST * rules.spreads <= MOST >= WIDEST + smallest
    usual = spread if fits else spread.astype(np.int32)
    least = np.minimum(usual * rules.spreads, usual + smallest).clip(smallest, MOST)
    if brightest > ONE:
        least = np.minimum(np.multiply(least, brightest, dtype=np.int32) >> 8, MOST)
    return least.astype(np.int16)


def is_clear(smoothed: Plane, least: Plane, rules: LookRules) -> Mask:
    """Which cells differ by much more than what makes a cell count as changed.

    Args:
        smoothed: how much they differ; of any shape.
        least: from `thresholds`.
        rules: of looking.
    """
    return np.asarray(
        smoothed.astype(np.int32) * 100 > least.astype(np.int32) * rules.clear_percent
    )


def is_restless(least: Plane, rules: LookRules) -> Mask:
    """Where so much is usual that a cell counts as changed by less than twice that.

    Args:
        least: from `thresholds`; of any shape.
        rules: of looking.
    """
    return least > 2 * rules.least_difference * SMOOTHED


def is_widespread(changed: Mask, count: int, rules: LookRules) -> bool:
    """Whether many cells have changed in more ninths of the picture than a subject reaches into.

    Args:
        changed: which cells have.
        count: how many have.
        rules: of looking.
    """
    rows, columns = changed.shape
    least = (rules.most_regions + 1) * rules.region_percent * (rows // 3) * (columns // 3)
    if min(rows, columns) < 3 or 100 * count <= least:
        return False
    left = len(ninths := _ninths(rows, columns))
    for ninth in (changed[part] for part in ninths):
        left -= 100 * int(np.count_nonzero(ninth)) <= rules.region_percent * ninth.size
        if left <= rules.most_regions:
            return False
    return True


@lru_cache(maxsize=8)
def _ninths(rows: int, columns: int) -> list[tuple[slice, slice]]:
    return list(itertools.product(_thirds(rows), _thirds(columns)))


def _thirds(side: int) -> list[slice]:
    """The first ones are longer."""
    ends = [0, (side + 2) // 3, side - side // 3, side]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


def shows_the_same(picture: Cells, background: Cells, rules: LookRules) -> bool:
    """Whether edges of the background are still edges and rise the same way, whatever the light."""
    now, usual = (p.sum(axis=0, dtype=np.int32) for p in (picture, background))
    same = strong = 0
    for axis in (0, 1):
        rise, usual_rise = np.diff(now, axis=axis), np.diff(usual, axis=axis)
        edges = np.abs(usual_rise) >= STRONG_EDGE
        strong += int(np.count_nonzero(edges))
        same += int(np.count_nonzero(edges & (rise * usual_rise > 0)))
    return 100 * same >= rules.same_edges_percent * strong


def is_plain(picture: Cells) -> bool:
    """Whether a picture has too few edges to tell a place by: a wall, darkness."""
    values = picture.sum(axis=0, dtype=np.int32)
    strong = sum(
        int(np.count_nonzero(np.abs(np.diff(values, axis=axis)) >= STRONG_EDGE)) for axis in (0, 1)
    )
    return PLAIN * strong < int(values.size)


def grown(mask: Mask) -> Mask:
    """A mask with the neighbours of its cells, also at corners."""
    return _of_three(_bordered(mask)[0], mask.shape[1] + 2, np.logical_or)


def grown_each(masks: Mask) -> Mask:
    """The same of several masks (n, rows, columns), one below the other with a row between."""
    count, rows, columns = masks.shape
    flat, bordered = _border(count * (rows + 1), columns, bool)
    bordered[1:-1].reshape(count, rows + 1, -1)[:, :-1, 1:-1] = masks
    made = _of_three(flat, columns + 2, np.logical_or)
    return made.reshape(count, rows + 1, columns)[:, :-1]


def step_across(picture: Cells, mask: Mask) -> int:
    """How large the steps between two cells are of which one lies in a mask and one outside.

    The two are three cells apart: a smoothed change reaches a cell too far, and edges are soft.
    """
    values, total = picture.sum(axis=0, dtype=np.int32), 0
    for one, other in ((np.s_[:-3], np.s_[3:]), (np.s_[:, :-3], np.s_[:, 3:])):
        crossing = mask[one] != mask[other]
        total += int(np.abs(values[one] - values[other])[crossing].sum(dtype=np.int64))
    return total


def _bordered(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Values inside of a border of zeros, flat and in rows."""
    rows, columns = values.shape
    flat, bordered = _border(rows, columns, values.dtype)
    bordered[1:-1, 1:-1] = values
    return flat, bordered


def _border(
    rows: int, columns: int, dtype: npt.DTypeLike
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Zeros for values and a border around them, flat and in rows.

    Two more zeros are at the end, so that the last row is a whole one when two columns are gone.
    """
    flat = np.zeros((rows + 2) * (columns + 2) + 2, dtype)
    return flat, flat[:-2].reshape(rows + 2, columns + 2)


def _of_three(flat: npt.NDArray[Any], wide: int, combined: np.ufunc) -> npt.NDArray[Any]:
    """Each value combined with its eight neighbours, without the border.

    Row after row in memory, so that each step is one pass.
    """
    down = combined(flat[: -2 * wide], flat[wide:-wide])
    combined(down, flat[2 * wide :], out=down)
    made = combined(down[:-2], down[1:-1])
    combined(made, down[2:], out=made)
    return np.ascontiguousarray(made.reshape(-1, wide)[:, :-2])
