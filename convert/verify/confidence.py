"""The threshold below which the device says "unknown".

Pure functions on labels and probabilities. A photo's score is its highest probability, as the
device reports it.
"""

from dataclasses import dataclass

import numpy as np

from convert.verify.reliability import Floats, scores_of
from convert.verify.statistics import Labels, Probabilities, Share
from device.workstation.conversion import ThresholdFigures

REJECTED_SHARE = 0.05
"""Share of photos of known classes that the threshold may turn away."""
MIN_PHOTOS = 19
"""With fewer validation photos there is no threshold: one in twenty needs at least 19 scores."""
CURVE_STEPS = 64
"""Points of the threshold curve: every fourth step of an 8-bit probability."""


CurvePoint = tuple[float, float, float | None]


@dataclass(frozen=True)
class Threshold:
    """The score below which a photo counts as unknown, and its effect on the test part."""

    value: float
    coverage: Share
    """Share of the test photos with a score at or above it."""
    precision: Share | None
    """Share of these that are classified correctly; None if no photo reaches the threshold."""

    def threshold_figures(self) -> ThresholdFigures:
        """The record for `verification.json` and the manifest."""
        coverage, precision = self.coverage, self.precision
        return ThresholdFigures(
            value=self.value,
            n=coverage.n,
            coverage=coverage.value,
            coverage_interval=(coverage.low, coverage.high),
            precision=precision.value if precision else None,
            precision_interval=(precision.low, precision.high) if precision else None,
        )


def choose_threshold(scores: Floats) -> float:
    """The highest threshold that turns away at most `REJECTED_SHARE` of known photos.

    This holds for new photos, too: the k-th lowest of n scores, k = floor((n + 1) * share), is
    above the score of a similar new photo with a probability of at most that share (split conformal
    prediction, Vovk et al. 2005). No pictures of unknown things are needed.

    Args:
        scores: (n,), of photos that neither training nor calibration has seen.

    Returns:
        One of the scores; 0, which turns nothing away, for fewer than `MIN_PHOTOS`.
    """
    rank = int((len(scores) + 1) * REJECTED_SHARE + 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank else 0.0


def measure_threshold(value: float, truth: Labels, probabilities: Probabilities) -> Threshold:
    """Measure the effect of a threshold on photos that were not used to choose it."""
    accepted = scores_of(probabilities) >= value
    right = probabilities.argmax(axis=1) == truth
    precision = Share.of(right[accepted]) if accepted.any() else None
    return Threshold(value, Share.of(accepted), precision)


def threshold_curve(truth: Labels, probabilities: Probabilities) -> tuple[CurvePoint, ...]:
    """Threshold, coverage and precision (None if no photo is left), for a range of thresholds."""
    steps = [measure_threshold(i / CURVE_STEPS, truth, probabilities) for i in range(CURVE_STEPS)]
    return tuple(
        (step.value, step.coverage.value, step.precision.value if step.precision else None)
        for step in steps
    )


def separation(known: Floats, unknown: Floats) -> float:
    """Probability that a known photo scores above an unknown one (area under the ROC)."""
    ranks = np.sort(unknown)
    below = np.searchsorted(ranks, known, "left")
    ties = np.searchsorted(ranks, known, "right") - below
    return float((below + ties / 2).mean() / len(unknown))
