"""What the frames of one visit say together: a product of probabilities that stays modest.

Frames of one visitor resemble one another, so twenty of them are not twenty witnesses. The mean of
their log probabilities counts as often as `n` equal ones with a correlation of `CORRELATION` would:
n / (1 + (n - 1) * CORRELATION), which is how a design effect shrinks a sample (Kish 1965).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.arrays import Scores
from device.contract.statistics import within

MOST_ODDS = 10.0
"""A frame speaks at most this many to one for a class against another: one wrong frame that is sure
of itself must not decide."""
CORRELATION = 0.5
"""So much that labels of visitors who show one side only are right as often as those of single
frames (`tests.bench.look.visits`); visitors who show more are then rather too often unknown."""
LEAST_ODDS = 2.5
"""So many to one the frames of a visit speak for its class against the next, on the average, or it
is unknown. The frames of one visitor are often wrong together, but then they seldom agree."""
FULL_WEIGHT_S = 0.25
"""A frame that comes this long after the last, or later, is a whole one; others count less, so that
more frames per second are not more evidence."""
TINY = 1e-6
"""Probabilities below this one are all the same."""

Logs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """The frames so far."""

    logs: Logs
    """float64 (classes,): weighted sum of the frames' log probabilities, each 0 at its best."""
    weight: float
    """Sum of their weights, in whole frames."""
    distances: float | None = None
    """Weighted sum of the frames' distances; None if a frame has none."""
    novelties: float | None = None
    """The same of their novelty, which tells what they are strange for."""

    @property
    def distance(self) -> float | None:
        """How strange the frames are, on the average."""
        return None if self.distances is None else self.distances / self.weight

    @property
    def novelty(self) -> float | None:
        """Whether they are strange for what they show (above 0) or because classes are alike."""
        return None if self.novelties is None else self.novelties / self.weight

    @property
    def of_a_frame(self) -> Scores:
        """float32 (classes,): what a frame says on the average, 1 for the best class."""
        logs = self.logs / self.weight
        return np.asarray(np.exp(logs - logs.max()), np.float32)

    @property
    def is_divided(self) -> bool:
        """Whether the frames hardly speak for one class against all others."""
        if len(self.logs) < 2:
            return False
        second, best = np.sort(self.logs / self.weight)[-2:]
        return bool(best - second < math.log(LEAST_ODDS))

    def probabilities(self) -> Scores:
        """float32 (classes,): of each class, with all frames; they add up to 1."""
        count = self.weight / (1 + max(0.0, self.weight - 1) * CORRELATION)
        logs = self.logs / self.weight * count
        shares = np.exp(logs - logs.max())
        return np.asarray(shares / shares.sum(), np.float32)


def of_frame(
    scores: Scores, since_s: float, distance: float | None = None, novelty: float | None = None
) -> Evidence:
    """What one frame says.

    Args:
        scores: float32 (classes,), probabilities.
        since_s: time since the frame before it, seconds.
        distance: how strange it is.
        novelty: what for.
    """
    weight = min(1.0, max(0.01, since_s / FULL_WEIGHT_S))
    # With hundreds of classes an int8 output may round all of them to 0.
    best = max(float(scores.max()), TINY)
    logs = np.log(np.maximum(scores.astype(np.float64), best / MOST_ODDS))
    near = within(distance)
    distances = None if near is None else weight * near
    novelties = None if novelty is None else weight * novelty
    return Evidence(weight * (logs - logs.max()), weight, distances, novelties)


def together(before: Evidence, more: Evidence) -> Evidence:
    """What was known, and one frame more of a model with the same classes."""
    distances = _sum(before.distances, more.distances)
    novelties = _sum(before.novelties, more.novelties)
    return Evidence(before.logs + more.logs, before.weight + more.weight, distances, novelties)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
