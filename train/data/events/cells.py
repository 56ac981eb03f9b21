"""Which of very many pictures are alike, without comparing each with each.

Vectors of length 1 with a dot product of at least t lie within sqrt(2 - 2 t) of one another. They
are shortened to their main components, which brings no two of them farther apart, and put into
cells around centres, as faiss does (Johnson, Douze and Jegou 2017, "Billion-scale similarity search
with GPUs"). There a few cells are searched, and some pairs are missed. Here none is: a vector is
compared with those of another cell unless the plane between the two centres keeps them apart. What
is left is compared in full, so the result depends neither on the centres nor on any order.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

COMPONENTS = 64
"""Numbers that a vector is shortened to; the length of what is cut off is one more."""
SAMPLE = 20_000
"""Vectors that the components and the centres are found from."""
ROUNDS = 4
"""How often each centre moves to the mean of its cell."""
MOST_CENTRES = 1024
IN_A_CELL = 256
"""Vectors in a cell, until there are `MOST_CENTRES`."""
SLACK = 1e-4
"""Of distances: rounding must lose no pair."""
CLOSE = 1e-2
"""Centres that are nearer than this have no plane between them."""
PROBED = 16
"""Cells that are searched for neighbours."""
MANY = 20_000
"""From so many vectors on, a search takes the place of comparing each with each."""
BLOCK = 1024
WIDE = 16_384
"""A block of so many columns is compared with `BLOCK` lines at a time."""
LARGE = 2**18
"""Pairs from which it is worth to ask first whether all are in one group."""
CHECKED = 4096
"""Pairs that are compared in full at a time."""
DENSE = 0.01
"""Share of a block from which whole blocks are compared in full instead of pairs."""
UNSURE = 1e-5
"""What is so near to a threshold in sums of float32 is summed again in float64."""


class Vectors(Protocol):
    """Rows of length 1 or 0, which need not be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Float32 (m, numbers): those of a slice, or of an array of numbers."""


@dataclass(frozen=True)
class Cells:
    """Shortened vectors in cells around centres."""

    vectors: Vectors
    rows: Numbers
    """(m,), the vectors of length 1, by cell; one of length 0 resembles nothing."""
    lifted: Floats
    """(m, components + 3): shortened vectors, two of which are at most as far apart as the vectors;
    minus half their squared length; 1."""
    centres: Floats
    """(cells, components + 1)."""
    bounds: Numbers
    """(cells + 1,), where each cell begins in `rows`, and the end."""

    @classmethod
    def of(cls, vectors: Vectors) -> "Cells":
        """Divide vectors into cells."""
        rows, mean, basis = _axes(vectors)
        lifted = np.ones((len(rows), basis.shape[1] + 3), np.float32)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            short = _shortened(vectors[rows[part]], mean, basis)
            lifted[part, :-2], lifted[part, -2] = short, -(short**2).sum(1) / 2
        centres = centres_of(lifted[:, :-2])
        members = in_cells(lifted[:, :-2], centres)
        order = np.concatenate(members)
        bounds = np.cumsum([0, *map(len, members)])
        return cls(vectors, rows[order], lifted[order], centres, bounds)

    def near(self, distance: float) -> Iterator[tuple[Numbers, Numbers]]:
        """Sets of indices: any two vectors within a distance are in one cell or in both sets.

        A cell is given with itself, as one object.
        """
        products = self._own_products()
        for cell, (start, end) in enumerate(pairwise(self.bounds.tolist())):
            if start == end:
                continue
            inside = np.arange(start, end)
            yield inside, inside
            for first in range(start, end, WIDE):
                part = slice(first, min(first + WIDE, end))
                yield from self._before_planes(cell, part, products, distance + SLACK)

    def _own_products(self) -> Floats:
        """(m,), the product of each vector and the centre of its cell."""
        own = np.empty(len(self.rows), np.float32)
        for centre, (start, end) in zip(self.centres, pairwise(self.bounds.tolist()), strict=True):
            own[start:end] = self.lifted[start:end, :-2] @ centre
        return own

    def _before_planes(
        self, cell: int, part: slice, products: Floats, distance: float
    ) -> Iterator[tuple[Numbers, Numbers]]:
        """Members of a cell, and of each later one, that may be near across the plane between.

        Args:
            cell: number of the first cell.
            part: of the vectors, members of this cell.
            products: as of `_own_products`.
            distance: that two may be apart.
        """
        sizes = np.diff(self.bounds)
        others = np.flatnonzero(sizes[cell + 1 :]) + cell + 1
        if not len(others):
            return
        starts, of_rest = self.bounds[others], np.repeat(np.arange(len(others)), sizes[others])
        rest = slice(starts[0], None)
        centre, further = self.centres[cell], self.centres[others]
        gaps = np.linalg.norm(further - centre, axis=1)
        half = ((further**2).sum(1) - (centre**2).sum()) / 2
        # How far each lies on its own side of the plane between two centres.
        scale = np.maximum(gaps, CLOSE)
        left = (products[part, None] - self.lifted[part, :-2] @ further.T + half) / scale
        right = products[rest] - self.lifted[rest, :-2] @ centre
        right = (right - half[of_rest]) / scale[of_rest]
        begins = starts - starts[0]
        least_left, least_right = left.min(axis=0), np.minimum.reduceat(right, begins)
        # Between centres that nearly coincide there is no plane to rely on.
        close = gaps < CLOSE
        near = (left <= distance - least_right) | close
        far = (right <= distance - least_left[of_rest]) | close[of_rest]
        for i in np.flatnonzero(near.any(axis=0) & np.logical_or.reduceat(far, begins)).tolist():
            there = far[begins[i] : begins[i] + sizes[others[i]]]
            yield part.start + np.flatnonzero(near[:, i]), starts[i] + np.flatnonzero(there)

    def connecting(self, threshold: float) -> Numbers:
        """Pairs (2, m) of rows that connect the same vectors as all that reach a threshold do."""
        names, found = np.arange(len(self.rows)), [np.empty((2, 0), np.int64)]
        for lines, columns in self._blocks(threshold):
            if len(lines) * len(columns) >= LARGE:
                roots = _roots(names, lines)
                if (roots == roots[0]).all():
                    columns = columns[_roots(names, columns) != roots[0]]
            pairs = self._reaching(lines, columns, threshold, names)
            if pairs.size:
                found.append(self.rows[_united(names, pairs)])
        return np.concatenate(found, axis=1)

    def pairs(self, threshold: float, most: int | None = None) -> Numbers:
        """All pairs (2, m) of rows that reach a threshold, in order; only `most` + 1 of more."""
        found, count = [np.empty((2, 0), np.int64)], 0
        for lines, columns in self._blocks(threshold):
            pairs = self._reaching(lines, columns, threshold)
            found.append(np.sort(self.rows[pairs], axis=0))
            count += pairs.shape[1]
            # A block of a cell with itself gives each pair twice.
            if most is not None and count > 2 * (most + 1):
                break
        cut = slice(None if most is None else most + 1)
        return np.unique(np.concatenate(found, axis=1), axis=1)[:, cut]

    def _blocks(self, threshold: float) -> Iterator[tuple[Numbers, Numbers]]:
        for first, second in self.near(distance(threshold)):
            for start in range(0, len(first), BLOCK):
                # Each pair within a cell once, but for those within a block.
                begin = start if first is second else 0
                for left in range(begin, len(second), WIDE):
                    yield first[start : start + BLOCK], second[left : left + WIDE]

    def _reaching(
        self, lines: Numbers, columns: Numbers, threshold: float, names: Numbers | None = None
    ) -> Numbers:
        """Pairs (2, m) of indices that reach a threshold, but for those that `names` connects."""
        pairs = self._candidates(lines, columns, threshold)
        one, other = lines[pairs[0]], columns[pairs[1]]
        new = one != other
        if names is not None and len(new):
            new = _roots(names, one) != _roots(names, other)
        one, other = one[new], other[new]
        if len(one) > DENSE * len(lines) * len(columns) + CHECKED:
            return self._all_reaching(lines, columns, threshold)
        reached = self._reach(one, other, threshold)
        return np.stack([one[reached], other[reached]])

    def _candidates(self, first: Numbers, second: Numbers, threshold: float) -> Numbers:
        """Pairs (2, m), as places in `first` and `second`, that may reach a threshold."""
        other = self.lifted[second]
        # The product of two rows becomes minus half their squared distance.
        other[:, [-1, -2]] = other[:, [-2, -1]]
        like = self.lifted[first] @ other.T >= threshold - 1 - SLACK
        return np.array(np.divmod(np.flatnonzero(like), len(second)))

    def _reach(self, first: Numbers, second: Numbers, threshold: float) -> npt.NDArray[np.bool_]:
        """(m,): whether the vectors of pairs of indices reach a threshold."""
        found = np.empty(len(first), bool)
        for start in range(0, len(first), CHECKED):
            part = slice(start, start + CHECKED)
            one, other = (self.vectors[self.rows[ends[part]]] for ends in (first, second))
            found[part] = _reaches(np.einsum("ij,ij->i", one, other), one, other, threshold)
        return found

    def _all_reaching(self, first: Numbers, second: Numbers, threshold: float) -> Numbers:
        """Pairs (2, m) of indices that reach a threshold, found by comparing all in full."""
        one, other = (self.vectors[self.rows[ends]] for ends in (first, second))
        like = one @ other.T
        lines, columns = np.divmod(np.flatnonzero(like >= threshold - UNSURE), len(second))
        sums = like[lines, columns]
        sure = sums >= threshold + UNSURE
        open_ = np.flatnonzero(~sure)
        sure[open_] = self._reach(first[lines[open_]], second[columns[open_]], threshold)
        sure &= first[lines] != second[columns]
        return np.stack([first[lines[sure]], second[columns[sure]]])


def distance(threshold: float) -> float:
    """How far vectors of length 1 are apart at most if their product reaches a threshold."""
    return math.sqrt(max(0.0, 2 - 2 * threshold))


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


def _axes(vectors: Vectors) -> tuple[Numbers, Floats, Floats]:
    """The rows that are not 0, their mean, and their main components (numbers, components)."""
    used = [np.empty(0, np.int64)]
    for start in range(0, len(vectors), BLOCK):
        used.append(np.flatnonzero(vectors[start : start + BLOCK].any(axis=1)) + start)
    rows = np.concatenate(used)
    sample = vectors[rows[:: -(-max(1, len(rows)) // SAMPLE)]]
    mean = sample.mean(axis=0) if len(sample) else np.zeros(sample.shape[1], np.float32)
    values = sample - mean
    basis = np.linalg.eigh((values.T @ values).astype(np.float64))[1][:, -COMPONENTS:]
    return rows, mean, basis.astype(np.float32)


def _shortened(vectors: Floats, mean: Floats, basis: Floats) -> Floats:
    values = vectors - mean
    short = values @ basis
    rest = (values**2).sum(1) - (short**2).sum(1)
    return np.hstack([short, np.sqrt(rest.clip(0))[:, None]])


def centres_of(short: Floats) -> Floats:
    """Centres of cells: means of what is nearest to them, in a sample."""
    sample = short[:: -(-max(1, len(short)) // SAMPLE)]
    count = max(1, min(MOST_CENTRES, len(short) // IN_A_CELL, len(sample)))
    centres = sample[np.linspace(0, len(sample) - 1, count).astype(np.int64)].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(sample, centres)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        kept = sizes > 0
        centres[kept] = sums[kept] / sizes[kept, None]
    return centres


def in_cells(short: Floats, centres: Floats) -> tuple[Numbers, ...]:
    """For each centre, the vectors that are nearest to it."""
    nearest = _nearest(short, centres)
    order = np.argsort(nearest, kind="stable")
    bounds = np.searchsorted(nearest[order], np.arange(1, len(centres)))
    return tuple(np.split(order, bounds))


def _nearest(short: Floats, centres: Floats) -> Numbers:
    """(n,), the nearest centre of each."""
    half = (centres**2).sum(1) / 2
    found = [np.empty(0, np.int64)]
    for start in range(0, len(short), BLOCK):
        found.append((short[start : start + BLOCK] @ centres.T - half).argmax(axis=1))
    return np.concatenate(found)


def neighbourhoods(
    asking: Floats, vectors: Floats, least: int = 1
) -> Iterator[tuple[Numbers, Numbers]]:
    """Vectors that may be the nearest to each: a search, which misses some far ones.

    Args:
        asking: (n, numbers).
        vectors: (m, numbers).
        least: so many are given at least, or all.

    Yields:
        Rows of `asking` that are nearest to one centre, in parts, and the rows of `vectors` in the
        `PROBED` cells nearest to this centre, or in more. Each row of `asking` comes once.
    """
    centres = centres_of(vectors)
    cells = in_cells(vectors, centres)
    sizes = np.array([len(cell) for cell in cells])
    for number, rows in enumerate(in_cells(asking, centres)):
        if not len(rows):
            continue
        order = np.argsort(np.linalg.norm(centres - centres[number], axis=1), kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[order]), least)) + 1
        near = np.sort(np.concatenate([cells[i] for i in order[: max(PROBED, enough)].tolist()]))
        for start in range(0, len(rows), BLOCK):
            yield rows[start : start + BLOCK], near
