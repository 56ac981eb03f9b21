"""Which frames are worth saving: those that the model is unsure about, and few of each visit.

Uncertainty sampling by the margin of the two best scores (Scheffer, Decomain and Wrobel 2001). One
visit is one occasion: forty photos of it teach little more than its best and its most doubtful one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from device.contract.arrays import Scores
from device.contract.look.rules import Seen
from device.outputs.collect.snapshot import Shot
from device.settings.sections import CollectConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.telemetry.unknown import UnknownRule
from device.visits.visit import Visit

CHANGED, UNCERTAIN = "changed", "uncertain"
LEAST_WAIT_S, LEAST_STEP = 0.25, 0.02
"""To encode a frame is work: one that is better, or in more doubt, by less than this is no gain."""


def why_save(observation: Observation, rule: UnknownRule, config: CollectConfig) -> str:
    """Why a frame should be saved for review: changed, unknown, uncertain; empty if it should not.

    Args:
        observation: its own scores count, not the smoothed ones.
        rule: what makes the label "unknown".
        config: its `margin` is the distance that counts as close.
    """
    if not observation.scores.any():
        # Not classified: nothing is there.
        return ""
    if observation.changed and config.changes:
        return CHANGED
    return _doubt_of(observation, rule, config)


def why_save_visit(visit: Visit, rule: UnknownRule, config: CollectConfig) -> str:
    """The same for a visit as a whole; that it came is a change."""
    scores = np.array([score for _, score in visit.top], np.float32)
    doubt = _doubt(visit.label, scores, None, rule, config)
    return doubt or (CHANGED if config.changes else "")


def _doubt_of(observation: Observation, rule: UnknownRule, config: CollectConfig) -> str:
    return _doubt(observation.label, observation.scores, observation.distance, rule, config)


def _doubt(
    label: str, scores: Scores, distance: float | None, rule: UnknownRule, config: CollectConfig
) -> str:
    if label == UNKNOWN:
        return UNKNOWN
    near_second = _lead(scores) < config.margin
    near_unknown = rule.is_close(float(scores.max(initial=0)), distance, config.margin)
    return UNCERTAIN if near_second or near_unknown else ""


def _lead(scores: Scores) -> float:
    """How far the best score is above the second, 0..1."""
    best = np.sort(scores)[-2:]
    return float(best[1] - best[0]) if len(best) == 2 else 1.0


def is_doubtful(observation: Observation, rule: UnknownRule, config: CollectConfig) -> bool:
    """Whether the model is unsure about a frame; see `why_save`."""
    return bool(observation.scores.any() and _doubt_of(observation, rule, config))


@dataclass(frozen=True)
class Chosen:
    """The frames of one visit that are chosen so far."""

    visit: Visit
    best: Shot | None = None
    """The one that shows the visitor most clearly."""
    doubtful: Shot | None = None
    """Of those that the model is unsure about, the one that it is most unsure about."""

    def photos(self, reason: str) -> Iterator[tuple[Shot, str]]:
        """What to save, and why.

        Args:
            reason: why the visit is saved; its best frame is not if this is empty.
        """
        if self.best is not None and reason:
            yield self.best, reason
        if self.doubtful is not None and self.doubtful is not self.best:
            is_unknown = self.doubtful.observation.label == UNKNOWN
            yield self.doubtful, UNKNOWN if is_unknown else UNCERTAIN


def choose(
    before: Chosen | None,
    observation: Observation,
    rule: UnknownRule,
    config: CollectConfig,
    take: Callable[[Observation], Shot],
) -> Chosen:
    """Take one more frame of a visit that goes on.

    Args:
        before: what was chosen; None, or of another visit, for its first frame.
        observation: with its visit, and with its picture.
        rule: as in `why_save`.
        config: likewise.
        take: encodes a frame that is chosen.
    """
    visit = observation.visit
    assert visit is not None
    same = before if before is not None and before.visit.id == visit.id else Chosen(visit)
    now = replace(same, visit=visit)
    if observation.seen is not Seen.SOMETHING:
        return now
    is_best = _is_better(now.best, observation)
    is_doubtful = bool(_doubt_of(observation, rule, config))
    is_doubtful = is_doubtful and _is_more_doubtful(now.doubtful, observation)
    if not (is_best or is_doubtful):
        return now
    taken = take(observation)
    best = taken if is_best else now.best
    return replace(now, best=best, doubtful=taken if is_doubtful else now.doubtful)


def _is_better(best: Shot | None, observation: Observation) -> bool:
    """Whether a frame is the best so far, and not just a moment after the last of these."""
    if best is None:
        return True
    assert observation.visit is not None
    waited_s = observation.monotonic_s - best.observation.monotonic_s
    return observation.visit.best_unix_s == observation.unix_s and waited_s >= LEAST_WAIT_S


def _is_more_doubtful(doubtful: Shot | None, observation: Observation) -> bool:
    if doubtful is None:
        return True
    return _lead(observation.scores) < _lead(doubtful.observation.scores) - LEAST_STEP
