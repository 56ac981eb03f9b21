"""Cells around centres, and the vectors that are nearest to each, as faiss has them.

Johnson, Douze and Jegou 2017, "Billion-scale similarity search with GPUs".
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

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
MANY = 20_000
"""From so many vectors on, a search takes the place of comparing each with each."""
BLOCK = 1024
COMPARED = 2**22
"""Pairs that are compared at a time: where cells are large, fewer vectors ask."""


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


def neighbourhoods(
    asking: Vectors, vectors: Vectors, least: int = 1
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
    centres = centres_of(vectors, number_of_cells(len(vectors), MOST_SEARCHED))
    cells = in_cells(vectors, centres)
    sizes = np.array([len(cell) for cell in cells])
    lengths = (centres**2).sum(1) / 2
    asked = cells if asking is vectors else in_cells(asking, centres)
    for number, rows in enumerate(asked):
        if not len(rows):
            continue
        # In the order of the distances between the centres.
        order = np.argsort(lengths - centres @ centres[number], kind="stable")
        enough = int(np.searchsorted(np.cumsum(sizes[order]), least)) + 1
        near = np.sort(np.concatenate([cells[i] for i in order[: max(PROBED, enough)].tolist()]))
        size = max(1, min(BLOCK, COMPARED // max(1, len(near))))
        for start in range(0, len(rows), size):
            yield rows[start : start + size], near
