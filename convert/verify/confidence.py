"""The limits beyond which the device says "unknown".

Pure functions. How strange a photo is, is measured by the code that runs on the device
(`FeatureStatistics`); here validation photos tell what is usual, and how much is too much.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from convert.quantize.known import OUTSIDE_UNIT
from convert.verify.reliability import Floats
from convert.verify.statistics import Labels, Probabilities
from device.contract.statistics import LIMIT, FeatureStatistics
from device.workstation.measures import wilson
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.unknown.known import ScoreOffsetFigures, ThresholdFigures
from device.workstation.weights import event_weights

REJECTED_SHARE = 0.05
"""Share of photos of known classes that may be turned away."""
MIN_EVENTS = 19
"""With fewer events in the validation part there is no limit: one in twenty needs at least 19
photos that are independent."""
CURVE_STEPS = 64
LONGEST_CURVE = 2.0
"""The curve goes from distance 0 to this one."""
LEAST_SPREADS = (0.05, 1e-3)
"""Photos that are all alike must not make the smallest difference count: in logits, and as a share
of the features' square."""
UNITS = (1.0, OUTSIDE_UNIT)
"""How much of its spread is one step of each."""
LEAST_RANGE = 0.5
"""Least distance from the middle to the limit, in spreads, for the same reason."""

CurvePoint = tuple[float, float, float | None]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scaled:
    """Statistics that know what is usual."""

    statistics: FeatureStatistics
    limit: float | None
    """On distances; None if there are too few photos to choose it."""


@dataclass(frozen=True)
class Threshold:
    """The distance beyond which a photo counts as unknown, and its effect on the test part."""

    value: float | None
    """None: no photo does."""
    coverage: ShareByEvent
    """Share of the test photos within it."""
    precision: ShareByEvent | None
    """Share of these that are classified correctly; None if no photo is."""

    def threshold_figures(self) -> ThresholdFigures:
        """The record for `verification.json` and the manifest."""
        coverage, precision = self.coverage, self.precision
        return ThresholdFigures(
            value=self.value,
            n=coverage.n,
            coverage=coverage.value,
            coverage_interval=coverage.interval,
            precision=precision.value if precision else None,
            precision_interval=precision.interval if precision else None,
        )


def choose_limit(strange: Floats, events: Sequence[str]) -> float | None:
    """The lowest limit that at most `REJECTED_SHARE` of known photos exceed.

    This holds for photos of new events, too. Let each event have one vote, spread over its photos:
    of m events, photos with together at most (m + 1) * share - 1 votes are beyond the limit, and
    a photo of a similar new event is beyond it with a probability of at most that share (split
    conformal prediction, Vovk et al. 2005; with groups, Dunn, Wasserman and Ramdas 2022). No
    pictures of unknown things are needed.

    Args:
        strange: (n,), how strange photos are that neither training nor calibration has seen.
        events: the event of each photo, n of them.

    Returns:
        One of `strange`; None for fewer than `MIN_EVENTS`.
    """
    count = len(np.unique(events))
    may_exceed = (count + 1) * REJECTED_SHARE - 1
    if may_exceed < -1e-9:
        return None
    order = np.argsort(-strange, kind="stable")
    votes = np.cumsum(event_weights(events)[order]) * count / len(strange)
    return float(strange[order][np.searchsorted(votes, may_exceed + 1e-9, "right")])


def scale(
    statistics: FeatureStatistics, named: Labels, measured: Doubles, events: Sequence[str]
) -> Scaled:
    """Let validation photos tell what is usual, and where the limit of each label is.

    The limits are such that each label loses the same share of known photos. A label that fewer
    than `MIN_EVENTS` get has the limit of all together.

    Args:
        statistics: with the directions of known features.
        named: (n,), the label that int8 gives to each photo.
        measured: float64 (n, 2), as `FeatureStatistics.measured` gives them.
        events: the event of each photo.
    """
    weights, names = event_weights(events), np.asarray(events)
    usual = [_usual(measured[:, k], weights, LEAST_SPREADS[k], UNITS[k]) for k in range(2)]
    usual_only = replace(statistics, usual=np.array(usual))
    strange = usual_only.strangeness(measured)
    whole = _limits(strange, names)
    classes = []
    for label in range(len(statistics.classes)):
        own = named == label
        limits = _limits(strange[own], names[own]) if own.any() else None
        classes.append(limits or whole or _without_limit(strange))
    scaled = replace(usual_only, classes=np.array(classes))
    return Scaled(scaled, LIMIT if whole else None)


def _usual(values: Doubles, weights: Doubles, least: float, unit: float) -> tuple[float, float]:
    """The middle of values and a step: `unit` of the width of their middle half.

    That width is at least `least`.
    """
    low, middle, high = (_quantile(values, weights, share) for share in (0.25, 0.5, 0.75))
    return middle, unit * max(high - low, least)


