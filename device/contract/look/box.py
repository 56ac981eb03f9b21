"""From changed cells to subjects and their boxes.

Subjects are found in blocks of 3x3 cells, whose bits stand in one long integer: a flood fill is
then a few shifts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Box
from device.contract.look.cells import Grid
from device.contract.look.change import Mask, Plane
from device.contract.look.rules import LookRules

BLOCK = 3
"""Side of a block in cells."""
LEAST_IN_BLOCK = 3
"""A block counts if this many of its nine cells have changed; fewer are noise."""
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


def subjects(smoothed: Plane, changed: Mask, clear: Mask, rules: LookRules) -> list[Subject]:
    """What has changed, piece by piece, the largest first; pieces that are too small are left out.

    Args:
        smoothed: how much each cell differs.
        changed: which cells differ by more than is usual.
        clear: which of them differ by much more; each subject has some.
        rules: of looking.
    """
    found = []
    for piece in _pieces(_blocks(changed)):
        mask = changed & _enlarged(piece, changed.shape)
        if int(np.count_nonzero(clear & mask)) < rules.least_clear_cells:
            continue
        # The faint rim of a strong change is its shadow, or the smoothing.
        mask &= smoothed >= -(-int(smoothed[mask].max()) * rules.peak_percent // 100)
        cells = int(np.count_nonzero(mask))
        if cells >= rules.least_cells:
            across = _most_of(mask.sum(axis=0, dtype=np.int64), cells, rules)
            down = _most_of(mask.sum(axis=1, dtype=np.int64), cells, rules)
            found.append(Subject(mask, cells, across[0], down[0], across[1], down[1]))
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


def _most_of(counts: npt.NDArray[np.int64], total: int, rules: LookRules) -> tuple[int, int]:
    """First and last place, exclusive, of all but the outermost counts."""
    reached = np.cumsum(counts) * 100
    outside = total * rules.trim_percent
    first = int(np.searchsorted(reached, outside, side="right"))
    last = int(np.searchsorted(reached, 100 * total - outside, side="left"))
    return first, last + 1


def _blocks(changed: Mask) -> Mask:
    """Which blocks have changed, with `REACH` empty columns at the right."""
    rows, columns = (-(-side // BLOCK) for side in changed.shape)
    padded = np.zeros((rows * BLOCK, columns * BLOCK), np.int8)
    padded[: changed.shape[0], : changed.shape[1]] = changed
    bands = padded[::BLOCK] + padded[1::BLOCK] + padded[2::BLOCK]
    counts = bands[:, ::BLOCK] + bands[:, 1::BLOCK] + bands[:, 2::BLOCK]
    blocks = np.zeros((rows, columns + REACH), bool)
    blocks[:, :-REACH] = counts >= LEAST_IN_BLOCK
    return blocks


def _pieces(blocks: Mask) -> Iterator[Mask]:
    """Blocks that touch, also at corners, or have one block between them."""
    width, count = blocks.shape[1], blocks.size
    left = int.from_bytes(np.packbits(blocks, bitorder="little").tobytes(), "little")
    while left:
        piece = left & -left
        while (grown := _grown(piece, width) & left) != piece:
            piece = grown
        left &= ~piece
        data = np.frombuffer(piece.to_bytes(-(-count // 8), "little"), np.uint8)
        bits = np.unpackbits(data, count=count, bitorder="little")
        yield bits.reshape(blocks.shape).astype(bool)


def _grown(bits: int, width: int) -> int:
    """The bits with all that are up to `REACH` away."""
    for _ in range(REACH):
        bits |= bits << 1 | bits >> 1
        bits |= bits << width | bits >> width
    return bits


def _enlarged(blocks: Mask, shape: tuple[int, ...]) -> Mask:
    """The cells of blocks."""
    cells = np.repeat(np.repeat(blocks, BLOCK, axis=0), BLOCK, axis=1)
    return np.asarray(cells[: shape[0], : shape[1]])
