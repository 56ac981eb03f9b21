"""What is true of the photos of a part, and how much each of them counts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from device.workstation.weights import Weights, weighted_mean

Labels = npt.NDArray[np.int64]

EQUAL = 1e-9
"""Weighted shares that differ by less are equal; their sums round differently."""


@dataclass(frozen=True)
class Truth:
    """The true classes of the photos of a part, and their weights."""

    labels: Labels
    """int64 (n,)."""
    weights: Weights
    """float64 (n,), above 0, with a mean of 1. An event counts once, so a photo of a burst counts
    less than a single one."""

    def mean(self, values: npt.NDArray[Any]) -> float:
        """The weighted mean of one value per photo."""
        return weighted_mean(values, self.weights)

    def of(self, photos: Labels) -> "Truth":
        """The same of some photos, by their indices; their weights stay."""
        return Truth(self.labels[photos], self.weights[photos])