def _quantile(values: Doubles, weights: Doubles, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    place = int(np.searchsorted(reached, share - 1e-9))
    return float(values[order][min(place, len(values) - 1)])


def _limits(strange: Doubles, events: npt.NDArray[np.str_]) -> tuple[float, float] | None:
    """The middle and the limit; None if there are too few events."""
    limit = choose_limit(strange, events.tolist())
    if limit is None:
        return None
    middle = _quantile(strange, event_weights(events.tolist()), 0.5)
    return middle, max(limit, middle + LEAST_RANGE)


def _without_limit(strange: Doubles) -> tuple[float, float]:
    """A scale for distances that nothing is decided by."""
    middle = float(np.median(strange))
    return middle, max(float(strange.max()), middle + LEAST_RANGE)


def distances(statistics: FeatureStatistics, named: Labels, measured: Doubles) -> Doubles:
    """float64 (n,): how strange photos are for their labels, as the device says it."""
    middle, limit = statistics.classes[named].T
    return np.asarray((statistics.strangeness(measured) - middle) / (limit - middle), np.float64)


def measure_threshold(
    value: float | None,
    truth: Labels,
    probabilities: Probabilities,
    distance: Floats,
    events: Sequence[str],
) -> Threshold:
    """Measure the effect of a limit on distances, by photos that were not used to choose it."""
    accepted = distance <= (np.inf if value is None else value)
    right, kept = probabilities.argmax(axis=1) == truth, np.asarray(events)[accepted]
    precision = share_by_event(right[accepted], kept) if accepted.any() else None
    return Threshold(value, share_by_event(accepted, events), precision)


def score_offset(
    right: npt.NDArray[np.bool_], scores: Floats, events: npt.ArrayLike
) -> ScoreOffsetFigures | None:
    """How far scores are below the accuracy of what is accepted, as far as it is no chance.

    A temperature makes the loss of all photos least, and leaves the mean of those that are accepted
    where it falls. Of a difference of few photos most may be chance: the larger its error is beside
    it, the less of it counts (James and Stein 1961). The error is at least what it would be if
    scores meant what they say: of ten right answers each may have been lucky.

    Args:
        right: (n,), whether each accepted photo is named right.
        scores: (n,), its calibrated probability.
        events: of each; they are the unit that chance draws.

    Returns:
        None for fewer than `MIN_EVENTS`.
    """
    names = np.unique(np.asarray(events), return_inverse=True)[1]
    n, count = len(right), len(np.unique(names))
    if count < MIN_EVENTS:
        return None
    off: Doubles = right - np.asarray(scores, np.float64)
    measured = float(off.mean())
    sums = np.bincount(names, off - measured)
    error = float(np.sqrt(sums @ sums * count / (count - 1))) / n
    error = max(error, float(np.sqrt(scores @ (1 - scores))) / n)
    share = max(0.0, 1 - error**2 / measured**2) if measured else 0.0
    return ScoreOffsetFigures(share * measured, error, measured, n, count)


def threshold_curve(
    truth: Labels, probabilities: Probabilities, distance: Floats
) -> tuple[CurvePoint, ...]:
    """Limit, coverage and precision (None if no photo is left), for a range of limits."""
    right = probabilities.argmax(axis=1) == truth
    points = []
    for value in np.linspace(0, LONGEST_CURVE, CURVE_STEPS + 1):
        accepted = distance <= value
        precision = float(right[accepted].mean()) if accepted.any() else None
        points.append((float(value), float(accepted.mean()), precision))
    return tuple(points)


def separation(known: Floats, unknown: Floats) -> float:
    """Probability that an unknown photo is stranger than a known one (area under the ROC)."""
    return float(_below(known, unknown).mean())


@dataclass(frozen=True)
class Area:
    """The area under the ROC, with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval, 0..1."""
        return self.low, self.high


def area(
    known: Floats, known_events: Sequence[str], unknown: Floats, unknown_events: Sequence[str]
) -> Area:
    """The probability that an unknown photo is stranger than a known one, by event.

    The variance is that of placements (DeLong et al. 1988), summed over the photos of an event
    (Obuchowski 1997). As many single photos as have the same variance give a score interval, which
    is sensible even where all unknown photos are stranger than all known ones.

    Args:
        known: (n,), how strange known photos are.
        known_events: the event of each.
        unknown: (m,), how strange others are.
        unknown_events: likewise.
    """
    value = separation(known, unknown)
    variance, events = 0.0, 0.0
    for placed, names in (
        (1 - _below(unknown, known), known_events),
        (_below(known, unknown), unknown_events),
    ):
        sums = np.bincount(np.unique(np.asarray(names), return_inverse=True)[1], placed - value)
        variance += float(sums @ sums) / len(placed) ** 2 * len(sums) / max(len(sums) - 1, 1)
        events += 1 / len(sums)
    # Two normal distributions give at most about twice the harmonic mean of both numbers.
    most = 4 / events
    single = min(value * (1 - value) / variance, most) if variance > 0 else most
    return Area(value, *wilson(value, max(single, 1.0)))


def _below(values: Floats, others: Floats) -> Doubles:
    """float64 (m,): the share of the values that is below each of the others; ties count half."""
    ranks = np.sort(values)
    low, high = (np.searchsorted(ranks, others, side) for side in ("left", "right"))
    return np.asarray((low + high) / (2 * len(values)), np.float64)
