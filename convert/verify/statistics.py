"""Statistics of verification: pure functions on labels and probabilities.

Float and int8 see the same photos, so they are compared photo by photo: two separate accuracies
with intervals of several points would hide a loss of one point.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binomtest

from device.workstation.measures import NORMAL_95, wilson

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A share of n photos with its 95% Wilson score interval (Wilson 1927)."""

    count: int
    n: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: npt.NDArray[np.bool_], effective: float | None = None) -> "Share":
        """The share of true values in a non-empty boolean array (n,).

        Args:
            hits: which photos are counted.
            effective: effective number of photos for the interval, if some recur.
        """
        count, n = int(hits.sum()), len(hits)
        low, high = wilson(count / n, n if effective is None else effective)
        return cls(count, n, count / n, low, high)


@dataclass(frozen=True)
class Comparison:
    """A reference model compared with another one on the same photos."""

    only_reference_right: int
    only_other_right: int
    mcnemar_p: float
    """Exact two-sided McNemar test: could the difference be chance? (McNemar 1947)"""
    loss_points: float
    """Accuracy of the reference minus that of the other, percentage points."""
    loss_interval_points: tuple[float, float]
    """95% interval of the paired difference (Agresti and Min 2005)."""
    agreement: Share
    """Share of photos for which both predict the same class, right or wrong."""
    mean_divergence: float
    max_divergence: float
    """Jensen-Shannon divergence of the probabilities in bits, 0..1."""
    mean_difference: float
    max_difference: float
    """Absolute differences of single probabilities, 0..1."""


def compare(
    truth: Labels, reference: Probabilities, other: Probabilities, effective: float | None = None
) -> Comparison:
    """Compare two models photo by photo.

    Args:
        truth: int64 (n,), the true classes.
        reference: float32 (n, classes), rows summing to about 1.
        other: the same shape.
        effective: effective number of photos for the intervals, if some recur.
    """
    counted = len(truth) if effective is None else effective
    named, other_named = reference.argmax(axis=1), other.argmax(axis=1)
    right, other_right = named == truth, other_named == truth
    lost, won = int((right & ~other_right).sum()), int((~right & other_right).sum())
    divergence = jensen_shannon_bits(reference, other)
    difference = np.abs(reference - other)
    return Comparison(
        only_reference_right=lost,
        only_other_right=won,
        mcnemar_p=mcnemar_p(lost, won),
        loss_points=100 * (lost - won) / len(truth),
        loss_interval_points=paired_interval_points(
            lost * counted / len(truth), won * counted / len(truth), counted
        ),
        agreement=Share.of(named == other_named, effective),
        mean_divergence=float(divergence.mean()),
        max_divergence=float(divergence.max()),
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
    )


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of the McNemar test; 1 if no photo distinguishes the models."""
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def effective_n(photos: Sequence[str]) -> float:
    """Effective number of photos if some recur (Kish 1965), at most the number of answers."""
    counts = np.unique(photos, return_counts=True)[1]
    return float(len(photos) ** 2 / (counts**2).sum())


def paired_interval_points(lost: float, won: float, n: float) -> tuple[float, float]:
    """95% interval of (lost - won) / n in points: Wald with half a photo added to each cell."""
    a, b, size = lost + 0.5, won + 0.5, n + 2
    centre = (a - b) / size
    half = NORMAL_95 * np.sqrt(a + b - (a - b) ** 2 / size) / size
    return float(100 * (centre - half)), float(100 * (centre + half))


def upper_bound(count: int, n: int) -> float:
    """One-sided 95% upper bound of a share (Clopper and Pearson 1934), 0..1.

    Exact: if this is the true share, this many hits or fewer have a probability of 1 in 20.
    """
    return float(beta.ppf(CONFIDENCE, count + 1, n - count)) if count < n else 1.0


def jensen_shannon_bits(p: Probabilities, q: Probabilities) -> npt.NDArray[np.float64]:
    """Jensen-Shannon divergence per row, 0 (equal) to 1 (disjoint), float64 (n,)."""
    p64, q64 = _rows_to_one(p), _rows_to_one(q)
    middle = (p64 + q64) / 2
    return np.maximum((_relative_entropy(p64, middle) + _relative_entropy(q64, middle)) / 2, 0)


def recall_by_class(truth: Labels, probabilities: Probabilities) -> list[tuple[int, float]]:
    """For each class its number of photos and the share of them recognised (NaN if none)."""
    named = probabilities.argmax(axis=1)
    result = []
    for label in range(probabilities.shape[1]):
        members = truth == label
        share = float((named[members] == label).mean()) if members.any() else float("nan")
        result.append((int(members.sum()), share))
    return result


def _rows_to_one(p: Probabilities) -> npt.NDArray[np.float64]:
    # Quantized probabilities come in steps of 1/256 and add up to 1 only roughly.
    wide = p.astype(np.float64)
    result: npt.NDArray[np.float64] = wide / np.maximum(wide.sum(axis=1, keepdims=True), 1e-12)
    return result


def _relative_entropy(
    p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    ratio = np.divide(p, q, out=np.ones_like(p), where=(p > 0) & (q > 0))
    return np.asarray((p * np.log2(ratio)).sum(axis=1), np.float64)
