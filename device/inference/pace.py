"""How many frames a second are taken."""

import math
import threading
import time

from device.contract.look.rules import Outcome, Seen

CALM_S = 60.0
"""A place is calm once nothing at all has changed for so long."""
CALM_SHARE = 0.6
"""Of a calm place so many of the frames are taken that are while nothing is there."""
POLL_S = 0.25
"""Longest single wait; in between, whoever waits checks whether to stop or do something else."""


class Pace:
    """Limits the frames per second; the limits may change at any time."""

    def __init__(self, max_fps: float = float("inf")) -> None:
        self.max_fps = max_fps
        self.rest_fps = float("inf")
        """A second limit, while fewer frames are enough."""
        self._granted_s = self._last_s = float("-inf")

    def restart(self, max_fps: float) -> None:
        """Start over: the next frame may be taken at once."""
        self.rest_fps = float("inf")
        self.max_fps, self._granted_s, self._last_s = max_fps, float("-inf"), float("-inf")

    @property
    def due_s(self) -> float:
        """`time.monotonic()` from which the next frame may be taken.

        In the past while a frame is being waited for: a source that skips frames must see that.
        """
        return self._last_s + self._gap_s

    @property
    def late_s(self) -> float:
        """`time.monotonic()` after which the thread that takes frames is late."""
        return self._granted_s + self._gap_s

    @property
    def _gap_s(self) -> float:
        return 1 / min(self.max_fps, self.rest_fps)

    def taken(self) -> None:
        """Note that the frame that could be taken was taken."""
        self._last_s = self._granted_s

    def wait(self, stop: threading.Event, until_s: float = float("inf")) -> bool:
        """Wait until the next frame may be taken; returns at once until `taken` is called.

        Args:
            stop: ends the wait.
            until_s: `time.monotonic()` at which the wait also ends.

        Returns:
            Whether it may be taken.
        """
        while not stop.is_set():
            now_s = time.monotonic()
            if self._granted_s > self._last_s:
                return True
            rest_s = self.due_s - now_s
            if rest_s <= 0:
                self._granted_s = now_s
                return True
            if now_s >= until_s:
                return False
            # In short waits: the limit may be raised meanwhile.
            stop.wait(min(rest_s, until_s - now_s, POLL_S))
        return False


class Rest:
    """Slows down where nothing is there, and again where nothing has changed for a minute.

    A single look at which a thousandth of the picture differs ends that: a quarter of what can be
    a subject. What comes in is first seen at the edge of the picture.
    """

    def __init__(self, calm_s: float = CALM_S) -> None:
        """Begin where something may be there.

        Args:
            calm_s: how long nothing must have changed.
        """
        self._calm_s, self._calm_since_s = calm_s, math.inf

    def most_fps(self, outcome: Outcome | None, at_s: float, rest_fps: float) -> float:
        """How many frames a second are enough after a frame; infinite if all are wanted.

        Args:
            outcome: what the frame showed; None if something may be there.
            at_s: when it was taken, by any clock that does not go backwards.
            rest_fps: how many are enough while nothing is there.
        """
        if outcome is None or outcome.seen is not Seen.NOTHING:
            self._calm_since_s = math.inf
            return math.inf
        if outcome.changed_permille:
            self._calm_since_s = math.inf
            return rest_fps
        self._calm_since_s = min(self._calm_since_s, at_s)
        return rest_fps * (CALM_SHARE if at_s - self._calm_since_s >= self._calm_s else 1.0)
