"""Which of very many photos are most like a picture in any orientation, by a search in cells.

Other than in `cells`, only the cells nearest to a picture are searched: how like a copy is differs
so much that nothing could be ruled out. What is missed of copies is told in the results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.data.events.centres import centres_of, nearest_to, number_of_cells, ordered, probed
from train.data.events.descriptors import (
    CENTRE,
    DESCRIPTOR_SIZE,
    WEAK_LIKENESS,
    Numbers,
    Pairs,
    described,
    projected,
    turned,
)
from train.data.events.overlay import Floats, halved
from train.data.looks import Details, digests, folder_of
from train.filed import Table, table
from train.memory import give_back

BLOCK = 2048
ASKED_A_CELL = 4
"""Photos for each cell that are searched for at a time: so a thousand of their descriptors visit a
cell, enough for the visit, and few enough for the processor's cache."""
PROBED = 32
"""Cells in which each orientation of a picture is searched."""
MOST_CELLS = 4096
"""So that a cell grows no larger with a million photos."""
SAMPLE = 20_000
"""Photos that components and centres are found from."""
SCALES = (1.0, CENTRE)
INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
"""Which orientation of `turned` undoes each."""


@dataclass(frozen=True)
class Sorted:
    """Descriptors of one scale, in cells."""

    descriptors: Table
    """(n, k), by cell."""
    photos: Numbers
    """(n,), whose they are."""
    bounds: Numbers
    """(cells + 1,), where each cell begins, and the end."""

    @classmethod
    def of(cls, details: Details, scale: float, basis: Floats, centres: Floats) -> "Sorted":
        """From details (n, 32, 32, 3)."""
        shape, folder = (len(details), basis.shape[1]), folder_of(details)
        found, nearest = table(shape, np.float32, folder), np.empty(len(details), np.int64)
        for part in _parts(len(details)):
            found[part] = block = projected(described(halved(details[part]), scale), basis)
            nearest[part] = nearest_to(block, centres)
        photos, bounds = ordered(nearest, len(centres))
        by_cell = table(shape, np.float32, folder)
        for part in _parts(len(details)):
            by_cell[part] = found[photos[part]]
        return cls(by_cell, photos, bounds)

    def cell(self, number: int) -> tuple[Floats, Numbers]:
        """Descriptors and photos of a cell."""
        part = slice(*self.bounds[number : number + 2].tolist())
        return self.descriptors[part], self.photos[part]


@dataclass(frozen=True)
class Searched:
    """Descriptors of photos, in cells."""

    basis: Floats
    """(numbers, k), the components that are kept."""
    centres: Floats
    """(cells, k)."""
    scales: tuple[Sorted, ...]
    """Of whole photos and of their middles."""

    @classmethod
    def of(cls, details: Details) -> "Searched":
        """From details (n, 32, 32, 3), which need not be in memory."""
        give_back()
        rows = _sampled(details)
        flat = np.concatenate([described(halved(details[rows[p]]), 1.0) for p in _parts(len(rows))])
        flat = flat.reshape(len(flat), -1)
        basis = np.linalg.eigh(flat.T @ flat)[1][:, -DESCRIPTOR_SIZE:]
        cells = number_of_cells(len(details), MOST_CELLS)
        centres = centres_of(projected(flat, basis), cells)
        return cls(basis, centres, tuple(Sorted.of(details, s, basis, centres) for s in SCALES))

    def nearest(
        self,
        asking: Details,
        rows: Numbers,
        own: Numbers | None = None,
        roots: Numbers | None = None,
    ) -> Pairs:
        """For each of some pictures, the most similar photo outside its group, if one is similar.

        Args:
            asking: (m, 32, 32, 3).
            rows: those of `asking` that are looked at.
            own: (m,), their groups; None: they are of no group.
            roots: (n,), the groups of the photos.
        """
        found = []
        size = ASKED_A_CELL * len(self.centres)
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            groups = None if own is None or roots is None else (own[block], roots)
            found.append(self._best(self._turned(asking, block), block, groups))
        pairs = Pairs.joined(found)
        return pairs if own is None else pairs.once()

    def _turned(self, asking: Details, rows: Numbers) -> Floats:
        """Descriptors (8, m, k) of some pictures in each orientation."""
        ways = np.empty((len(INVERSE), len(rows), self.basis.shape[1]), np.float32)
        for part in _parts(len(rows)):
            pictures = described(halved(asking[rows[part]]), 1.0)
            for way, descriptors in zip(ways, turned(pictures), strict=True):
                way[part] = projected(descriptors, self.basis)
        return ways

    def _best(self, ways: Floats, rows: Numbers, groups: tuple[Numbers, Numbers] | None) -> Pairs:
        if groups is not None:
            groups = (np.tile(groups[0], len(ways)), groups[1])
        likeness, photo, scale = self._most_like(ways.reshape(-1, ways.shape[2]), groups)
        by_way = likeness.reshape(len(ways), -1)
        similar = np.flatnonzero(by_way.max(axis=0) >= WEAK_LIKENESS)
        way = by_way[:, similar].argmax(axis=0)
        at = way * len(rows) + similar
        turns, sizes = np.array(INVERSE)[way], np.array(SCALES)[scale[at]]
        return Pairs(rows[similar], photo[at], turns, sizes)

    def _most_like(
        self, asking: Floats, groups: tuple[Numbers, Numbers] | None
    ) -> tuple[Floats, Numbers, Numbers]:
        """Of each descriptor, likeness, number and scale of the most similar one nearby."""
        likeness = np.full(len(asking), -1, np.float32)
        photo, scale = np.zeros((2, len(asking)), np.int64)
        for cell, lines in probed(asking, self.centres, PROBED):
            for number, each in enumerate(self.scales):
                descriptors, members = each.cell(cell)
                if not len(members):
                    continue
                like = asking[lines] @ descriptors.T
                best = _highest(like, lines, members, groups)
                value = like[np.arange(len(lines)), best]
                better = value > likeness[lines]
                at = lines[better]
                likeness[at], photo[at] = value[better], members[best[better]]
                scale[at] = number
        return likeness, photo, scale


def _highest(
    like: Floats, lines: Numbers, members: Numbers, groups: tuple[Numbers, Numbers] | None
) -> Numbers:
    """The column of the most similar one outside its group; those inside are set to -1."""
    best: Numbers = like.argmax(axis=1)
    if groups is None:
        return best
    own, roots = groups[0][lines], groups[1][members]
    inside = np.flatnonzero(own == roots[best])
    like[inside] = np.where(own[inside, None] == roots, np.float32(-1), like[inside])
    best[inside] = like[inside].argmax(axis=1)
    return best


def _parts(count: int, size: int = BLOCK) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _sampled(details: Details) -> npt.NDArray[np.int64]:
    """Photos that are chosen by what they show, not by their order."""
    return np.argsort(digests(details), kind="stable")[:SAMPLE]
