"""Statistics of verification: pure functions on labels and probabilities.

Float and int8 see the same photos, so they are compared photo by photo: two separate accuracies
with intervals of several points would hide a loss of one point. Photos of one event are right or
wrong together, so intervals and p values are by event; single photos are events of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, binomtest

from device.workstation.measures import NORMAL_95
from device.workstation.shares import ShareByEvent, share_by_event

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float32]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """A reference model compared with another one on the same photos."""

    only_reference_right: int
    only_other_right: int
    events_lost: int
    """Events with a photo that only the reference gets right."""
    events_apart: int
    """Events with a photo for which both predict different classes."""
    mcnemar_p: float
    """Could the difference be chance? Exact, two-sided: of single photos McNemar's test (1947)."""
    effective_n: float
    """How many single photos would tell as much about the difference."""
    loss_points: float
    """Accuracy of the reference minus that of the other, percentage points."""
    loss_interval_points: tuple[float, float]
    """95% interval of the paired difference (Agresti and Min 2005)."""
    agreement: ShareByEvent
    """Share of photos for which both predict the same class, right or wrong."""
    mean_divergence: float
    max_divergence: float
    """Jensen-Shannon divergence of the probabilities in bits, 0..1."""
    mean_difference: float
    max_difference: float
    """Absolute differences of single probabilities, 0..1."""


def compare(
    truth: Labels, reference: Probabilities, other: Probabilities, events: Sequence[str]
) -> Comparison:
    """Compare two models photo by photo.

    Args:
        truth: int64 (n,), the true classes.
        reference: float32 (n, classes), rows summing to about 1.
        other: the same shape.
        events: the event of each photo, n of them.
    """
    named, other_named = reference.argmax(axis=1), other.argmax(axis=1)
    change = (named == truth).astype(np.int64) - (other_named == truth)
    lost, won = int((change > 0).sum()), int((change < 0).sum())
    occasions, effective = np.asarray(events), paired_effective_n(change, events)
    single = effective / len(truth)
    divergence = jensen_shannon_bits(reference, other)
    difference = np.abs(reference - other)
    return Comparison(
        only_reference_right=lost,
        only_other_right=won,
        events_lost=len(set(occasions[change > 0])),
        events_apart=len(set(occasions[named != other_named])),
        mcnemar_p=sign_flip_p(sums_by_event(change, events)),
        effective_n=effective,
        loss_points=100 * (lost - won) / len(truth),
        loss_interval_points=paired_interval_points(lost * single, won * single, effective),
        agreement=share_by_event(named == other_named, events),
        mean_divergence=float(divergence.mean()),
        max_divergence=float(divergence.max()),
        mean_difference=float(difference.mean()),
        max_difference=float(difference.max()),
    )


def paired_effective_n(change: Labels, events: Sequence[str]) -> float:
    """How many single photos would tell as much about the difference of two models; at most n.

    Two design effects are known: that of the share of photos on which only one model is right, and
    that of the sums by event. The larger one holds.

    Args:
        change: int64 (n,): 1 where only the first model is right, -1 where only the other one is.
        events: the event of each photo, n of them.
    """
    n, sums = len(change), sums_by_event(change, events)
    effect = n / share_by_event(change != 0, events).effective_n
    discordant = int(np.abs(change).sum())
    return n / max(effect, float(sums @ sums) / discordant) if discordant else n / effect


def sums_by_event(values: Labels, events: Sequence[str]) -> Labels:
    """The sum of the values (n,) of each event, int64 (events,)."""
    names = np.unique(events, return_inverse=True)[1]
    return np.bincount(names, values).astype(np.int64)


def sign_flip_p(sums: Labels) -> float:
    """Exact two-sided p value of a difference between two models; 1 if there is none.

    If neither model is better, each event is as likely to speak for the one as for the other: the
    p value is the share of all ways to give the events signs that sum up to a difference at least
    as large. Of single photos this is McNemar's test.

    Args:
        sums: int64 (events,), the photos of each event that only the first model gets right, less
            those that only the second one does.
    """
    sizes = np.abs(sums[sums != 0])
    if len(np.unique(sizes)) <= 1:
        ahead = int((sums > 0).sum())
        return float(binomtest(ahead, len(sizes), 0.5).pvalue) if len(sizes) else 1.0
    chances = np.ones(1)
    for size in sizes.tolist():
        chances = np.convolve(chances, [0.5, *[0.0] * (2 * size - 1), 0.5])
    totals = np.arange(len(chances)) - sizes.sum()
    return min(1.0, float(chances[np.abs(totals) >= abs(sums.sum())].sum()))


def paired_interval_points(
    lost: float, won: float, n: float, deviations: float = NORMAL_95
) -> tuple[float, float]:
    """95% interval of (lost - won) / n in points: Wald with half a photo added to each cell."""
    a, b, size = lost + 0.5, won + 0.5, n + 2
    centre = (a - b) / size
    half = deviations * np.sqrt(a + b - (a - b) ** 2 / size) / size
    return float(100 * (centre - half)), float(100 * (centre + half))


def upper_bound(count: float, n: float) -> float:
    """One-sided 95% upper bound of a share (Clopper and Pearson 1934), 0..1.

    Exact: if this is the true share, this many hits or fewer have a probability of 1 in 20. Of
    photos in events, both numbers are those of as many single photos as would tell as much (Korn
    and Graubard 1998), which need not be whole.
    """
    return float(beta.ppf(CONFIDENCE, count + 1, n - count)) if count < n else 1.0


def jensen_shannon_bits(p: Probabilities, q: Probabilities) -> npt.NDArray[np.float64]:
    """Jensen-Shannon divergence per row, 0 (equal) to 1 (disjoint), float64 (n,)."""
    p64, q64 = _rows_to_one(p), _rows_to_one(q)
    middle = (p64 + q64) / 2
    return np.maximum((_relative_entropy(p64, middle) + _relative_entropy(q64, middle)) / 2, 0)


def recall_by_class(
    truth: Labels, probabilities: Probabilities, events: Sequence[str]
) -> list[ShareByEvent | None]:
    """For each class the share of its photos that are recognised; None if it has none."""
    named, occasions = probabilities.argmax(axis=1), np.asarray(events)
    found = []
    for label in range(probabilities.shape[1]):
        members = truth == label
        hits = named[members] == label
        found.append(share_by_event(hits, occasions[members]) if members.any() else None)
    return found


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
