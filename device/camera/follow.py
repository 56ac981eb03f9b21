"""Choosing which packets of a live stream to decode: not the late ones, nor the unwanted ones."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from device.camera.frame import Demand

log = logging.getLogger("fieldguide")

MAX_FRAMES_BEFORE_KEY = 300
"""Some cameras refresh the picture bit by bit and never send a key frame."""
DRIFT = 1e-3
"""A camera's clock and ours drift apart by less than this, in seconds per second."""
LATE_S = 1.0
"""Being further behind than this is too late."""
CATCH_UP_S = 1.5
"""How long decoding may try to catch up, for example after a short network failure."""
CAUGHT_UP_S = 0.25
"""This close to the newest packet, no packets are waiting any more."""
MAX_KEY_AGE_S = 3.0
"""Do not go back to a key frame older than this: wait for the next one."""
MAX_HELD_BYTES = 8 * 2**20
FUTILE_S = 3.0
"""If skipping packets for this long does not help, the decoder is not the cause of the lag."""
MAX_FUTILE = 3
MAX_REST_S = 10.0
"""Longest wait for a key frame that is overdue."""
KEY_INTERVALS = 5
LATE_GAP_S = 0.25
"""Time between pictures while decoding is late: converting them to RGB takes time, too."""


@dataclass(frozen=True)
class Choice:
    """What to do with one packet."""

    packet: Any
    """The packet to decode; None if it is skipped."""
    arrived_s: float
    """`time.monotonic()`."""
    lag_s: float
    """How far behind the stream it is."""
    passed: int = 0
    """How many packets this decision skips for good."""
    fresh: bool = False
    """Whether packets before it are missing, so that the decoder must be flushed."""


class Lag:
    """How late packets are, by their own times and the clock: 0 means as early as any so far."""

    def __init__(self) -> None:
        self._now_s = self._offset_s = 0.0
        self._least_s = math.inf
        self._useless = False

    def update(self, now_s: float, time_s: float | None) -> float:
        """Lag of the current packet, seconds; 0 if its time is unknown.

        Args:
            now_s: `time.monotonic()`.
            time_s: the packet's, on the camera's clock.
        """
        if time_s is None or self._useless:
            return 0.0
        drift_s = DRIFT * (now_s - self._now_s)
        self._now_s, self._offset_s = now_s, now_s - time_s
        self._least_s = min(self._offset_s, self._least_s + drift_s)
        return self._offset_s - self._least_s

    def reset_baseline(self, *, forever: bool) -> None:
        """Count the current lag as no lag."""
        self._least_s, self._useless = self._offset_s, forever


class KeyFrames:
    """Predicts when key frames come from those that came so far."""

    def __init__(self) -> None:
        self.gap_s = 0.0
        """Between the last two frames."""
        self._last_s: float | None = None
        self._key_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=KEY_INTERVALS)

    def see(self, time_s: float, *, is_key: bool) -> None:
        """Note one more packet and its time in seconds."""
        if self._last_s is not None:
            self.gap_s = max(0.0, time_s - self._last_s)
        self._last_s = time_s
        if is_key:
            if self._key_s is not None and time_s > self._key_s:
                self._intervals_s.append(time_s - self._key_s)
            self._key_s = time_s

    def next_s(self) -> float:
        """Seconds from the last packet to the next key frame; infinite if unknown."""
        if len(self._intervals_s) < 2 or self._key_s is None or self._last_s is None:
            return math.inf
        # Based on the longest interval: a wanted frame must not be missed.
        longest_s = max(self._intervals_s) * 1.05 + 0.1
        return max(0.1, self._key_s + longest_s - self._last_s)


