"""The threshold for "nothing I know".

Pure functions on labels and probabilities. A photo's score is its highest probability, just as
the device reports it.
"""

from dataclasses import dataclass

import numpy as np

from convert.verify.reliability import Floats, scores_of
from convert.verify.statistics import Labels, Probabilities, Share
from device.workstation.conversion import ThresholdFigures

REJECTED_SHARE = 0.05
"""How many photos of known things the threshold may turn away."""
MIN_PHOTOS = 19
"""Fewer validation photos choose no threshold: the lowest of 19 scores is the one in twenty."""
CURVE_STEPS = 64
"""Points of the threshold curve: every fourth step of an 8-bit probability."""


CurvePoint = tuple[float, float, float | None]


@dataclass(frozen=True)
class Threshold:
    """The score below which a photo shows nothing known, and what it does on the test part."""

    value: float
    coverage: Share
    """Of the test photos, those at or above it."""
    precision: Share | None
    """Of these, those named right; none where no photo reaches the threshold."""

    def threshold_figures(self) -> ThresholdFigures:
        """As records and the manifest hold it."""
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

    Not only of these: of n scores the k-th lowest, k = floor((n + 1) * share), lies above the
    score of a new photo like them with a chance of at most that share (split conformal
    prediction, Vovk et al. 2005). No picture of the unknown is needed, which is endless.

    Args:
        scores: (n,) of photos that neither training nor calibration has seen.

    Returns:
        One of the scores; 0, which turns nothing away, for fewer than `MIN_PHOTOS`.
    """
    rank = int((len(scores) + 1) * REJECTED_SHARE + 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank else 0.0


def measure_threshold(value: float, truth: Labels, probabilities: Probabilities) -> Threshold:
    """What a threshold does to photos that did not choose it."""
    accepted = scores_of(probabilities) >= value
    right = probabilities.argmax(axis=1) == truth
    precision = Share.of(right[accepted]) if accepted.any() else None
    return Threshold(value, Share.of(accepted), precision)


def threshold_curve(truth: Labels, probabilities: Probabilities) -> tuple[CurvePoint, ...]:
    """Threshold, coverage and precision (None where no photo is left), over the threshold."""
    steps = [measure_threshold(i / CURVE_STEPS, truth, probabilities) for i in range(CURVE_STEPS)]
    return tuple(
        (step.value, step.coverage.value, step.precision.value if step.precision else None)
        for step in steps
    )


def separation(known: Floats, unknown: Floats) -> float:
    """Chance that a known photo scores above an unknown one, ties half (area under the ROC)."""
    ranks = np.sort(unknown)
    below = np.searchsorted(ranks, known, "left")
    ties = np.searchsorted(ranks, known, "right") - below
    return float((below + ties / 2).mean() / len(unknown))
