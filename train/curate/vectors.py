"""Features of photos: in memory if they are few, of very many in the file that caches them.

Float32 they would take 5 kB a photo. Whoever works on them reads them in blocks, so that what is in
memory does not depend on the number of photos. A row has the same numbers either way, to the bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from train.filed import Filed, Table

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

BLOCK = 1024


class Vectors(Protocol):
    """Rows of numbers, which need not be in memory; an array is such, too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its rows, and the numbers of each."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Floats:
        """Float32 (m, channels): those of a slice or of an array of numbers; (channels,) of one."""


@dataclass(frozen=True)
class InFile:
    """Features in a file, which are set to length 1 as they are read."""

    table: Table
    """Float16 (m, channels)."""
    numbers: Numbers
    """(n,), where each is in the table."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels)."""
        return len(self), *self.table.shape[1:]

    @classmethod
    def of(cls, path: Path, channels: int, numbers: Numbers) -> "InFile":
        """Those in a file of a cache.

        Raises:
            OSError: if it cannot be read.
        """
        # Open as long as anybody needs it, even if the file goes.
        file = path.open("rb", buffering=0)
        count = path.stat().st_size // (2 * channels)
        return cls(Filed(file, (count, channels), np.float16, path.parent), numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any, /) -> Floats:
        """As `Vectors`."""
        numbers = np.atleast_1d(self.numbers[rows])
        found = np.empty((len(numbers), self.shape[1]), np.float32)
        for part in blocks(len(numbers)):
            found[part] = of_length_one(self.table[numbers[part]].astype(np.float32))
        return found if np.ndim(self.numbers[rows]) else np.asarray(found[0])


@dataclass(frozen=True)
class Chosen:
    """Some rows of others."""

    vectors: Vectors
    numbers: Numbers

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels)."""
        return len(self), *self.vectors.shape[1:]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any, /) -> Floats:
        """As `Vectors`."""
        return self.vectors[self.numbers[rows]]


@dataclass(frozen=True)
class Replaced:
    """Some rows are others."""

    vectors: Vectors
    others: Vectors
    where: Numbers
    """(n,), the row of `others` that takes the place of each; -1: none does."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels)."""
        return self.vectors.shape

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: Any, /) -> Floats:
        """As `Vectors`."""
        found, others = np.array(self.vectors[rows]), self.where[rows]
        if np.ndim(others) == 0:
            return self.others[others] if others >= 0 else found
        found[others >= 0] = self.others[others[others >= 0]]
        return found


@dataclass(frozen=True)
class Centred:
    """Each row without a mean, of length 1."""

    vectors: Vectors
    middle: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels)."""
        return self.vectors.shape

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: Any, /) -> Floats:
        """As `Vectors`."""
        return of_length_one(np.asarray(self.vectors[rows] - self.middle))


class Last:
    """Rows of vectors; those that were asked for last are not read again: a cell asks in parts."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        self._rows: Numbers | None = None
        self._found = np.empty((0, 0), np.float32)

    def __getitem__(self, rows: Numbers) -> Floats:
        """Float32 (m, channels), of the very array that tells them."""
        if rows is not self._rows:
            # Never both in memory.
            self._found = np.empty((0, 0), np.float32)
            self._found, self._rows = self._vectors[rows], rows
        return self._found


def of_length_one(vectors: Floats) -> Floats:
    """Float32 (m, channels), each divided by its length, in place."""
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-6)
    return vectors


def chosen(vectors: Vectors, rows: Numbers) -> Vectors:
    """Those of some rows: not read yet if they are in a file."""
    return vectors[rows] if isinstance(vectors, np.ndarray) else Chosen(vectors, rows)


def replaced(vectors: Vectors, rows: Numbers, others: Vectors) -> Vectors:
    """The same, but some rows are others."""
    if isinstance(vectors, np.ndarray):
        changed = vectors.copy()
        changed[rows] = others[:]
        return changed
    where = np.full(len(vectors), -1, np.int64)
    where[rows] = np.arange(len(rows))
    return Replaced(vectors, others, where)


def folder_of(vectors: Vectors) -> Path | None:
    """The folder of the file that they are in; None if they are in memory."""
    while isinstance(vectors, Chosen | Replaced | Centred):
        vectors = vectors.vectors
    table = vectors.table if isinstance(vectors, InFile) else vectors
    return table.folder if isinstance(table, Filed) else None


def mean(vectors: Vectors, rows: Numbers, weights: npt.NDArray[np.float64]) -> Floats:
    """The mean of some rows (channels,) under weights, as `np.average` gives it, to the bit."""
    total = np.zeros((1, vectors.shape[1]))
    for part in blocks(len(rows)):
        weighed = vectors[rows[part]] * weights[part, None]
        # One row after the other, as the sum of all of them at once.
        total = np.concatenate([total, weighed]).sum(axis=0, keepdims=True)
    return np.asarray((total[0] / weights.sum()).astype(np.float32))


def highest(values: Floats, count: int) -> Numbers:
    """(n, count), the columns in which each row (n, m) is highest, the highest first.

    Of equal ones the first counts. Sorting whole rows gives the same, in many times the time.
    """
    if count >= values.shape[1]:
        return np.argsort(-values, axis=1, kind="stable")
    least = np.partition(values, -count, axis=1)[:, -count, None]
    lines, columns = np.nonzero(values >= least)
    # Whoever equals the least one that counts is there, too, behind those before it.
    order = np.lexsort((-values[lines, columns], lines))
    begins = np.searchsorted(lines, np.arange(len(values)))
    return np.asarray(columns[order][begins[:, None] + np.arange(count)])


def best_of_each(like: Floats, first: Numbers) -> Floats:
    """The highest value in each section of each row.

    Args:
        like: (n, m).
        first: (sections,), where each section begins.

    Returns:
        float32 (n, sections).
    """
    ends, best = np.append(first[1:], like.shape[1]), like[:, first]
    for section in np.flatnonzero(ends - first > 1).tolist():
        best[:, section] = like[:, first[section] : ends[section]].max(axis=1)
    return best


def where_best(like: Floats, first: Numbers, chosen: Numbers) -> Numbers:
    """The column of the highest value in some sections, (n, k), of each row; arguments as above."""
    ends, columns = np.append(first[1:], like.shape[1]), first[chosen]
    order = np.argsort(chosen, axis=None, kind="stable")
    sections, begins = np.unique(chosen.ravel()[order], return_index=True)
    for i in np.flatnonzero((ends - first)[sections] > 1).tolist():
        places = order[begins[i] : begins[i + 1] if i + 1 < len(begins) else None]
        start, end = first[sections[i]], ends[sections[i]]
        inside = like[places // chosen.shape[1], start:end]
        columns.flat[places] = start + inside.argmax(axis=1)
    return columns


def blocks(count: int) -> Iterator[slice]:
    """Rows in blocks."""
    for start in range(0, count, BLOCK):
        yield slice(start, min(start + BLOCK, count))
