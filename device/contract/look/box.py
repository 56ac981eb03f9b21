"""From changed cells to subjects and their boxes.

Subjects are found in blocks of 3x3 cells, whose bits stand in one long integer: a flood fill is
then a few shifts.
"""

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Box
from device.contract.look import change
from device.contract.look.cells import Grid
from device.contract.look.change import Mask, Plane
from device.contract.look.rules import LookRules

BLOCK = 3
"""Side of a block in cells."""
LEAST_IN_BLOCK = 3
"""A block counts if this many of its nine cells have changed; fewer are noise."""
MOSTLY_PERCENT = 75
"""Of a piece that is clear in this share of its cells no gust is suspected."""
REACH = 2
"""Pieces with one block between them belong together; rows are kept apart by as many columns."""


@dataclass(frozen=True)
class Subject:
    """Cells that have changed together."""

    mask: Mask
    cells: int
    """How many."""
    left: int
    upper: int
    right: int
    lower: int
    """Around most of them, in cells; right and lower are exclusive."""

    def is_filled(self, rules: LookRules) -> bool:
        """Whether it fills its box as a body does; rain and twigs do not."""
        area = (self.right - self.left) * (self.lower - self.upper)
        return 100 * self.cells >= rules.filled_percent * area


def subjects(smoothed: Plane, least: Plane, changed: Mask, rules: LookRules) -> list[Subject]:
    """What has changed, piece by piece, the largest first; pieces that are too small are left out.

    Args:
        smoothed: how much each cell differs.
        least: from which difference on it has changed; a subject has some that differ by much more.
        changed: which cells have, and may be of a subject.
        rules: of looking.
    """
    found = []
    for upper, left, piece in _pieces(_blocks(changed), rules.least_cells):
        part = np.s_[upper : upper + len(piece), left : left + piece.shape[1]]
        mask = piece[: len(changed) - upper, : changed.shape[1] - left] & changed[part]
        if np.count_nonzero(mask) < rules.least_cells:
            continue
        mask = _distinct(mask, smoothed[part], least[part], rules)
        cells = int(np.count_nonzero(mask))
        if cells >= rules.least_cells:
            whole = np.zeros(changed.shape, bool)
            whole[part] = mask
            across, down = (
                _most_of(np.add.reduce(mask, axis, np.int32), cells, rules) for axis in (0, 1)
            )
            edges = (left + across[0], upper + down[0], left + across[1], upper + down[1])
            found.append(Subject(whole, cells, *edges))
    found = [subject for subject in found if subject.is_filled(rules)]
    return sorted(found, key=lambda subject: -subject.cells)


def square(subject: Subject, grid: Grid, rules: LookRules) -> Box:
    """A square of frame pixels around a subject, with a margin, inside the frame."""
    left, right = subject.left * grid.cell_width_px, subject.right * grid.cell_width_px
    upper, lower = subject.upper * grid.cell_height_px, subject.lower * grid.cell_height_px
    shorter = min(grid.width_px, grid.height_px)
    side = max(right - left, lower - upper) * (100 + 2 * rules.margin_percent) // 100
    side = max(1, min(shorter, max(side, shorter * rules.least_side_percent // 100)))
    x = min(max(0, (left + right - side) // 2), grid.width_px - side)
    y = min(max(0, (upper + lower - side) // 2), grid.height_px - side)
    return x, y, x + side, y + side


def _distinct(mask: Mask, smoothed: Plane, least: Plane, rules: LookRules) -> Mask:
    """A piece without what is faint in it; nothing, if it is faint altogether."""
    clear = change.is_clear(smoothed, least, rules) & mask
    if np.count_nonzero(clear) < rules.least_clear_cells:
        return np.zeros_like(mask)
    # The faint rim of a strong change is its shadow, or the smoothing.
    peak = int((smoothed * mask).max())
    distinct = np.asarray(mask & (smoothed >= -(-peak * rules.peak_percent // 100)))
    return distinct if _is_clear_altogether(distinct, clear, least, rules) else np.zeros_like(mask)


def _is_clear_altogether(distinct: Mask, clear: Mask, least: Plane, rules: LookRules) -> bool:
    """Whether most of a piece is clear, or enough of its restless cells: no gust among leaves."""
    if 100 * np.count_nonzero(clear & distinct) >= MOSTLY_PERCENT * np.count_nonzero(distinct):
        return True
    restless = distinct & change.is_restless(least, rules)
    wanted = rules.restless_clear_percent * int(np.count_nonzero(restless))
    return 100 * int(np.count_nonzero(clear & restless)) >= wanted


def _most_of(counts: npt.NDArray[np.int32], total: int, rules: LookRules) -> tuple[int, int]:
    """First and last place, exclusive, of all but the outermost counts."""
    reached = list(itertools.accumulate(counts.tolist()))
    outside = total * rules.trim_percent
    first = bisect.bisect_right(reached, outside // 100)
    last = bisect.bisect_left(reached, -(-(100 * total - outside) // 100))
    return first, last + 1


def _blocks(changed: Mask) -> Mask:
    """Which blocks have changed, with `REACH` empty columns at the right."""
    rows, columns = (-(-side // BLOCK) for side in changed.shape)
    high, wide = rows * BLOCK, columns * BLOCK
    # Sums over all 3x3 cells, in rows one after the other; what is left over at the end is 0.
    flat = np.zeros((high + BLOCK) * wide, np.int8)
    flat[: high * wide].reshape(high, wide)[: changed.shape[0], : changed.shape[1]] = changed
    for apart in (1, wide):
        flat[: -2 * apart] += flat[apart:-apart] + flat[2 * apart :]
    counts = flat[: high * wide].reshape(high, wide)[::BLOCK, ::BLOCK]
    blocks = np.zeros((rows, columns + REACH), bool)
    blocks[:, :-REACH] = counts >= LEAST_IN_BLOCK
    return blocks


def _pieces(blocks: Mask, least_cells: int) -> Iterator[tuple[int, int, Mask]]:
    """Blocks that touch, also at corners, or have one block between them.

    Yields:
        The first row and column of cells of a piece, and all of its cells from there on; of pieces
        of so many cells.
    """
    width = blocks.shape[1]
    left = int.from_bytes(np.packbits(blocks, bitorder="little").tobytes(), "little")
    while left:
        piece = left & -left
        while (grown := _grown(piece, width) & left) != piece:
            piece = grown
        left &= ~piece
        if BLOCK * BLOCK * piece.bit_count() >= least_cells:
            yield _cells(piece, width)


def _grown(bits: int, width: int) -> int:
    """The bits with all that are up to `REACH` away."""
    for _ in range(REACH):
        bits |= bits << 1 | bits >> 1
        bits |= bits << width | bits >> width
    return bits


def _cells(bits: int, width: int) -> tuple[int, int, Mask]:
    """The rectangle of cells around blocks: where it begins, and which cells in it are theirs."""
    upper = ((bits & -bits).bit_length() - 1) // width
    rows = -(-bits.bit_length() // width) - upper
    data = (bits >> upper * width).to_bytes(-(-rows * width // 8), "little")
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * width, bitorder="little")
    blocks = flat.view(bool).reshape(rows, width)
    columns = np.flatnonzero(blocks.any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    cells = blocks[:, left:right].repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)
    return BLOCK * upper, BLOCK * left, cells
