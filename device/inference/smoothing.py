"""From the scores of single frames to one label that does not flicker.

Pure arithmetic: `step` takes a state and returns the next.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from device.contract.arrays import Scores
from device.contract.statistics import within
from device.inference.classifier import Prediction
from device.settings.sections import SmoothingConfig
from device.telemetry.observation import UNKNOWN
from device.telemetry.unknown import UnknownRule


@dataclass(frozen=True)
class Smoothed:
    """The state after a frame."""

    scores: Scores
    """float32 (classes,): exponentially smoothed probabilities."""
    best: int | None
    """Index of the label; None while unknown."""
    time_s: float
    """Monotonic time of the frame."""
    distance: float | None
    """Smoothed likewise, `within` the range that counts."""
    changed: bool
    """Whether `best` differs from the previous state's."""
    novelty: float | None = None
    """Smoothed likewise; see `Prediction.novelty`."""

    def label(self, labels: Sequence[str]) -> str:
        """The label's name, or "unknown"."""
        return UNKNOWN if self.best is None else labels[self.best]

    def score(self) -> float:
        """The label's score; while unknown, the best class's score."""
        return float(self.scores.max() if self.best is None else self.scores[self.best])

    def top(self, labels: Sequence[str], count: int) -> tuple[tuple[str, float], ...]:
        """The best classes with their scores, the highest first, at most `count`."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return tuple((labels[i], float(self.scores[i])) for i in order)


@dataclass(frozen=True)
class Presence:
    """Whether something is there, after a frame."""

    share: float
    """How much speaks for it, 0 to 1."""
    is_there: bool
    time_s: float
    """Monotonic time of the frame."""


def notice(
    before: Presence | None, is_there: bool, time_s: float, config: SmoothingConfig
) -> Presence:
    """Take one more frame in which something was there, or nothing.

    The two are smoothed like two classes, so that a frame in which a subject was missed, or rain
    taken for one, changes no label.
    """
    if before is None:
        return Presence(float(is_there), is_there, time_s)
    share = before.share + _weight(time_s - before.time_s, config) * (is_there - before.share)
    lead = 2 * share - 1 if share > 0.5 else 1 - 2 * share
    stays = lead < config.hysteresis or share == 0.5
    return Presence(share, before.is_there if stays else share > 0.5, time_s)


def step(
    before: Smoothed | None,
    seen: Prediction,
    time_s: float,
    config: SmoothingConfig,
) -> Smoothed:
    """Take one more frame.

    Each score, and the distance, follows s += (1 - exp(-dt / time_constant)) * (new - s), a
    first-order low-pass in time, not in frames.

    Args:
        before: the state after the last frame, with as many scores; None at the start.
        seen: what the model says about this frame.
        time_s: monotonic, not earlier than the last frame's.
        config: time constant and hysteresis; its threshold replaces the limit on distances.
    """
    rule, distance = UnknownRule.of(seen.limit, config.threshold), within(seen.distance)
    if before is None:
        scores = seen.scores.astype(np.float32)
        now = Smoothed(scores, None, time_s, distance, changed=True, novelty=seen.novelty)
        return replace(now, best=_best(None, now, 0.0, rule))
    weight = _weight(time_s - before.time_s, config)
    change = np.float32(weight) * (seen.scores - before.scores)
    scores = (before.scores + change).astype(np.float32)
    distance = _smoothed(before.distance, distance, weight)
    novelty = _smoothed(before.novelty, seen.novelty, weight)
    now = Smoothed(scores, None, time_s, distance, changed=True, novelty=novelty)
    best = _best(before.best, now, config.hysteresis, rule)
    return replace(now, best=best, changed=best != before.best)


def _smoothed(before: float | None, now: float | None, weight: float) -> float | None:
    return now if before is None or now is None else before + weight * (now - before)


def _weight(dt_s: float, config: SmoothingConfig) -> float:
    """Of what is new, 0 to 1, after so much time."""
    tau_s = config.time_constant_s
    return 1.0 if tau_s == 0 else 1 - math.exp(-max(0.0, dt_s) / tau_s)


def _best(present: int | None, now: Smoothed, hysteresis: float, rule: UnknownRule) -> int | None:
    """The new label: the current one stays unless another leads by `hysteresis`.

    The current label also becomes unknown only once it misses the rule by that much.
    """
    scores, leader = now.scores, int(now.scores.argmax())
    if present is not None:
        if scores[leader] < scores[present] + hysteresis:
            leader = present
        if leader == present:
            away = rule.turns_away(float(scores[present]), now.distance, hysteresis)
            return None if away else present
    return None if rule.turns_away(float(scores[leader]), now.distance) else leader
