"""Cells around centres, and the vectors that are nearest to each, as faiss has them.

Johnson, Douze and Jegou 2017, "Billion-scale similarity search with GPUs".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from train.filed import Table, table
from train.memory import give_back

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

SAMPLE = 20_000
"""Vectors that the centres are found from."""
ROUNDS = 4
"""How often each centre moves to the mean of its cell."""
MOST_CENTRES = 1024
IN_A_CELL = 256
"""Vectors in a cell, until there are `MOST_CENTRES`."""
PROBED = 16
"""Cells that are searched for neighbours."""
MOST_SEARCHED = 4096
"""So many cells of a search at most: with fewer, a million vectors would each be compared with four
times as many others as a quarter of them."""
LARGE = 2
"""A cell of a search with more than so many times `IN_A_CELL` is divided."""
MANY = 20_000
"""From so many vectors on, a search takes the place of comparing each with each."""
BLOCK = 1024
ASKED = 8192
"""Vectors, cell after cell, that are searched for at a time: enough of them visit one cell."""
COMPARED = 2**22
"""Pairs that are compared at a time: where cells are large, fewer vectors ask."""
TOLD = 2**16
"""Pairs that are found are given in so many at least, while there are more."""


class Vectors(Protocol):
    """Rows of numbers, which need not be in memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Float32 (m, numbers): those of a slice, or of an array of numbers."""


def sampled(count: int) -> slice:
    """About `SAMPLE` of so many rows, evenly."""
    return slice(None, None, -(-max(1, count) // SAMPLE))


def centres_of(short: Vectors, count: int | None = None) -> Floats:
    """Centres of cells: means of what is nearest to them, in a sample.

    Args:
        short: (n, numbers), all vectors, or a sample of them.
        count: so many centres at most; None: as for all vectors.
    """
    sample: Floats = short[sampled(len(short))]
    count = max(1, min(number_of_cells(len(short)) if count is None else count, len(sample)))
    centres = sample[np.linspace(0, len(sample) - 1, count).astype(np.int64)].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(sample, centres)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        kept = sizes > 0
        centres[kept] = sums[kept] / sizes[kept, None]
    return centres


def number_of_cells(vectors: int, most: int | None = None) -> int:
    """For so many vectors; `most` is `MOST_CENTRES` if it is not given."""
    return max(1, min(MOST_CENTRES if most is None else most, vectors // IN_A_CELL))


def in_cells(short: Vectors, centres: Floats) -> tuple[Numbers, ...]:
    """For each centre, the vectors that are nearest to it."""
    order, bounds = ordered(_nearest(short, centres), len(centres))
    return tuple(np.split(order, bounds[1:-1]))


def ordered(nearest: Numbers, cells: int) -> tuple[Numbers, Numbers]:
    """Vectors (n,) in the order of their centres, and (cells + 1,) where each cell begins there.

    Args:
        nearest: (n,), the centre of each.
        cells: number of centres.
    """
    order = np.argsort(nearest, kind="stable")
    return order, np.searchsorted(nearest[order], np.arange(cells + 1))


def nearest_to(short: Floats, centres: Floats) -> Numbers:
    """(n,), the nearest centre of each vector of a block."""
    return np.asarray((short @ centres.T - (centres**2).sum(1) / 2).argmax(axis=1))


def _nearest(short: Vectors, centres: Floats) -> Numbers:
    found = [np.empty(0, np.int64)]
    for start in range(0, len(short), BLOCK):
        found.append(nearest_to(short[start : start + BLOCK], centres))
    return np.concatenate(found)


def divided(vectors: Vectors) -> tuple[Floats, tuple[Numbers, ...]]:
    """Cells of a search, none of them large: what one vector is compared with is bounded.

    Args:
        vectors: (n, numbers), rows of length 1.

    Returns:
        Centres (cells, numbers) of length 1, and the vectors of each cell, one at least. Without
        that length those of mixed cells, which lie near the middle, would be nearest to most.
    """
    give_back()
    count = number_of_cells(len(vectors), MOST_SEARCHED)
    centres = _of_length_one(centres_of(vectors, count))
    both = zip(centres, in_cells(vectors, centres), strict=True)
    found = [part for centre, cell in both for part in _small(vectors, centre, cell)]
    return np.stack([centre for centre, _ in found]), tuple(cell for _, cell in found)


def _small(vectors: Vectors, centre: Floats, cell: Numbers) -> Iterator[tuple[Floats, Numbers]]:
    """The parts of a cell, divided until none is large, with their centres."""
    if len(cell) <= LARGE * IN_A_CELL:
        yield from [(centre, cell)] * (len(cell) > 0)
        return
    sample = vectors[cell[sampled(len(cell))]]
    centres = _of_length_one(centres_of(sample, -(-len(cell) // IN_A_CELL)))
    parts = (cell[start : start + BLOCK] for start in range(0, len(cell), BLOCK))
    nearest = np.concatenate([nearest_to(vectors[part], centres) for part in parts])
    order, bounds = ordered(nearest, len(centres))
    for middle, part in zip(centres, np.split(cell[order], bounds[1:-1]), strict=True):
        if 2 * len(part) <= len(cell):
            yield from _small(vectors, middle, part)
        else:
            # Hardly to be told apart: cut as they come.
            runs = np.array_split(part, -(-len(part) // IN_A_CELL))
            yield from ((middle, run) for run in runs)


def _of_length_one(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6))


def neighbourhoods(
    asking: Vectors, vectors: Vectors, least: int = 1
) -> Iterator[tuple[Numbers, Numbers]]:
    """Vectors that may be the nearest to each: a search, which misses some far ones.

    Args:
        asking: (n, numbers), rows of length 1.
        vectors: (m, numbers), the same.
        least: so many are given at least, or all.

    Yields:
        Rows of `asking` that are nearest to one centre, in parts, and the rows of `vectors` in the
        `PROBED` cells nearest to this centre, or in more. Each row of `asking` comes once.
    """
    centres, cells = divided(vectors)
    sizes = np.array([len(cell) for cell in cells])
    asked = cells if asking is vectors else in_cells(asking, centres)
    for number, rows in enumerate(asked):
        if not len(rows):
            continue
        # In the order of the distances between the centres.
        order = np.argsort(-centres @ centres[number], kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[order]), least)) + 1
        near = np.sort(np.concatenate([cells[i] for i in order[: max(PROBED, enough)].tolist()]))
        size = max(1, min(BLOCK, COMPARED // max(1, len(near))))
        for start in range(0, len(rows), size):
            yield rows[start : start + size], near


def alike(vectors: Vectors, least: float, folder: Path | None) -> Iterator[tuple[Numbers, Floats]]:
    """Pairs of vectors whose product reaches `least`: a search, which misses some.

    Each vector is compared with those of the `PROBED` cells that are nearest to itself. So it may
    be found from either end of a pair, and how many it is compared with is bounded.

    Args:
        vectors: (n, numbers), rows of length 1.
        least: from which products count.
        folder: where a copy of them lies meanwhile, cell after cell; None: in memory.

    Yields:
        Pairs (2, m) of two different rows, some of them from both ends, and products (m,).
    """
    centres, cells = divided(vectors)
    order, bounds = np.concatenate(cells), np.cumsum([0, *map(len, cells)])
    by_cell = table((len(vectors), centres.shape[1]), np.float32, folder)
    for start in range(0, len(order), BLOCK):
        by_cell[start : start + BLOCK] = vectors[order[start : start + BLOCK]]
    pairs, products = [np.empty((2, 0), np.int64)], [np.empty(0, np.float32)]
    for ends, found in _hits(by_cell, centres, bounds, least):
        pairs.append(order[ends[:, ends[0] != ends[1]]])
        products.append(found[ends[0] != ends[1]])
        if sum(map(len, products)) >= TOLD:
            yield np.concatenate(pairs, axis=1), np.concatenate(products)
            pairs, products = [], []
    if pairs:
        yield np.concatenate(pairs, axis=1), np.concatenate(products)


def _hits(
    by_cell: Table, centres: Floats, bounds: Numbers, least: float
) -> Iterator[tuple[Numbers, Floats]]:
    """Places (2, m) of vectors whose product reaches `least`, and the products (m,)."""
    for start in range(0, len(by_cell), ASKED):
        asking = by_cell[start : start + ASKED]
        for cell, lines in probed(asking, centres, PROBED):
            like = asking[lines] @ by_cell[bounds[cell] : bounds[cell + 1]].T
            at = np.flatnonzero(like >= least)
            if len(at):
                line, column = np.divmod(at, like.shape[1])
                yield np.stack([start + lines[line], bounds[cell] + column]), like.ravel()[at]


def probed(asking: Floats, centres: Floats, most: int) -> Iterator[tuple[int, Numbers]]:
    """Cells, each with the vectors (m, numbers) of which it is one of the `most` nearest."""
    count, size = min(most, len(centres)), max(1, min(2 * BLOCK, COMPARED // 2 // len(centres)))
    cells = np.empty((len(asking), count), np.min_scalar_type(len(centres)))
    lengths = (centres**2).sum(1) / 2
    for start in range(0, len(asking), size):
        # Not all are of length 1, so the nearest centre is not that of the highest product.
        near = lengths - asking[start : start + size] @ centres.T
        cells[start : start + size] = np.argpartition(near, count - 1, axis=1)[:, :count]
    order = np.argsort(cells, axis=None, kind="stable")
    bounds = np.flatnonzero(np.diff(cells.ravel()[order])) + 1
    for places in np.split(order, bounds):
        yield int(cells.flat[places[0]]), places // count
