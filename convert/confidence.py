"""What a probability is worth: calibration, and the threshold for "nothing I know".

Pure functions on labels and probabilities. A photo's score is its highest probability, just as
the device reports it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.statistics import CONFIDENCE, Labels, Probabilities, Share

Floats = npt.NDArray[np.floating]
Hits = npt.NDArray[np.bool_]

BINS = 10
RESAMPLES = 1000
REJECTED_SHARE = 0.05
"""How many photos of known things the threshold may turn away."""
CURVE_STEPS = 64
"""Points of the threshold curve: every fourth step of an 8-bit probability."""


@dataclass(frozen=True)
class Bin:
    """Photos of about equal score."""

    n: int
    score: float
    """Their mean score, 0..1."""
    accuracy: float
    """The share of them that is named right, 0..1."""


@dataclass(frozen=True)
class Reliability:
    """Whether scores are shares of right answers."""

    bins: tuple[Bin, ...]
    expected_error: float
    """Expected calibration error, 0..1."""
    interval: tuple[float, float]
    """95% percentile bootstrap over photos; few photos make it, and the error, too large."""

    @classmethod
    def of(cls, truth: Labels, probabilities: Probabilities) -> "Reliability":
        """Measure (n, classes) probabilities against their true classes (n,)."""
        scores, right = scores_of(probabilities), probabilities.argmax(axis=1) == truth
        draws = np.random.default_rng(0).integers(0, len(truth), (RESAMPLES, len(truth)))
        errors = [expected_error(equal_mass_bins(scores[draw], right[draw])) for draw in draws]
        tails = 100 * (1 - CONFIDENCE) / 2
        low, high = np.percentile(errors, [tails, 100 - tails])
        bins = equal_mass_bins(scores, right)
        return cls(bins, expected_error(bins), (float(low), float(high)))

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "expected_calibration_error": self.expected_error,
            "interval": list(self.interval),
            "bins": [[b.n, b.score, b.accuracy] for b in self.bins],
        }


@dataclass(frozen=True)
class Threshold:
    """The score below which a photo shows nothing known, and what it does on the test part."""

    value: float
    coverage: Share
    """Of the test photos, those at or above it."""
    precision: Share | None
    """Of these, those named right; none where no photo reaches the threshold."""

    def record(self) -> dict[str, Any]:
        """As the manifest's `threshold`."""
        precision = self.precision
        return {
            "value": self.value,
            "n": self.coverage.n,
            "coverage": self.coverage.value,
            "coverage_interval": [self.coverage.low, self.coverage.high],
            "precision": precision.value if precision else None,
            "precision_interval": [precision.low, precision.high] if precision else None,
        }


def scores_of(probabilities: Probabilities) -> Floats:
    """float64 (n,): the highest probability of each row."""
    return np.asarray(probabilities.max(axis=1), np.float64)


def equal_mass_bins(scores: Floats, right: Hits) -> tuple[Bin, ...]:
    """At most `BINS` bins of about as many photos each; equal scores share a bin.

    8-bit probabilities have many equal scores, and to part them would be chance.
    """
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    numbers = np.searchsorted(edges, scores)
    counts = np.bincount(numbers)
    filled = counts > 0
    means = np.bincount(numbers, scores)[filled] / counts[filled]
    shares = np.bincount(numbers, right)[filled] / counts[filled]
    rows = zip(counts[filled], means, shares, strict=True)
    return tuple(Bin(int(n), float(score), float(share)) for n, score, share in rows)


def expected_error(bins: tuple[Bin, ...]) -> float:
    """Mean distance between score and accuracy over all photos (Naeini et al. 2015)."""
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.score - b.accuracy) for b in bins) / total


def choose_threshold(scores: Floats) -> float:
    """The highest threshold that turns away at most `REJECTED_SHARE` of known photos.

    Not only of these: of n scores the k-th lowest, k = floor((n + 1) * share), lies above the
    score of a new photo like them with a chance of at most that share (split conformal
    prediction, Vovk et al. 2005). No picture of the unknown is needed, which is endless.

    Args:
        scores: (n,) of photos that neither training nor calibration has seen.

    Returns:
        One of the scores; 0, which turns nothing away, for too few of them (fewer than 19).
    """
    rank = int((len(scores) + 1) * REJECTED_SHARE + 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank else 0.0


def measure_threshold(value: float, truth: Labels, probabilities: Probabilities) -> Threshold:
    """What a threshold does to photos that did not choose it."""
    accepted = scores_of(probabilities) >= value
    right = probabilities.argmax(axis=1) == truth
    precision = Share.of(right[accepted]) if accepted.any() else None
    return Threshold(value, Share.of(accepted), precision)


def threshold_curve(truth: Labels, probabilities: Probabilities) -> list[list[float | None]]:
    """Rows of threshold, coverage and precision (none where no photo is left)."""
    steps = [measure_threshold(i / CURVE_STEPS, truth, probabilities) for i in range(CURVE_STEPS)]
    return [
        [step.value, step.coverage.value, step.precision.value if step.precision else None]
        for step in steps
    ]


def separation(known: Floats, unknown: Floats) -> float:
    """Chance that a known photo scores above an unknown one, ties half (area under the ROC)."""
    ranks = np.sort(unknown)
    below = np.searchsorted(ranks, known, "left")
    ties = np.searchsorted(ranks, known, "right") - below
    return float((below + ties / 2).mean() / len(unknown))
