"""What is suspected as a whole: the photos of one event in one class and part."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from train.columns import encoded, values_of
from train.data.split import Row

Numbers = npt.NDArray[np.int64]


def numbered(texts: Sequence[str]) -> Numbers:
    """(n,), a number for each different text, in their order: few bytes of each are in memory."""
    # A longer text is not cut, and of two that differ in zeros at their ends none is a name.
    return np.asarray(np.unique(encoded(texts), return_inverse=True)[1], np.int64)


@dataclass(frozen=True)
class Units:
    """The units of n photos."""

    of: Numbers
    """(n,), the number of each photo's unit, in the order of their first photos."""

    @classmethod
    def among(cls, rows: Sequence[Row]) -> "Units":
        """The units of the photos of some rows."""
        key = np.zeros(len(rows), np.int64)
        for name in ("group", "label", "part"):
            key = _finer(key, numbered(values_of(rows, name)))
        key = _finer(key, np.array(values_of(rows, "collected"), np.int64))
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        place = np.empty(len(first), np.int64)
        place[np.argsort(first)] = np.arange(len(first))
        return cls(place[which])

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @cached_property
    def order(self) -> Numbers:
        """(n,), the photos, one unit after the other."""
        return np.argsort(self.of, kind="stable")

    @cached_property
    def bounds(self) -> Numbers:
        """(units + 1,), where each unit begins there."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(self.of))])

    @property
    def first(self) -> Numbers:
        """(units,), one photo of each."""
        return np.asarray(self.order[self.bounds[:-1]])

    def members(self, unit: int) -> list[int]:
        """The photos of a unit."""
        found: list[int] = self.order[self.bounds[unit] : self.bounds[unit + 1]].tolist()
        return found

    def means(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """(units, ...), the mean of the photos' values (n, ...) over each unit."""
        return means(values, self.of, len(self))


def means(values: npt.NDArray[Any], which: Numbers, count: int) -> npt.NDArray[np.float64]:
    """(count, ...), the mean of the values (n, ...) with each number; each has one."""
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, which, values)
    sizes = np.bincount(which, minlength=count)
    return np.asarray(sums / sizes.reshape(-1, *(1,) * (values.ndim - 1)))


def weights_of(event: Numbers) -> npt.NDArray[np.float64]:
    """As `device.workstation.weights.event_weights`, of numbers (n,) in the place of names."""
    _, which, photos = np.unique(event, return_inverse=True, return_counts=True)
    return np.asarray(len(event) / max(1, len(photos)) / photos[which])


def _finer(key: Numbers, more: Numbers) -> Numbers:
    """A number for each different pair of numbers."""
    pairs = key * (int(more.max(initial=0)) + 1) + more
    return np.asarray(np.unique(pairs, return_inverse=True)[1], np.int64)
