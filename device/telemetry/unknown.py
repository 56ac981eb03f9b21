"""When the device says "unknown", and why: one rule for photos, frames, visits, what is saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from device.contract.arrays import Scores
from device.visits.evidence import Evidence

CLOSE = 0.5
"""Classes are alike if each has at least this share of the best one's score."""
MOST_ALIKE = 3
"""More are not named."""


class Reason(StrEnum):
    """What made a picture unknown."""

    UNLIKE = "unlike"
    """It shows what the training photos do not."""
    ALIKE = "alike"
    """It shows what speaks for more than one class."""
    UNSURE = "unsure"
    """Its score is below the threshold of the settings, and no other class is near."""


@dataclass(frozen=True)
class Doubt:
    """Why a picture is unknown."""

    reason: Reason
    nearest: tuple[str, ...]
    """The classes with the highest scores, best first: those that are alike, or one."""

    def words(self, named: Callable[[str], str] = str) -> str:
        """For people, as the end of a sentence that says "unknown".

        Args:
            named: writes the name of a class.
        """
        names = [named(name) for name in self.nearest]
        if self.reason is Reason.ALIKE:
            return f"cannot be told apart here: {', '.join(names[:-1])} and {names[-1]}"
        if self.reason is Reason.UNLIKE:
            return f"unlike the training photos; nearest: {names[0]}"
        return f"not sure enough; perhaps {names[0]}"


@dataclass(frozen=True)
class UnknownRule:
    """What a picture must be to get a label."""

    limit: float | None = None
    """Its distance at most; None: the distance says nothing."""
    threshold: float = 0.0
    """Its score at least, 0..1."""

    @classmethod
    def of(cls, limit: float | None, threshold: float | None) -> "UnknownRule":
        """The rule of a bundle, which a threshold in the settings replaces."""
        return cls(limit) if threshold is None else cls(None, threshold)

    def turns_away(self, score: float, distance: float | None, margin: float = 0.0) -> bool:
        """Whether a picture is unknown.

        Args:
            score: of its label.
            distance: None if the model tells none.
            margin: by how much it may miss what the rule asks for.
        """
        too_far = self.limit is not None and distance is not None and distance > self.limit + margin
        return too_far or score < self.threshold - margin

    def turns_away_visit(self, evidence: Evidence) -> bool:
        """Whether a visit is unknown: its frames are too strange, or no class comes out of them."""
        is_any = self.limit is not None or self.threshold > 0
        score = float(evidence.probabilities().max())
        return self.turns_away(score, evidence.distance) or (is_any and evidence.is_divided)

    def doubt_of_visit(self, labels: Sequence[str], evidence: Evidence) -> Doubt:
        """Why a visit was turned away.

        Args:
            labels: of the classes.
            evidence: of its frames.
        """
        # Where they are not strange, no class comes out of them.
        is_strange = self.turns_away(1.0, evidence.distance)
        return self.doubt(labels, evidence.of_a_frame, evidence.novelty if is_strange else None)

    def is_close(self, score: float, distance: float | None, margin: float) -> bool:
        """Whether the picture could as well be on the other side of the rule."""
        if self.limit is not None and distance is not None:
            return abs(distance - self.limit) < margin
        return abs(score - self.threshold) < margin

    def doubt(self, labels: Sequence[str], scores: Scores, novelty: float | None) -> Doubt:
        """Why a picture was turned away.

        Args:
            labels: of the classes.
            scores: float32 (classes,).
            novelty: of the picture, `Prediction.novelty`; None if the model tells none.
        """
        order = np.argsort(-scores, kind="stable")[:MOST_ALIKE]
        close = tuple(labels[i] for i in order if scores[i] >= CLOSE * scores[order[0]])
        # A stranger may have close scores, too: then it is the features that tell.
        if len(close) > 1 and (self.limit is None or novelty is None or novelty < 0):
            return Doubt(Reason.ALIKE, close)
        reason = Reason.UNSURE if self.limit is None else Reason.UNLIKE
        return Doubt(reason, close[:1])
