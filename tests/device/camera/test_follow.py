"""Which packets of a live stream are decoded: what `device.camera.follow` promises."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.camera.follow import (
    CATCH_UP_S,
    CAUGHT_UP_S,
    FUTILE_S,
    LATE_S,
    MAX_FRAMES_BEFORE_KEY,
    MAX_FUTILE,
    MAX_KEY_AGE_S,
    Choice,
    Follower,
    Lag,
)

TICKS = 90_000
READ_S = 1e-4
"""To take one packet that waits from the network."""


@dataclass
class Packet:
    number: int
    is_keyframe: bool
    dts: int | None
    size: int = 1000
    pts: int | None = None
    time_base: Fraction = Fraction(1, TICKS)


class Stream:
    """A camera, a decoder that takes its time, and somebody who takes pictures; on one clock."""

    def __init__(
        self,
        *,
        fps: float = 25.0,
        key_interval: int = 50,
        decode_s: float = 0.001,
        period_s: float = 0.0,
        timeless: bool = False,
    ) -> None:
        self.now_s, self.fps, self.key_interval = 1000.0, fps, key_interval
        self.decode_s, self.period_s, self.timeless = decode_s, period_s, timeless
        self.due_s = float("-inf")
        self.decoded: list[tuple[float, int, Choice]] = []
        self.choices: list[Choice] = []
        self.shifts_s: dict[int, float] = {}
        self.late_s: dict[int, float] = {}
        """What the camera's clock jumps by, and the network is late by, from a packet on."""
        self.taken: list[tuple[float, float]] = []
        """When a picture was taken, and how old it was."""
        self.holds_s: dict[int, float] = {}
        """How long the process is held up when it decodes a packet."""
        self.naps: tuple[float, float] | None = None
        """How long it runs each time, and then does not."""
        self.changes: dict[int, float] = {}
        """From a packet on, another time between pictures that are wanted."""
        self.last_key: float = float("inf")
        self._awake_s = 0.0
        self.follower = Follower(self, lambda: self.now_s)

    def packets(self, count: int) -> Iterator[Packet]:
        start_s, shift_s, late_s = self.now_s, 0.0, 0.0
        for number in range(count):
            shift_s += self.shifts_s.get(number, 0.0)
            late_s += self.late_s.get(number, 0.0)
            sent_s = number / self.fps
            self.now_s = max(self.now_s + READ_S, start_s + sent_s + late_s)
            if number in self.changes:
                self.period_s, self.due_s = self.changes[number], self.now_s
            is_key = bool(self.key_interval) and number % self.key_interval == 0
            is_key = is_key and number <= self.last_key
            dts = None if self.timeless else round((sent_s + shift_s) * TICKS)
            yield Packet(number, is_key, dts)

    def run(self, seconds: float) -> None:
        start_s, newest = self.now_s, None
        for choice in self.follower.choose(self.packets(round(seconds * self.fps))):
            self.choices.append(choice)
            if choice.packet is not None:
                self._work(self.decode_s + self.holds_s.get(choice.packet.number, 0.0))
                self.decoded.append((self.now_s, choice.packet.number, choice))
                if self.follower.wants(choice):
                    newest = start_s + choice.packet.number / self.fps
            if newest is not None and self.now_s >= self.due_s:
                self.taken.append((self.now_s, self.now_s - newest))
                newest, self.due_s = None, self.now_s + self.period_s

    def _work(self, seconds: float) -> None:
        self.now_s += seconds
        self._awake_s += seconds
        if self.naps and self._awake_s > self.naps[0]:
            self._awake_s = 0.0
            self.now_s += self.naps[1]

    def ages_s(self) -> list[float]:
        return [age_s for _, age_s in self.taken]

    def pauses_s(self) -> list[float]:
        moments = [now_s for now_s, _ in self.taken]
        return [after - before for before, after in pairwise(moments)]


def sound(stream: Stream) -> bool:
    """Whether the decoder always had what it needs: a fresh start is a key frame, no gaps else."""
    before = None
    for _, number, choice in stream.decoded:
        follows = before is not None and number == before + 1 and not choice.fresh
        if not (follows or choice.packet.is_keyframe or before is None):
            return False
        if not follows and before is not None and not choice.fresh:
            return False
        before = number
    return True


# --- a decoder that is too slow -------------------------------------------------------------------


def test_a_decoder_that_keeps_up_decodes_everything_at_once() -> None:
    stream = Stream()
    stream.run(60)
    assert len(stream.decoded) == 60 * 25 and max(stream.ages_s()) < 0.1
    assert all(choice.lag_s < 0.01 and not choice.fresh for choice in stream.choices)


@settings(max_examples=60, deadline=None)
@given(
    slowness=st.floats(1.05, 30),
    key_interval=st.integers(1, 75),
    fps=st.sampled_from([5.0, 15.0, 25.0, 60.0]),
)
def test_pictures_never_grow_old_however_slow_the_decoder(
    slowness: float, key_interval: int, fps: float
) -> None:
    key_s = key_interval / fps
    stream = Stream(fps=fps, key_interval=key_interval, decode_s=slowness / fps)
    stream.run(120)
    oldest_s = (
        LATE_S + CATCH_UP_S + 2 * CAUGHT_UP_S + 3 * stream.decode_s + min(key_s, MAX_KEY_AGE_S)
    )
    assert max(stream.ages_s()) < oldest_s
    assert max(stream.pauses_s()) < oldest_s + key_s + 1
    assert sound(stream)


def test_a_hiccup_of_the_network_costs_no_frame_of_a_quick_decoder() -> None:
    stream = Stream()
    stream.late_s = {500: 4.0, 501: -4.0}
    stream.run(60)
    assert len(stream.decoded) == 60 * 25


