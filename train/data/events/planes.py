"""Which members of two cells may be near one another: by the plane between the two centres."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.data.events.centres import Floats, Numbers
from train.filed import Table, table

Flags = npt.NDArray[np.bool_]

MOST_COMPARED = 20_000
"""Where planes keep less apart, the members of a cell are compared with so many others each, those
of the nearest cells: so the time grows with the vectors. Fewer vectors are all compared."""
CLOSE = 1e-2
"""Centres that are nearer than this have no plane between them."""
PART = 2048


@dataclass(frozen=True)
class Facing:
    """The members of each cell that may be within a distance of a member of each other cell."""

    bits: Table
    """uint8 (bytes,): for each cell, and for each other one, a bit for each member."""
    begins: Numbers
    """(cells,), where those of each cell begin."""
    sizes: Numbers
    """(cells,), members."""
    counts: Numbers
    """(cells, cells), how many members of the first face the second."""

    def members(self, cell: int, other: int) -> Numbers:
        """Which members of a cell, counted from its first one."""
        size = int(self.sizes[cell])
        width = -(-size // 8)
        start = int(self.begins[cell]) + other * width
        return np.flatnonzero(np.unpackbits(self.bits[start : start + width], count=size))

    def worth(self, other: "Facing", gaps: Floats) -> Flags:
        """(cells, cells): which cells of these are compared with which of the others.

        Args:
            other: other vectors around the same centres, or these.
            gaps: (cells, cells), between centres.
        """
        pairs = self.counts * other.counts.T
        within = _nearest(pairs, self.sizes, gaps) | _nearest(pairs.T, other.sizes, gaps).T
        return np.asarray(within & (pairs > 0))


def _nearest(pairs: Numbers, sizes: Numbers, gaps: Floats) -> Flags:
    """The nearest cells of each, as far as `MOST_COMPARED` reaches; its own is always one."""
    order = np.argsort(gaps, axis=1, kind="stable")
    reached = np.take_along_axis(pairs, order, axis=1).cumsum(axis=1)
    enough = reached <= MOST_COMPARED * sizes[:, None]
    found = np.eye(len(pairs), dtype=bool)
    lines, places = np.nonzero(enough)
    found[lines, order[lines, places]] = True
    return found


@dataclass(frozen=True)
class Planes:
    """The planes between the centres of cells, and where the members lie."""

    lifted: Table
    """(m, components + 3), the members by cell; the last two are no components."""
    bounds: Numbers
    """(cells + 1,), where each cell begins, and the end."""
    centres: Floats
    """(cells, components + 1)."""
    folder: Path | None
    """For what is too large for the memory; None: nothing is."""

    @cached_property
    def gaps(self) -> Floats:
        """(cells, cells), between centres."""
        rows = [np.linalg.norm(self.centres - centre, axis=1) for centre in self.centres]
        return np.stack(rows)

    @cached_property
    def least(self) -> Floats:
        """(cells, cells): how near the plane to a second cell a member of the first lies.

        Infinite without members, and minus that without a plane.
        """
        found = np.full(self.gaps.shape, np.inf, np.float32)
        for cell in range(len(self.centres)):
            for sides in self._sides(cell):
                found[cell] = np.minimum(found[cell], sides.min(axis=0))
        return found

    def facing(self, distance: float, least: Floats) -> Facing:
        """Members that may be within a distance of members of other cells.

        Args:
            distance: between members.
            least: of the vectors on the other side of each plane.
        """
        sizes = np.diff(self.bounds)
        cells = len(sizes)
        begins = np.concatenate([[0], np.cumsum(-(-sizes // 8) * cells)])
        bits = table((int(begins[-1]),), np.uint8, self.folder)
        counts = np.zeros((cells, cells), np.int64)
        for cell in np.flatnonzero(sizes).tolist():
            near = [sides <= distance - least[:, cell] for sides in self._sides(cell)]
            counts[cell] = sum(part.sum(axis=0) for part in near)
            packed = np.concatenate([np.packbits(part, axis=0) for part in near])
            bits[slice(int(begins[cell]), int(begins[cell + 1]))] = packed.T.ravel()
        return Facing(bits, begins[:-1], sizes, counts)

    def _sides(self, cell: int) -> Iterator[Floats]:
        """(part, cells), how far members of a cell lie on its side of the plane to each other."""
        centre = self.centres[cell]
        half = ((self.centres**2).sum(1) - (centre**2).sum()) / 2
        gaps = self.gaps[cell]
        start, end = self.bounds[cell : cell + 2].tolist()
        for first in range(start, end, PART):
            part = self.lifted[first : min(first + PART, end)][:, :-2]
            sides = ((part @ centre)[:, None] - part @ self.centres.T + half) / gaps.clip(CLOSE)
            # Between centres that nearly coincide there is no plane to rely on.
            sides[:, gaps < CLOSE] = -np.inf
            yield sides
