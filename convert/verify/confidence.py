"""The threshold below which the device says "unknown".

Pure functions on labels and probabilities. A photo's score is its highest probability, as the
device reports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convert.verify.reliability import Floats, scores_of
from convert.verify.statistics import Labels, Probabilities
from device.workstation.conversion import ThresholdFigures
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.weights import event_weights

REJECTED_SHARE = 0.05
"""Share of photos of known classes that the threshold may turn away."""
MIN_EVENTS = 19
"""With fewer events in the validation part there is no threshold: one in twenty needs at least 19
scores that are independent."""
CURVE_STEPS = 64
"""Points of the threshold curve: every fourth step of an 8-bit probability."""


CurvePoint = tuple[float, float, float | None]


@dataclass(frozen=True)
class Threshold:
    """The score below which a photo counts as unknown, and its effect on the test part."""

    value: float
    coverage: ShareByEvent
    """Share of the test photos with a score at or above it."""
    precision: ShareByEvent | None
    """Share of these that are classified correctly; None if no photo reaches the threshold."""

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


def choose_threshold(scores: Floats, events: Sequence[str]) -> float:
    """The highest threshold that turns away at most `REJECTED_SHARE` of known photos.

    This holds for photos of new events, too. Let each event have one vote, spread over its photos:
    of m events, scores with together at most (m + 1) * share - 1 votes are below the threshold, and
    a photo of a similar new event is below it with a probability of at most that share (split
    conformal prediction, Vovk et al. 2005; with groups, Dunn, Wasserman and Ramdas 2022). No
    pictures of unknown things are needed.

    Args:
        scores: (n,), of photos that neither training nor calibration has seen.
        events: the event of each photo, n of them.

    Returns:
        One of the scores; 0, which turns nothing away, for fewer than `MIN_EVENTS`.
    """
    weights = event_weights(events)
    count = len(np.unique(events))
    may_be_below = (count + 1) * REJECTED_SHARE - 1
    if may_be_below < -1e-9:
        return 0.0
    order = np.argsort(scores)
    votes = np.cumsum(weights[order]) * count / len(scores)
    return float(scores[order][np.searchsorted(votes, may_be_below + 1e-9, "right")])


def measure_threshold(
    value: float, truth: Labels, probabilities: Probabilities, events: Sequence[str]
) -> Threshold:
    """Measure the effect of a threshold on photos that were not used to choose it."""
    accepted = scores_of(probabilities) >= value
    right, kept = probabilities.argmax(axis=1) == truth, np.asarray(events)[accepted]
    precision = share_by_event(right[accepted], kept) if accepted.any() else None
    return Threshold(value, share_by_event(accepted, events), precision)


def threshold_curve(truth: Labels, probabilities: Probabilities) -> tuple[CurvePoint, ...]:
    """Threshold, coverage and precision (None if no photo is left), for a range of thresholds."""
    scores, right = scores_of(probabilities), probabilities.argmax(axis=1) == truth
    points = []
    for value in np.arange(CURVE_STEPS) / CURVE_STEPS:
        accepted = scores >= value
        precision = float(right[accepted].mean()) if accepted.any() else None
        points.append((float(value), float(accepted.mean()), precision))
    return tuple(points)


def separation(known: Floats, unknown: Floats) -> float:
    """Probability that a known photo scores above an unknown one (area under the ROC)."""
    ranks = np.sort(unknown)
    below = np.searchsorted(ranks, known, "left")
    ties = np.searchsorted(ranks, known, "right") - below
    return float((below + ties / 2).mean() / len(unknown))
