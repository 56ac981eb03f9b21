"""Which frames are worth saving: those that the model is unsure about, and few of each visit.

Uncertainty sampling by the margin of the two best scores (Scheffer, Decomain and Wrobel 2001). One
visit is one occasion: forty photos of it teach little more than its best and its most doubtful one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from device.contract.arrays import Scores
from device.contract.look.rules import Seen
from device.settings.sections import CollectConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.visits.visit import Visit

CHANGED, UNCERTAIN = "changed", "uncertain"


def why_save(observation: Observation, threshold: float, config: CollectConfig) -> str:
    """Why a frame should be saved for review: changed, unknown, uncertain; empty if it should not.

    Args:
        observation: its own scores count, not the smoothed ones.
        threshold: below it the label is "unknown".
        config: its `margin` is the distance that counts as close.
    """
    if not observation.scores.any():
        # Not classified: nothing is there.
        return ""
    if observation.changed and config.changes:
        return CHANGED
    return _doubt(observation.label, observation.scores, threshold, config)


def why_save_visit(visit: Visit, threshold: float, config: CollectConfig) -> str:
    """The same for a visit as a whole; that it came is a change."""
    scores = np.array([score for _, score in visit.top], np.float32)
    doubt = _doubt(visit.label, scores, threshold, config)
    return doubt or (CHANGED if config.changes else "")


def _doubt(label: str, scores: Scores, threshold: float, config: CollectConfig) -> str:
    if label == UNKNOWN:
        return UNKNOWN
    near_second = _lead(scores) < config.margin
    near_threshold = abs(scores.max(initial=0) - threshold) < config.margin
    return UNCERTAIN if near_second or near_threshold else ""


def _lead(scores: Scores) -> float:
    """How far the best score is above the second, 0..1."""
    best = np.sort(scores)[-2:]
    return float(best[1] - best[0]) if len(best) == 2 else 1.0


@dataclass(frozen=True)
class Chosen:
    """The frames of one visit that are chosen so far; they keep their pictures."""

    visit: Visit
    best: Observation | None = None
    """The one that shows the visitor most clearly."""
    doubtful: Observation | None = None
    """Of those that the model is unsure about, the one that it is most unsure about."""

    def photos(self, reason: str) -> Iterator[tuple[Observation, str]]:
        """What to save, and why.

        Args:
            reason: why the visit is saved; its best frame is not if this is empty.
        """
        if self.best is not None and reason:
            yield self.best, reason
        if self.doubtful is not None and self.doubtful is not self.best:
            yield self.doubtful, UNKNOWN if self.doubtful.label == UNKNOWN else UNCERTAIN


def choose(
    before: Chosen | None, observation: Observation, threshold: float, config: CollectConfig
) -> Chosen:
    """Take one more frame of a visit that goes on.

    Args:
        before: what was chosen; None, or of another visit, for its first frame.
        observation: with its visit, and with its picture.
        threshold: as in `why_save`.
        config: likewise.
    """
    visit = observation.visit
    assert visit is not None
    same = before if before is not None and before.visit.id == visit.id else Chosen(visit)
    now = replace(same, visit=visit)
    if observation.seen is not Seen.SOMETHING:
        return now
    if now.best is None or visit.best_unix_s == observation.unix_s:
        now = replace(now, best=observation)
    if _doubt(observation.label, observation.scores, threshold, config):
        lead = 1.1 if now.doubtful is None else _lead(now.doubtful.scores)
        if _lead(observation.scores) < lead:
            now = replace(now, doubtful=observation)
    return now
