"""What differs between a small picture and a background, with the light divided out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device.contract.look.cells import Cells
from device.contract.look.light import ONE
from device.contract.look.rules import LookRules

Plane = npt.NDArray[np.int16]
"""One number for each cell, (rows, columns)."""
Mask = npt.NDArray[np.bool_]
"""(rows, columns)."""
SMOOTHED = 9
"""A smoothed difference is the sum over this many cells."""
STRONG_EDGE = 24
PLAIN = 4
"""A picture is plain if less than one cell in so many is at an edge."""


@dataclass(frozen=True)
class Background:
    """What a place looks like when nothing is there."""

    cells: Cells
    spread: Plane
    """How much a cell differs from it at most, as a rule: smoothed, 0 to 9 * 1530."""


def difference(picture: Cells, expected: Cells) -> Plane:
    """How much cells differ: the three colours in sum, 0 to 1530."""
    apart = np.abs(picture - expected)
    return np.asarray(apart[0] + apart[1] + apart[2], np.int16)


def smoothed(values: Plane) -> Plane:
    """The sum of each value and its eight neighbours; at most 9 * 1530. Edges are repeated."""
    down = values.copy()
    down[1:] += values[:-1]
    down[:-1] += values[1:]
    down[0] += values[0]
    down[-1] += values[-1]
    made = down.copy()
    made[:, 1:] += down[:, :-1]
    made[:, :-1] += down[:, 1:]
    made[:, 0] += down[:, 0]
    made[:, -1] += down[:, -1]
    return made


def thresholds(spread: Plane, brightest: int, rules: LookRules) -> Plane:
    """The smoothed difference from which on a cell has changed.

    Args:
        spread: how much each cell usually differs.
        brightest: the largest gain, in 256ths: noise grows with it.
        rules: of looking.
    """
    usual = spread.astype(np.int32) * rules.spreads
    least = np.maximum(usual, rules.least_difference * SMOOTHED)
    limited = np.minimum(least * max(ONE, brightest) >> 8, np.iinfo(np.int16).max)
    return np.asarray(limited, np.int16)


def regions_changed(changed: Mask, rules: LookRules) -> int:
    """In how many ninths of the picture many cells have changed."""
    if min(changed.shape) < 3:
        return 0
    (rows, high), (columns, wide) = map(_thirds, changed.shape)
    bands = np.add.reduceat(changed, rows, axis=0, dtype=np.int32)
    counts = np.add.reduceat(bands, columns, axis=1)
    return int(np.count_nonzero(100 * counts > rules.region_percent * high[:, None] * wide))


@lru_cache(maxsize=8)
def _thirds(side: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where thirds begin, and how long they are; the first ones are longer."""
    lengths = np.array([(side + 2) // 3, (side + 1) // 3, side // 3])
    return np.array([0, lengths[0], lengths[0] + lengths[1]]), lengths


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
    larger = mask.copy()
    larger[1:] |= mask[:-1]
    larger[:-1] |= mask[1:]
    across = larger.copy()
    larger[:, 1:] |= across[:, :-1]
    larger[:, :-1] |= across[:, 1:]
    return larger


def step_across(picture: Cells, mask: Mask) -> int:
    """How large the steps between two cells are of which one lies in a mask and one outside.

    The two are three cells apart: a smoothed change reaches a cell too far, and edges are soft.
    """
    values, total = picture.sum(axis=0, dtype=np.int32), 0
    for one, other in ((np.s_[:-3], np.s_[3:]), (np.s_[:, :-3], np.s_[:, 3:])):
        crossing = mask[one] != mask[other]
        total += int(np.abs(values[one] - values[other])[crossing].sum(dtype=np.int64))
    return total
