"""From what a look found in each frame to visits that begin, go on and end.

Pure arithmetic: `step` takes a state and returns the next.
"""

import math
from dataclasses import dataclass, replace

from device.contract.arrays import Box, Scores
from device.contract.look.rules import Seen
from device.visits import evidence
from device.visits.evidence import Evidence

BEGIN_S = 0.5
"""Something must have been seen for this long ..."""
LEAST_FRAMES = 2
"""... in at least this many frames ..."""
LEAST_SHARE = 0.7
"""... and in this share of all frames since the first: a flicker is no visit."""
LONGEST_BLINK_S = 1.0
"""What has not become a visit yet is forgotten after this long without it."""
SLOW_GAPS = 2.5
"""A slow camera sees nothing in between: a pause counts from so many times its usual gap."""
EDGE_CLARITY = 0.5
"""What reaches the edge of the picture may be only half there."""


@dataclass(frozen=True)
class Sight:
    """What a look found in one frame, and what the model said of it."""

    seen: Seen
    monotonic_s: float
    unix_s: float
    scores: Scores | None = None
    """float32 (classes,), probabilities; for SOMETHING."""
    box: Box = (0, 0, 0, 0)
    size_px: tuple[int, int] = (0, 0)
    """Width and height of the whole frame, pixels."""
    distance: float | None = None
    """How strange what the model saw is."""
    novelty: float | None = None
    """What it is strange for."""

    def evidence(self, since_s: float) -> Evidence:
        """What the frame says; for SOMETHING."""
        assert self.scores is not None
        return evidence.of_frame(self.scores, since_s, self.distance, self.novelty)

    def clarity(self, label: int) -> float:
        """How well the frame shows a class, above 0: sure, large, away from the picture's edge."""
        if self.scores is None or label >= len(self.scores):
            return 0.0
        (left, upper, right, lower), (width, height) = self.box, self.size_px
        inside = left > 0 and upper > 0 and right < width and lower < height
        area = max(1, (right - left) * (lower - upper)) / max(1, width * height)
        size = math.sqrt(math.sqrt(area))
        return float(self.scores[label]) * size * (1.0 if inside else EDGE_CLARITY)


@dataclass(frozen=True)
class Going:
    """A visit, or what may become one."""

    first: Sight
    last: Sight
    """The last frame that showed it."""
    frames: int
    """How many frames have shown it ..."""
    looks: int
    """... of how many since the first."""
    evidence: Evidence
    best: Sight
    """The frame that shows it most clearly."""
    began: bool = False

    @property
    def is_visit(self) -> bool:
        """Whether it lasts long enough to be more than a flicker."""
        lasted = self.last.monotonic_s - self.first.monotonic_s >= BEGIN_S
        return lasted and self.frames >= max(LEAST_FRAMES, LEAST_SHARE * self.looks)


@dataclass(frozen=True)
class State:
    """The state after a frame."""

    time_s: float = -math.inf
    """Monotonic time of the frame."""
    gap_s: float = 0.0
    """The gap between this frame and the one before."""
    going: Going | None = None
    """What goes on after this frame."""
    begun: bool = False
    """Whether a visit began with this frame."""
    ended: Going | None = None
    """The visit that ended with this frame."""

    @property
    def visit(self) -> Going | None:
        """The visit that goes on."""
        return self.going if self.going is not None and self.going.began else None


def step(before: State, sight: Sight, end_s: float) -> State:
    """Take one more frame.

    Only SOMETHING begins a visit or prolongs one. NOTHING, light, a moved camera and learning just
    let time pass.

    Args:
        before: the state after the last frame; `State()` at the start.
        sight: the frame, captured not earlier than the last.
        end_s: a visit has ended after this long without anything seen.
    """
    gap_s = sight.monotonic_s - before.time_s if math.isfinite(before.time_s) else 0.0
    going, ended = _left_over(before, sight, end_s)
    if going is not None:
        going = replace(going, looks=going.looks + 1)
    if sight.seen is Seen.SOMETHING and sight.scores is not None:
        going = _prolonged(going, sight)
    begun = going is not None and not going.began and going.is_visit
    if begun and going is not None:
        going = replace(going, began=True)
    return State(sight.monotonic_s, gap_s, going, begun, ended)


def _left_over(before: State, sight: Sight, end_s: float) -> tuple[Going | None, Going | None]:
    """What still goes on when this frame comes, and the visit that has ended."""
    going = before.going
    if going is None:
        return None, None
    limit_s = max(end_s if going.began else LONGEST_BLINK_S, SLOW_GAPS * before.gap_s)
    if sight.monotonic_s - going.last.monotonic_s < limit_s:
        return going, None
    return None, going if going.began else None


def _prolonged(going: Going | None, sight: Sight) -> Going:
    if going is None:
        return Going(sight, sight, 1, 1, sight.evidence(math.inf), sight)
    since_s = sight.monotonic_s - going.last.monotonic_s
    known = evidence.together(going.evidence, sight.evidence(since_s))
    label = int(known.probabilities().argmax())
    clearer = sight.clarity(label) > going.best.clarity(label)
    return replace(
        going,
        last=sight,
        frames=going.frames + 1,
        evidence=known,
        best=sight if clearer else going.best,
    )
