"""Which of very many photos are most like a picture in any orientation, by a search in cells.

Other than in `cells`, only the cells nearest to a picture are searched: how like a copy is differs
so much that nothing could be ruled out. What is missed of copies is told in the results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.data.events.cells import centres_of, in_cells
from train.data.events.descriptors import (
    CENTRE,
    DESCRIPTOR_SIZE,
    WEAK_LIKENESS,
    Numbers,
    Pair,
    described,
    projected,
    turned,
)
from train.data.events.overlay import Floats, halved
from train.data.looks import Details, digests

BLOCK = 2048
PROBED = 16
"""Cells in which each orientation of a picture is searched."""
SAMPLE = 20_000
"""Photos that components and centres are found from."""
SCALES = (1.0, CENTRE)
INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
"""Which orientation of `turned` undoes each."""


@dataclass(frozen=True)
class Searched:
    """Descriptors of photos, in cells."""

    basis: Floats
    """(numbers, k), the components that are kept."""
    descriptors: tuple[Floats, ...]
    """(n, k), of each scale: of whole photos and of their middles."""
    centres: Floats
    """(cells, k)."""
    members: tuple[tuple[Numbers, ...], ...]
    """For each scale, the photos in each cell."""

    @classmethod
    def of(cls, details: Details) -> "Searched":
        """From details (n, 32, 32, 3), which need not be in memory."""
        flat = described(halved(details[_sampled(details)]), 1.0)
        flat = flat.reshape(len(flat), -1)
        basis = np.linalg.eigh(flat.T @ flat)[1][:, -DESCRIPTOR_SIZE:]
        centres = centres_of(projected(flat, basis))
        descriptors = tuple(np.empty((len(details), basis.shape[1]), np.float32) for _ in SCALES)
        for start in range(0, len(details), BLOCK):
            part = slice(start, start + BLOCK)
            small = halved(details[part])
            for scale, into in zip(SCALES, descriptors, strict=True):
                into[part] = projected(described(small, scale), basis)
        members = tuple(in_cells(each, centres) for each in descriptors)
        return cls(basis, descriptors, centres, members)

    def nearest(
        self,
        asking: Details,
        rows: Numbers,
        own: Numbers | None = None,
        roots: Numbers | None = None,
    ) -> list[Pair]:
        """For each of some pictures, the most similar photo outside its group, if one is similar.

        Args:
            asking: (m, 32, 32, 3).
            rows: those of `asking` that are looked at.
            own: (m,), their groups; None: they are of no group.
            roots: (n,), the groups of the photos.
        """
        found: dict[object, Pair] = {}
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            groups = None if own is None or roots is None else (own[block], roots)
            for pair in self._best(halved(asking[block]), block, groups):
                ends = (pair.first, pair.second)
                found.setdefault(ends if own is None else frozenset(ends), pair)
        return list(found.values())

    def _best(
        self, pictures: Floats, rows: Numbers, groups: tuple[Numbers, Numbers] | None
    ) -> Iterator[Pair]:
        ways = [projected(way, self.basis) for way in turned(described(pictures, 1.0))]
        if groups is not None:
            groups = (np.tile(groups[0], len(ways)), groups[1])
        likeness, photo, scale = self._most_like(np.concatenate(ways), groups)
        by_way = likeness.reshape(len(ways), -1)
        way = by_way.argmax(axis=0)
        for i in np.flatnonzero(by_way.max(axis=0) >= WEAK_LIKENESS).tolist():
            at = int(way[i]) * len(rows) + i
            turn, size = INVERSE[int(way[i])], SCALES[int(scale[at])]
            yield Pair(int(rows[i]), int(photo[at]), turn, size)

    def _most_like(
        self, asking: Floats, groups: tuple[Numbers, Numbers] | None
    ) -> tuple[Floats, Numbers, Numbers]:
        """Of each descriptor, likeness, number and scale of the most similar one nearby."""
        likeness = np.full(len(asking), -1, np.float32)
        photo, scale = np.zeros((2, len(asking)), np.int64)
        for cell, lines in _probed(asking, self.centres):
            for number, members in enumerate(self.members):
                if not len(members[cell]):
                    continue
                like = asking[lines] @ self.descriptors[number][members[cell]].T
                best = _highest(like, lines, members[cell], groups)
                value = like[np.arange(len(lines)), best]
                better = value > likeness[lines]
                at = lines[better]
                likeness[at], photo[at] = value[better], members[cell][best[better]]
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


def _probed(asking: Floats, centres: Floats) -> Iterator[tuple[int, Numbers]]:
    """Cells, each with the descriptors that are searched for in it."""
    count = min(PROBED, len(centres))
    # All are of length 1, so the nearest centre is not that of the highest product.
    near = (centres**2).sum(1) / 2 - asking @ centres.T
    cells = np.argpartition(near, count - 1, axis=1)[:, :count].ravel()
    order = np.argsort(cells, kind="stable")
    bounds = np.flatnonzero(np.diff(cells[order])) + 1
    for part in np.split(order, bounds):
        yield int(cells[part[0]]), part // count


def _sampled(details: Details) -> npt.NDArray[np.int64]:
    """Photos that are chosen by what they show, not by their order."""
    return np.argsort(digests(details), kind="stable")[:SAMPLE]
