"""Which of very many pictures are alike, without comparing each with each.

Vectors of length 1 with a dot product of at least t lie within sqrt(2 - 2 t) of one another. They
are shortened to their main components, which brings no two of them farther apart, and put into
cells around centres. Other than in a search for neighbours, none is missed: a vector is compared
with those of another cell unless the plane between the two centres keeps them apart. What is left
is compared in full, so the result depends neither on the centres nor on any order. Only where
planes keep little apart, as in pure noise, cells are compared with the nearest ones alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from train.data.events.centres import (
    BLOCK,
    Floats,
    Numbers,
    Vectors,
    centres_of,
    nearest_to,
    number_of_cells,
    ordered,
    sampled,
)
from train.data.events.planes import Planes
from train.data.looks import folder_of
from train.filed import Table, table
from train.memory import give_back

COMPONENTS = 64
"""Numbers that a vector is shortened to; the length of what is cut off is one more."""
SLACK = 1e-4
"""Of distances: rounding must lose no pair."""
WIDE = 8192
"""A block of so many columns is compared with `BLOCK` lines at a time."""
LARGE = 2**18
"""Pairs from which it is worth to ask first whether all are in one group."""
CHECKED = 4096
"""Pairs that are compared in full at a time."""
DENSE = 0.01
"""Share of a block from which whole blocks are compared in full instead of pairs."""
UNSURE = 1e-5
"""What is so near to a threshold in sums of float32 is summed again in float64."""


@dataclass(frozen=True)
class Space:
    """How vectors are shortened, and around which centres the cells are."""

    mean: Floats
    """(numbers,)."""
    basis: Floats
    """(numbers, components)."""
    centres: Floats
    """(cells, components + 1)."""

    @classmethod
    def of(cls, vectors: Vectors, rows: Numbers) -> "Space":
        """From a sample of some rows."""
        sample = rows[sampled(len(rows))]
        mean, basis = _axes(vectors, sample)
        short = [_shortened(vectors[sample[part]], mean, basis) for part in _parts(len(sample))]
        short.append(np.empty((0, basis.shape[1] + 1), np.float32))
        return cls(mean, basis, centres_of(np.concatenate(short), number_of_cells(len(rows))))

    def shortened(self, vectors: Floats) -> Floats:
        """(m, components + 1), no two of which are farther apart than the vectors."""
        return _shortened(vectors, self.mean, self.basis)


@dataclass(frozen=True)
class Cells:
    """Shortened vectors in cells around centres."""

    vectors: Vectors
    space: Space
    rows: Numbers
    """(m,), the vectors of length 1, by cell; one of length 0 resembles nothing."""
    lifted: Table
    """(m, components + 3): shortened vectors; minus half their squared length; 1."""
    bounds: Numbers
    """(cells + 1,), where each cell begins in `rows`, and the end."""

    @classmethod
    def of(cls, vectors: Vectors, space: Space | None = None) -> "Cells":
        """Divide vectors into cells, those of their own or of another space."""
        give_back()
        rows, folder = _used(vectors), folder_of(vectors)
        space = space or Space.of(vectors, rows)
        shape = (len(rows), space.centres.shape[1] + 2)
        lifted, nearest = table(shape, np.float32, folder), np.empty(len(rows), np.int64)
        for part in _parts(len(rows)):
            short = space.shortened(vectors[rows[part]])
            nearest[part] = nearest_to(short, space.centres)
            last = np.stack([-(short**2).sum(1) / 2, np.ones(len(short), np.float32)], axis=1)
            lifted[part] = np.hstack([short, last])
        order, bounds = ordered(nearest, len(space.centres))
        by_cell = table(shape, np.float32, folder)
        for part in _parts(len(rows)):
            by_cell[part] = lifted[order[part]]
        return cls(vectors, space, rows[order], by_cell, bounds)

    @cached_property
    def planes(self) -> Planes:
        """Between the cells."""
        folder = folder_of(self.vectors)
        return Planes(self.lifted, self.bounds, self.space.centres, folder)

    def near(self, distance: float) -> Iterator[tuple[Numbers, Numbers]]:
        """Sets of indices: any two vectors within a distance are in one cell or in both sets.

        A cell is given with itself, as one object.
        """
        facing = self.planes.facing(distance + SLACK, self.planes.least)
        worth = facing.worth(facing, self.planes.gaps)
        for cell, (start, end) in enumerate(pairwise(self.bounds.tolist())):
            if start == end:
                continue
            inside = np.arange(start, end)
            yield inside, inside
            for other in (np.flatnonzero(worth[cell, cell + 1 :]) + cell + 1).tolist():
                there = self.bounds[other] + facing.members(other, cell)
                yield start + facing.members(cell, other), there

    def near_others(self, others: "Cells", distance: float) -> Iterator[tuple[Numbers, Numbers]]:
        """The same, the second set being of other vectors, which are in cells of this space."""
        mine = self.planes.facing(distance + SLACK, others.planes.least)
        theirs = others.planes.facing(distance + SLACK, self.planes.least)
        for cell, other in np.argwhere(mine.worth(theirs, self.planes.gaps)).tolist():
            here = self.bounds[cell] + mine.members(cell, other)
            yield here, others.bounds[other] + theirs.members(other, cell)

    def connecting(self, threshold: float) -> Numbers:
        """Pairs (2, m) of rows that connect the same vectors as all that reach a threshold do."""
        names, found = np.arange(len(self.rows)), [np.empty((2, 0), np.int64)]
        compared = _Compared(self, self, threshold)
        for lines, columns in _blocks(self.near(distance(threshold))):
            if len(lines) * len(columns) >= LARGE:
                roots = _roots(names, lines)
                if (roots == roots[0]).all():
                    columns = columns[_roots(names, columns) != roots[0]]
            pairs = compared.reaching(lines, columns, names)
            if pairs.size:
                found.append(self.rows[_united(names, pairs)])
        return np.concatenate(found, axis=1)

    def pairs(self, threshold: float, most: int | None = None) -> Numbers:
        """All pairs (2, m) of rows that reach a threshold, in order; only `most` + 1 of more."""
        found, count = [np.empty((2, 0), np.int64)], 0
        compared = _Compared(self, self, threshold)
        for lines, columns in _blocks(self.near(distance(threshold))):
            pairs = compared.reaching(lines, columns)
            found.append(np.sort(self.rows[pairs], axis=0))
            count += pairs.shape[1]
            # A block of a cell with itself gives each pair twice.
            if most is not None and count > 2 * (most + 1):
                break
        cut = slice(None if most is None else most + 1)
        return np.unique(np.concatenate(found, axis=1), axis=1)[:, cut]

    def pairs_with(self, others: "Cells", threshold: float) -> Iterator[Numbers]:
        """In parts, all pairs (2, m) of a row and one of others that reach a threshold."""
        compared = _Compared(self, others, threshold)
        for lines, columns in _blocks(self.near_others(others, distance(threshold))):
            first, second = compared.reaching(lines, columns)
            yield np.stack([self.rows[first], others.rows[second]])


def _blocks(near: Iterator[tuple[Numbers, Numbers]]) -> Iterator[tuple[Numbers, Numbers]]:
    for first, second in near:
        for start in range(0, len(first), BLOCK):
            # Each pair within a cell once, but for those within a block.
            begin = start if first is second else 0
            for left in range(begin, len(second), WIDE):
                yield first[start : start + BLOCK], second[left : left + WIDE]


@dataclass(frozen=True)
class _Compared:
    """Members of cells that are compared, in short and in full."""

    one: Cells
    other: Cells
    threshold: float

    def reaching(self, lines: Numbers, columns: Numbers, names: Numbers | None = None) -> Numbers:
        """Pairs (2, m) of indices that reach the threshold, but for those that `names` connects."""
        pairs = self._candidates(lines, columns)
        one, other = lines[pairs[0]], columns[pairs[1]]
        new = self._different(one, other)
        if names is not None and len(new):
            new = _roots(names, one) != _roots(names, other)
        one, other = one[new], other[new]
        if len(one) > DENSE * len(lines) * len(columns) + CHECKED:
            return self._all_reaching(lines, columns)
        reached = self._reach(one, other)
        return np.stack([one[reached], other[reached]])

    def _different(self, one: Numbers, other: Numbers) -> npt.NDArray[np.bool_]:
        return one != other if self.one is self.other else np.ones(len(one), bool)

    def _candidates(self, lines: Numbers, columns: Numbers) -> Numbers:
        """Pairs (2, m), as places in both, that may reach the threshold."""
        other = np.array(_of_a_cell(self.other.lifted, columns))
        # The product of two rows becomes minus half their squared distance.
        other[:, [-1, -2]] = other[:, [-2, -1]]
        like = _of_a_cell(self.one.lifted, lines) @ other.T >= self.threshold - 1 - SLACK
        return np.array(np.divmod(np.flatnonzero(like), max(1, len(columns))))

    def _reach(self, first: Numbers, second: Numbers) -> npt.NDArray[np.bool_]:
        """(m,): whether the vectors of pairs of indices reach the threshold."""
        found = np.empty(len(first), bool)
        for start in range(0, len(first), CHECKED):
            part = slice(start, start + CHECKED)
            one, other = self._vectors(first[part], second[part])
            found[part] = _reaches(np.einsum("ij,ij->i", one, other), one, other, self.threshold)
        return found

    def _all_reaching(self, first: Numbers, second: Numbers) -> Numbers:
        """Pairs (2, m) of indices that reach the threshold, found by comparing all in full."""
        one, other = self._vectors(first, second)
        like = one @ other.T
        lines, columns = np.divmod(np.flatnonzero(like >= self.threshold - UNSURE), len(second))
        sums = like[lines, columns]
        sure = sums >= self.threshold + UNSURE
        open_ = np.flatnonzero(~sure)
        sure[open_] = self._reach(first[lines[open_]], second[columns[open_]])
        sure &= self._different(first[lines], second[columns])
        return np.stack([first[lines[sure]], second[columns[sure]]])

    def _vectors(self, first: Numbers, second: Numbers) -> tuple[Floats, Floats]:
        one, other = self.one, self.other
        return one.vectors[one.rows[first]], other.vectors[other.rows[second]]


def distance(threshold: float) -> float:
    """How far vectors of length 1 are apart at most if their product reaches a threshold."""
    return math.sqrt(max(0.0, 2 - 2 * threshold))


def _of_a_cell(lifted: Table, indices: Numbers) -> Floats:
    """Rows whose indices grow and lie together: read at once."""
    if not len(indices):
        return np.asarray(lifted[0:0])
    first = int(indices[0])
    return np.asarray(lifted[first : int(indices[-1]) + 1][indices - first])


def _roots(names: Numbers, rows: Numbers) -> Numbers:
    """The group of each row: names lead on to the names of their groups."""
    roots = names[rows]
    while True:
        further = names[roots]
        if np.array_equal(further, roots):
            return roots
        roots = further


def _united(names: Numbers, pairs: Numbers) -> Numbers:
    """Lets `names` connect the ends of pairs, and gives the pairs that were needed for it."""
    ends = np.sort(np.stack([_roots(names, pairs[0]), _roots(names, pairs[1])]), axis=0)
    needed = []
    _, first = np.unique(ends, axis=1, return_index=True)
    for i in first.tolist():
        low, high = sorted(_roots(names, ends[:, i]).tolist())
        if low != high:
            names[high] = low
            needed.append(i)
    names[pairs] = _roots(names, pairs)
    return pairs[:, needed]


def _reaches(sums: Floats, one: Floats, other: Floats, threshold: float) -> npt.NDArray[np.bool_]:
    found = sums >= threshold
    unsure = np.flatnonzero(np.abs(sums - threshold) < UNSURE)
    exact = np.einsum("ij,ij->i", one[unsure].astype(np.float64), other[unsure])
    found[unsure] = exact >= threshold
    return np.asarray(found)


def _used(vectors: Vectors) -> Numbers:
    """The rows that are not 0."""
    used = [np.empty(0, np.int64)]
    for part in _parts(len(vectors)):
        used.append(np.flatnonzero(vectors[part].any(axis=1)) + part.start)
    return np.concatenate(used)


def _axes(vectors: Vectors, rows: Numbers) -> tuple[Floats, Floats]:
    """The mean (numbers,) of some rows, and their main components (numbers, components)."""
    numbers = vectors[:1].shape[1]
    mean, products = np.zeros(numbers), np.zeros((numbers, numbers))
    for part in _parts(len(rows)):
        mean += vectors[rows[part]].sum(axis=0, dtype=np.float64) / len(rows)
    for part in _parts(len(rows)):
        values = vectors[rows[part]] - mean.astype(np.float32)
        products += values.T @ values
    basis = np.linalg.eigh(products)[1][:, -COMPONENTS:]
    return mean.astype(np.float32), basis.astype(np.float32)


def _shortened(vectors: Floats, mean: Floats, basis: Floats) -> Floats:
    values = vectors - mean
    short = values @ basis
    rest = (values**2).sum(1) - (short**2).sum(1)
    return np.hstack([short, np.sqrt(rest.clip(0))[:, None]])


def _parts(count: int) -> Iterator[slice]:
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))