class Follower:
    """Follows a live stream as closely as the decoder can, and no closer than needed.

    If packets pile up (the decoder is too slow, the process was held up), they are skipped up to
    the newest key frame. Between wanted frames, packets are skipped as long as a key frame comes
    before the next wanted one.
    """

    def __init__(self, demand: Demand, clock: Callable[[], float] = time.monotonic) -> None:
        self._demand, self._clock = demand, clock
        self._lag, self._keys = Lag(), KeyFrames()
        self._skipping, self._gap = False, False
        self._late_since_s: float | None = None
        self._passing: tuple[float, float] | None = None
        """Since when late packets are being skipped, and how late they were at first."""
        self._buffered: deque[Any] = deque()
        """While passing: the newest key frame and what came after it."""
        self._live_packets = self._futile = 0
        self._shown_s = -math.inf

    def wants(self, choice: Choice) -> bool:
        """Whether a picture will be needed before the one after the next comes."""
        now_s = self._clock()
        if self._demand.due_s - now_s > 2 * self._keys.gap_s:
            return False
        if choice.lag_s > LATE_S and now_s - self._shown_s < LATE_GAP_S:
            return False
        self._shown_s = now_s
        return True

    def choose(self, packets: Iterable[Any]) -> Iterator[Choice]:
        """Decide about each packet only when the ones before it have been decoded."""
        for packet in packets:
            seen_s = time_of(packet)
            self._keys.see(self._clock() if seen_s is None else seen_s, is_key=packet.is_keyframe)
            yield self._decide(packet)
            while self._buffered and self._passing is None:
                yield self._decide(self._buffered.popleft())

    def _decide(self, packet: Any) -> Choice:
        now_s = self._clock()
        lag_s = self._lag.update(now_s, time_of(packet))
        passed = 0
        if self._passing is None and self._is_too_late(now_s, lag_s):
            self._passing, self._skipping, self._live_packets = (now_s, lag_s), False, 0
            passed = len(self._buffered)
            self._buffered.clear()
        if self._passing is not None:
            passed += self._buffer(packet)
            self._stop_skipping_if_live(packet, now_s, lag_s)
        elif self._skips_until_key_frame(packet, now_s):
            passed = 1
        else:
            fresh, self._gap = self._gap, False
            return Choice(packet, now_s, lag_s, fresh=fresh)
        self._gap = True
        return Choice(None, now_s, lag_s, passed)

    def _is_too_late(self, now_s: float, lag_s: float) -> bool:
        if lag_s <= LATE_S:
            self._late_since_s = None
            return False
        if self._late_since_s is None:
            self._late_since_s = now_s
        return now_s - self._late_since_s >= CATCH_UP_S

    def _buffer(self, packet: Any) -> int:
        """Keep the newest key frame and what follows it; returns how many packets were dropped."""
        before = len(self._buffered)
        too_many = sum(held.size for held in self._buffered) > MAX_HELD_BYTES
        if packet.is_keyframe or too_many:
            self._buffered.clear()
        if packet.is_keyframe or self._buffered:
            self._buffered.append(packet)
        return before + 1 - len(self._buffered)

    def _stop_skipping_if_live(self, packet: Any, now_s: float, lag_s: float) -> None:
        """Stop skipping when no packets are waiting any more and there is a key frame."""
        assert self._passing is not None
        since_s, before_s = self._passing
        if now_s - since_s >= FUTILE_S and lag_s > max(before_s, LATE_S) / 2:
            self._forgive(now_s, lag_s)
            lag_s = 0.0
        if lag_s > CAUGHT_UP_S:
            return
        self._live_packets += 1
        key_age_s = lag_s + _between(self._buffered[0], packet) if self._buffered else math.inf
        if key_age_s <= MAX_KEY_AGE_S or self._live_packets > MAX_FRAMES_BEFORE_KEY:
            self._passing = self._late_since_s = None

    def _forgive(self, now_s: float, lag_s: float) -> None:
        self._futile += 1
        self._lag.reset_baseline(forever=self._futile == MAX_FUTILE)
        self._passing = (now_s, 0.0)
        if self._futile == 1:
            log.warning(
                "camera: its pictures come %.0f s later than their timestamps say, and skipping "
                "some does not help: its clock jumped, or the network is too slow for it",
                lag_s,
            )

    def _skips_until_key_frame(self, packet: Any, now_s: float) -> bool:
        """Whether neither this packet's picture nor any before the next key frame is needed.

        Skipping ends with a key frame, or without one if it is long overdue.
        """
        wanted_in_s = self._demand.due_s - now_s
        if self._skipping and not packet.is_keyframe and wanted_in_s > -MAX_REST_S:
            return True
        self._skipping = wanted_in_s > self._keys.next_s()
        return self._skipping


def time_of(packet: Any) -> float | None:
    """When to decode a packet, in seconds on the camera's clock; None if it does not say."""
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None else float(ticks * packet.time_base)


def _between(before: Any, packet: Any) -> float:
    before_s, time_s = time_of(before), time_of(packet)
    return 0.0 if before_s is None or time_s is None else time_s - before_s
