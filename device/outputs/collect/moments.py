"""Moments drawn at random over the running time, whatever the model says then.

Photos of such moments are a fair sample of what the camera sees, so they can tell how often the
model is right. Their weights are 1 / `probability` (Horvitz and Thompson 1952).

What is drawn is time, not frames: frame rates differ over days and devices, and a moment of a slow
camera counts as much as one of a fast camera. Moments come as a Poisson process on the monotonic
clock, so each second has the same probability. No moment depends on earlier ones: nothing has to
be remembered over a restart, and a wall clock that is wrong or jumps changes nothing.
"""

import math
import random
import time

DAY_S = 86400.0
LONGEST_GAP_S = 2.0
"""A frame stands for the time since the frame before it; after a longer pause it stands only for
this long, or for twice the gap between the two frames before. In a stall there is nothing to see,
and the first frame after it must not stand for all of it."""


class RandomMoments:
    """Tells which frames belong to moments drawn at random; for one thread at a time."""

    def __init__(self, per_day: float, rng: random.Random | None = None) -> None:
        """Draw the first moment.

        Args:
            per_day: how many to expect in 24 hours of running; 0 for none.
            rng: for repeatable tests; by default the operating system seeds it.
        """
        self._rate = per_day / DAY_S
        self._rng = rng or random.Random()
        self._seen_s = time.monotonic()
        self._usual_gap_s = 0.0
        self._due_s = self._after(self._seen_s)

    @property
    def probability(self) -> float:
        """That a second of running time has a moment in it, 0..1."""
        return -math.expm1(-self._rate)

    @property
    def waits(self) -> bool:
        """Whether a moment has come that waits for its frame."""
        return time.monotonic() >= self._due_s

    def takes(self, captured_s: float) -> bool:
        """Whether a moment lies between the frame before and this one; then the next is drawn.

        Args:
            captured_s: `time.monotonic()` of the frame. Call this for each frame, in order.
        """
        gap_s = captured_s - self._seen_s
        if gap_s <= 0:
            return False
        stands_for_s = max(LONGEST_GAP_S, 2 * self._usual_gap_s)
        self._seen_s, self._usual_gap_s = captured_s, gap_s
        if captured_s < self._due_s:
            return False
        taken = captured_s - self._due_s <= stands_for_s
        self._due_s = self._after(captured_s)
        return taken

    def postpone(self) -> None:
        """Let a moment that came while the sink was busy take the first frame from now on.

        Of the frames that came meanwhile, the mailbox kept label changes rather than others.
        """
        self._due_s = max(self._due_s, time.monotonic())

    def _after(self, now_s: float) -> float:
        return now_s + self._rng.expovariate(self._rate) if self._rate else math.inf
