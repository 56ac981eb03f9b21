"""A camera that was nudged shows the same place some cells aside."""

import itertools

import numpy as np

from device.contract.look import change, light, place
from device.contract.look.cells import Cells
from device.contract.look.change import Background, Mask, Plane

MOST = 8
"""A nudge moves the picture by at most so many cells; more is another place."""
LEAST_SIDE = 6 * MOST
"""Pictures of fewer rows or columns are too small to tell."""
MOST_APART = 64
"""A cell counts no more than this, so that a visitor cannot decide."""
SHARE_PERCENT = 60
"""The place is the same if it differs by less than this share of what other shifts give."""
OUTSIDE = 60 * change.SMOOTHED
"""The spread of cells that were outside of the picture."""


def nudged(picture: Cells, known: Background) -> Background | None:
    """The background as the nudged camera sees it; None if it does not see this place.

    A nudge is no whole number of cells. Where the background has edges, cells may therefore differ
    by as much as these are high, until the background has followed.
    """
    if min(known.spread.shape) < LEAST_SIDE:
        return None
    down, right = _shift(picture, light.lit(known.cells, light.gains(picture, known.cells)))
    if (down, right) == (0, 0):
        return None
    cells, outside = _moved(known.cells, down, right)
    of_light = light.gains(picture, cells)
    cells = np.where(outside, light.unlit(picture, of_light), cells)
    usual, steps = _moved(np.stack([known.spread, _steps(known.cells)]), down, right)[0]
    # Also of edges that are now just outside: a part of a cell of theirs may be inside.
    spread = np.maximum(usual, _unsure(np.maximum(steps, _steps(cells))))
    spread = np.minimum(spread, place.MOST_SPREAD)
    return Background(cells, np.where(outside, np.maximum(spread, OUTSIDE), spread))


def _shift(picture: Cells, expected: Cells) -> tuple[int, int]:
    """By how many rows and columns the picture shows the background lower and further right."""
    now, usual = (p.sum(axis=0, dtype=np.int16) for p in (picture, expected))
    rows, columns = (side - 2 * MOST for side in now.shape)
    inner = usual[MOST : MOST + rows, MOST : MOST + columns]
    apart = {}
    for down, right in itertools.product(range(-MOST, MOST + 1), repeat=2):
        there = now[MOST + down :, MOST + right :][:rows, :columns]
        differs = np.minimum(np.abs(there - inner), MOST_APART)
        apart[down, right] = int(differs.sum(dtype=np.int64))
    best = min(apart, key=lambda shift: apart[shift])
    usually = sorted(apart.values())[len(apart) // 2]
    return best if 100 * apart[best] < SHARE_PERCENT * usually else (0, 0)


def _moved(planes: Cells, down: int, right: int) -> tuple[Cells, Mask]:
    """Planes (n, rows, columns) moved, and which cells come from outside of them."""
    rows, columns = planes.shape[1:]
    y, x = np.arange(rows) - down, np.arange(columns) - right
    inside = ((y >= 0) & (y < rows))[:, None] & ((x >= 0) & (x < columns))
    return planes[:, y.clip(0, rows - 1)[:, None], x.clip(0, columns - 1)], ~inside


def _steps(cells: Cells) -> Plane:
    """How much cells differ from those before and above."""
    steps = np.zeros(cells.shape[1:], np.int16)
    steps[:, 1:] = change.difference(cells[:, :, 1:], cells[:, :, :-1])
    steps[1:] = np.maximum(steps[1:], change.difference(cells[:, 1:], cells[:, :-1]))
    return steps


def _unsure(steps: Plane) -> Plane:
    """Steps as a spread: half of them."""
    # At the rim, which smoothing repeats, a step may lie on either side of an edge.
    steps[:, 0] = np.maximum(steps[:, 0], steps[:, 1])
    steps[0] = np.maximum(steps[0], steps[1])
    return change.smoothed(steps) // 2
