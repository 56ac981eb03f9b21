"""Reliability of scores: the calibration error and its interval.

Pure functions on labels and probabilities. A photo's score is its highest probability, as the
device reports it.

The measured error is too large, because chance moves every bin: perfectly calibrated scores measure
1.7% with 488 photos, and 7% with 30. So labels are simulated from scores that are wrong by a known
amount, and the errors measured on these labels are compared with the error that was observed. The
estimate is the amount whose median error is the observed one; the interval is made of the amounts
whose middle 95% contain it (a confidence interval by inversion of a test, Casella and Berger 2002,
9.2.1). Photos of one event are simulated as right or wrong together as often as the answers say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convert.verify.statistics import CONFIDENCE, Labels, Probabilities
from device.workstation.conversion import ReliabilityFigures
from device.workstation.shares import share_by_event

Floats = npt.NDArray[np.floating]
Hits = npt.NDArray[np.bool_]

BINS = 10
DRAWS = 200
"""Simulated sets of labels for each amount of error."""
HALF_STEP = 1 / 512
"""Half a step of an 8-bit probability: the closest that a score is assumed to be to 0 or 1."""
SHIFTS = np.concatenate([-(steps := 4 * np.linspace(0, 1, 31)[1:] ** 1.5)[::-1], [0.0], steps])
"""Errors of the scores' logits in the simulation, from too low to too high."""


@dataclass(frozen=True)
class Bin:
    """Photos with about equal scores."""

    n: int
    score: float
    """Their mean score, 0..1."""
    accuracy: float
    """The share of them that is classified correctly, 0..1."""


@dataclass(frozen=True)
class Reliability:
    """How well scores match the shares of correct answers."""

    bins: tuple[Bin, ...]
    measured_error: float
    """Expected calibration error of the bins, 0..1; too large if there are few photos."""
    expected_error: float
    """Estimate of the true error, 0..1: half of all such measurements would be larger."""
    interval: tuple[float, float]
    """95% interval of the true error."""

    @classmethod
    def of(
        cls, truth: Labels, probabilities: Probabilities, events: Sequence[str]
    ) -> "Reliability":
        """Measure (n, classes) probabilities against the true classes (n,) of photos of events."""
        right = probabilities.argmax(axis=1) == truth
        return measure_reliability(scores_of(probabilities), right, events)

    def reliability_figures(self) -> ReliabilityFigures:
        """The record for `verification.json`."""
        return ReliabilityFigures(
            expected_calibration_error=self.expected_error,
            interval=self.interval,
            measured_calibration_error=self.measured_error,
            bins=tuple((b.n, b.score, b.accuracy) for b in self.bins),
        )


def measure_reliability(scores: Floats, right: Hits, events: Sequence[str]) -> Reliability:
    """Measure scores (n,) against which of them were right (n,); all of photos of events (n,)."""
    bins = equal_mass_bins(scores, right)
    seen = expected_error(bins)
    true_errors, quantiles = _simulate(scores, _chances(right, events))
    # With few photos a single outcome is likely: rounding must not separate it from itself.
    kept = (quantiles[:, 0] <= seen + 1e-9) & (seen - 1e-9 <= quantiles[:, 2])
    # The amounts next to those kept belong to the interval, too: the truth may lie between.
    kept = kept | np.roll(kept, 1) | np.roll(kept, -1)
    # An error beyond the simulated range is reported as measured.
    low, high = (true_errors[kept].min(), true_errors[kept].max()) if kept.any() else (seen, seen)
    side = SHIFTS >= 0 if scores.mean() >= right.mean() else SHIFTS <= 0
    order = np.flatnonzero(side)[np.argsort(true_errors[side])]
    medians = np.maximum.accumulate(quantiles[order, 1])
    estimate = (
        float(np.interp(seen, medians, true_errors[order])) if seen > medians[0] + 1e-9 else 0.0
    )
    return Reliability(bins, seen, float(np.clip(estimate, low, high)), (float(low), float(high)))


def scores_of(probabilities: Probabilities) -> Floats:
    """float64 (n,): the highest probability of each row."""
    return np.asarray(probabilities.max(axis=1), np.float64)


def without_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities (n, classes) without the division of logits by a temperature."""
    logits = temperature * np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def equal_mass_bins(scores: Floats, right: Hits) -> tuple[Bin, ...]:
    """At most `BINS` bins of about as many photos each; equal scores share a bin.

    8-bit probabilities have many equal scores; separating them would be arbitrary.
    """
    numbers = _bin_numbers(scores)
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


def _chances(right: Hits, events: Sequence[str]) -> Floats:
    """Uniform draws, float64 (`DRAWS`, n), that photos of an event share as often as needed.

    A photo takes the draw of its event with the square root of the correlation as probability; so
    two photos of an event are right or wrong together as their correlation says.
    """
    rng = np.random.default_rng(0)
    chance = rng.random((DRAWS, len(right)))
    names, photos = np.unique(events, return_inverse=True, return_counts=True)[1:]
    if len(photos) == len(right):
        return chance
    together = float(photos @ photos) / len(right)
    effect = len(right) / share_by_event(right, events).effective_n
    correlation = (effect - 1) / (together - 1)
    shared = rng.random((DRAWS, len(photos)))[:, names]
    return np.where(rng.random(chance.shape) < np.sqrt(correlation), shared, chance)


def _simulate(scores: Floats, chance: Floats) -> tuple[Floats, Floats]:
    """Simulate the measurement for scores with known errors.

    Args:
        scores: float64 (n,).
        chance: float64 (`DRAWS`, n): a photo is right where it is below the chance of being right.

    Returns:
        float64 (shifts,), the true error of each of `SHIFTS`; float64 (shifts, 3), the lower end,
        the median and the upper end of the middle 95% of the measured errors.
    """
    clipped = np.clip(scores, HALF_STEP, 1 - HALF_STEP)
    logits = np.log(clipped / (1 - clipped))
    numbers = _bin_numbers(scores)
    member = (numbers[:, np.newaxis] == np.unique(numbers)).astype(np.float64)
    tail = (1 - CONFIDENCE) / 2
    true_errors, quantiles = [], []
    for shift in SHIFTS:
        truth = scores if shift == 0 else 1 / (1 + np.exp(shift - logits))
        gaps = ((chance < truth) - scores) @ member
        errors = np.abs(gaps).sum(axis=1) / len(scores)
        true_errors.append(float(np.abs(truth - scores).mean()))
        quantiles.append(np.quantile(errors, [tail, 0.5, 1 - tail]))
    return np.array(true_errors), np.array(quantiles)


def _bin_numbers(scores: Floats) -> npt.NDArray[np.intp]:
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, scores)
