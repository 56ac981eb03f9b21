"""The interval of a share of photos that were taken in events.

Photos of one event are right or wrong together, so n photos tell less than n single ones. How much
less depends on their correlation, which the answers show only roughly: a beta-binomial model gives
each correlation its weight. The interval is that of the score test (Wilson 1927) whose p value is
averaged over the correlations, but not narrower than with the correlation that the answers show. It
was chosen by simulation, see `convert/docs/decisions/0006-intervals-by-event.md`.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.workstation.measures import NORMAL_95, wilson

Floats = npt.NDArray[np.float64]

UNCORRELATED = 0.3
"""Belief, before any answer, that photos of an event tell as much as single ones."""
_NODES = 24
_TURNS = np.linspace(0, np.pi / 2, 2 * _NODES + 1)[1::2]
CORRELATIONS: Floats = np.concatenate([[0.0], np.sin(_TURNS) ** 2])
"""Correlations that are considered: 0, and the rest of the range with more at both ends."""
_BELIEF: Floats = np.concatenate([[UNCORRELATED], np.full(_NODES, (1 - UNCORRELATED) / _NODES)])


@dataclass(frozen=True)
class ShareByEvent:
    """A share of photos with its 95% interval; the photos of an event count as correlated."""

    count: int
    n: int
    """Photos."""
    events: int
    effective_n: float
    """How many single photos would give an interval as wide; n if every photo is an event, and
    none counts more than another."""
    value: float
    """count / n, or what the hits have of the sum of all weights."""
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval, 0..1."""
        return self.low, self.high


def share_by_event(hits: npt.NDArray[np.bool_], events: npt.ArrayLike) -> ShareByEvent:
    """The share of photos that are hits, with an interval that knows of events.

    If every photo is an event of its own, the interval is Wilson's.

    Args:
        hits: (n,), which photos count; not empty.
        events: the event of each photo, n of them; equal names are one event.
    """
    names = np.unique(np.asarray(events), return_inverse=True)[1]
    photos, counts = np.bincount(names), np.bincount(names, hits).astype(np.int64)
    count, n = int(hits.sum()), len(hits)
    growth = np.sqrt(1 + (float(photos @ photos) / n - 1) * CORRELATIONS)
    critical = _critical(photos, counts, growth)
    effective = n * (NORMAL_95 / critical) ** 2 if len(photos) < n else float(n)
    low, high = wilson(count / n, effective)
    return ShareByEvent(count, n, len(photos), effective, count / n, low, high)


def weighted_share(
    hits: npt.NDArray[np.bool_], events: npt.ArrayLike, weights: Floats
) -> ShareByEvent:
    """The share of a whole from which photos were drawn with known probabilities.

    With equal weights it is that of `share_by_event`.

    Args:
        hits: (n,), which photos count; not empty.
        events: the event of each photo, n of them; equal names are one event.
        weights: (n,), each above 0: 1 / the probability of the photo (Hajek 1971).
    """
    names = np.unique(np.asarray(events), return_inverse=True)[1]
    photos, counts = np.bincount(names), np.bincount(names, hits).astype(np.int64)
    n, parts = len(hits), weights / weights.sum()
    value = float(weights[hits].sum() / weights.sum())
    single, together = float(parts @ parts), float((np.bincount(names, parts) ** 2).sum())
    growth = np.sqrt(n * (single + (together - single) * CORRELATIONS))
    effective = n * (NORMAL_95 / _critical(photos, counts, growth)) ** 2
    effective *= _evenness(hits, parts, value)
    low, high = wilson(value, effective)
    return ShareByEvent(int(hits.sum()), n, len(photos), effective, value, low, high)


def _evenness(hits: npt.NDArray[np.bool_], parts: Floats, value: float) -> float:
    """At most 1: less if what weighs much is far from the mean, such as one camera that is worse.

    The variance that the parts would have if all photos were alike, by the one that they show.
    """
    shown = float(parts**2 @ (hits - value) ** 2)
    return min(1.0, value * (1 - value) * float(parts @ parts) / shown) if shown > 0 else 1.0


def _critical(
    photos: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], growth: Floats
) -> float:
    """How many deviations of single photos the score test allows.

    Args:
        photos: (events,), photos of each event.
        counts: (events,), hits among them.
        growth: by how much the deviation of the share grows at each of `CORRELATIONS`.
    """
    belief = _beliefs(photos, counts)
    # Many events show a correlation that the model may take for less.
    shown = float(np.interp(_shown_correlation(photos, counts), CORRELATIONS, growth**2))
    low, high = NORMAL_95 * math.sqrt(shown), NORMAL_95 * float(growth.max())
    for _ in range(40):
        middle = (low + high) / 2
        tails = [math.erfc(middle / (g * math.sqrt(2))) for g in growth.tolist()]
        low, high = (middle, high) if belief @ tails > 0.05 else (low, middle)
    return high


def _shown_correlation(photos: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> float:
    """The correlation within events by analysis of variance (Ridout 1999), 0..1; 0 if unknown.

    Args:
        photos: (events,), photos of each event.
        counts: (events,), hits among them.
    """
    n, events = int(photos.sum()), len(photos)
    if events in (1, n):
        return 0.0
    # Sums in one order, whatever the names of the events are.
    order = np.lexsort((counts, photos))
    photos, counts = photos[order], counts[order]
    means, mean = counts / photos, counts.sum() / n
    between = photos @ (means - mean) ** 2 / (events - 1)
    within = photos @ (means * (1 - means)) / (n - events)
    typical = (n - photos @ photos / n) / (events - 1)
    total = between + (typical - 1) * within
    return float(np.clip((between - within) / total, 0, 1)) if total > 0 else 0.0


def _beliefs(photos: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> Floats:
    """How likely each of `CORRELATIONS` is by these answers, all adding up to 1.

    Args:
        photos: (events,), photos of each event.
        counts: (events,), hits among them.
    """
    share, steps = counts.sum() / photos.sum(), np.arange(photos.max())
    # The least that the events tell: where the true share must be looked for.
    low, high = wilson(float(share), len(photos))
    shares = low + (high - low) * (np.arange(_NODES) + 0.5) / _NODES
    correlations = CORRELATIONS[:, np.newaxis, np.newaxis]
    single, shared = 1 - correlations, correlations * steps
    logs = (
        np.log(shares[:, np.newaxis] * single + shared) @ _longer(counts, steps)
        + np.log((1 - shares[:, np.newaxis]) * single + shared) @ _longer(photos - counts, steps)
        - np.log(single + shared) @ _longer(photos, steps)
    )
    beliefs = _BELIEF * np.exp(logs - logs.max()).sum(axis=1)
    return np.asarray(beliefs / beliefs.sum())


def _longer(lengths: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> Floats:
    """For each step how many lengths are above it: products over events become sums over steps."""
    ranked = np.sort(lengths)
    return np.asarray(len(lengths) - np.searchsorted(ranked, steps, "right"), np.float64)