def test_a_process_held_up_for_long_goes_on_with_the_newest_key_frame() -> None:
    stream = Stream(decode_s=0.02)
    stream.holds_s = {500: 30.0}
    stream.run(80)
    held_up_s = next(now_s for now_s, number, _ in stream.decoded if number == 500)
    soon_s = held_up_s + CATCH_UP_S + 0.5
    assert all(age_s < 3 for now_s, age_s in stream.taken if now_s > soon_s)
    assert max(stream.pauses_s()) < 31
    assert sound(stream)
    assert sum(choice.passed for choice in stream.choices) + len(stream.decoded) == 80 * 25


@settings(max_examples=40, deadline=None)
@given(
    work_s=st.floats(0.02, 0.3),
    sleep_s=st.floats(0.1, 1.5),
    key_interval=st.integers(1, 75),
)
def test_pictures_stay_young_in_a_process_that_seldom_runs(
    work_s: float, sleep_s: float, key_interval: int
) -> None:
    stream = Stream(decode_s=0.01, key_interval=key_interval)
    stream.naps = (work_s, sleep_s)
    stream.run(90)
    cycle_s, key_s = work_s + sleep_s, key_interval / stream.fps
    assert max(stream.ages_s()) < LATE_S + CATCH_UP_S + MAX_KEY_AGE_S + 2 * cycle_s
    assert max(stream.pauses_s()) < LATE_S + CATCH_UP_S + key_s + 3 * cycle_s
    assert sound(stream)


def test_without_key_frames_decoding_goes_on_with_what_there_is() -> None:
    stream = Stream(key_interval=0, decode_s=0.08)
    stream.run(120)
    assert max(stream.ages_s()) < LATE_S + CATCH_UP_S + 2 * CAUGHT_UP_S
    assert max(stream.pauses_s()) < MAX_FRAMES_BEFORE_KEY / stream.fps + CATCH_UP_S + LATE_S


# --- times that are not to be relied on -----------------------------------------------------------


def test_packets_without_times_are_decoded_as_they_come() -> None:
    stream = Stream(timeless=True)
    stream.run(60)
    assert len(stream.decoded) == 60 * 25


@pytest.mark.parametrize("shift_s", [-3600.0, -5.0, 5.0, 3600.0])
def test_a_camera_whose_clock_jumps_is_lost_for_a_moment_only(shift_s: float) -> None:
    stream = Stream()
    stream.shifts_s = {500: shift_s}
    stream.run(60)
    assert max(stream.pauses_s()) < FUTILE_S + 0.5
    assert all(choice.lag_s < 0.1 for choice in stream.choices[-500:])
    assert all(choice.packet for choice in stream.choices[-500:]) and sound(stream)


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 3.0])
def test_a_camera_whose_clock_runs_wrong_is_soon_taken_as_it_comes(
    rate: float, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream()
    stream.shifts_s = dict.fromkeys(range(1, 5000), (rate - 1) / stream.fps)
    stream.run(200)
    assert all(choice.packet and choice.lag_s < LATE_S for choice in stream.choices[-2500:])
    assert sum(choice.packet is None for choice in stream.choices) < MAX_FUTILE * 6 * stream.fps
    assert len(caplog.records) == (rate < 1)


@given(drift=st.floats(-5e-4, 5e-4), base_s=st.floats(-1e6, 1e6), lag_s=st.floats(0, 100))
def test_a_lag_is_the_same_after_a_day_of_clocks_that_drift(
    drift: float, base_s: float, lag_s: float
) -> None:
    lag = Lag()
    for now_s in range(0, 86_400, 60):
        lag.update(now_s, base_s + now_s * (1 + drift))
    got_s = lag.update(86_400, base_s + 86_400 * (1 + drift) - lag_s)
    assert got_s == pytest.approx(lag_s, abs=0.1)


# --- what nobody looks at ------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    period_s=st.floats(0.05, 60),
    key_interval=st.integers(1, 300),
    fps=st.sampled_from([5.0, 15.0, 25.0]),
)
def test_a_low_rate_is_kept_with_fresh_pictures_whatever_the_key_interval(
    period_s: float, key_interval: int, fps: float
) -> None:
    stream = Stream(fps=fps, key_interval=key_interval, period_s=period_s)
    stream.run(20 * max(period_s, key_interval / fps))
    assert max(stream.ages_s()) < 3 / fps
    assert max(stream.pauses_s(), default=0) < max(period_s, 1 / fps) + 2 / fps
    assert sound(stream)


@pytest.mark.parametrize(
    ("period_s", "key_interval", "share"), [(10.0, 50, 0.35), (10.0, 25, 0.2), (10.0, 1, 0.05)]
)
def test_a_low_rate_leaves_most_of_a_stream_undecoded(
    period_s: float, key_interval: int, share: float
) -> None:
    stream = Stream(key_interval=key_interval, period_s=period_s)
    stream.run(300)
    assert len(stream.decoded) < share * len(stream.choices)


def test_who_looks_all_the_time_again_gets_everything_from_the_next_key_frame_on() -> None:
    stream = Stream(period_s=60.0)
    stream.changes = {2500: 0.0}
    stream.run(120)
    assert sum(number >= 2550 for _, number, _ in stream.decoded) == 3000 - 2550


def test_key_frames_that_come_no_more_make_nobody_blind_for_good() -> None:
    stream = Stream(period_s=20.0)
    stream.last_key = 1000
    stream.run(200)
    assert max(stream.pauses_s()) < 35 and stream.taken[-1][0] > stream.now_s - 35
