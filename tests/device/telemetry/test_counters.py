"""The rate that the service tells: true for slow services, and 0 when frames stopped."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.telemetry import counters
from device.telemetry.counters import FPS_WINDOW_S, Telemetry
from device.telemetry.status import SinkStatus, rounded_rate

Clock = SimpleNamespace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    now = SimpleNamespace(s=1000.0)
    fake = SimpleNamespace(monotonic=lambda: now.s, time=lambda: now.s)
    monkeypatch.setattr(counters, "time", fake)
    yield now


def classify(telemetry: Telemetry) -> None:
    seen: Any = SimpleNamespace(invoke_s=0.0, overhead_s=0.0, latency_s=0.0)
    telemetry.inferred(seen)


@pytest.mark.parametrize("fps", [0.01, 0.1, 0.19, 0.5, 2.0, 30.0])
def test_a_service_is_told_as_fast_as_it_is_however_slow(fps: float, clock: Clock) -> None:
    telemetry, told = Telemetry(), []
    for _ in range(5):
        classify(telemetry)
        for _ in range(4):
            clock.s += 0.25 / fps
            told.append(telemetry.snapshot().fps)
    assert told[4:] == pytest.approx([fps] * 16, rel=1e-3)
    assert rounded_rate(told[-1]) == pytest.approx(fps, rel=0.05)


@pytest.mark.parametrize("fps", [0.05, 1.0, 30.0])
def test_the_rate_falls_to_nothing_when_frames_stop(fps: float, clock: Clock) -> None:
    telemetry = Telemetry()
    for _ in range(400):
        classify(telemetry)
        clock.s += 1 / fps
    before = telemetry.snapshot().fps
    clock.s += 3 / fps
    assert telemetry.snapshot().fps < before
    clock.s += 3 / fps + 2 * FPS_WINDOW_S
    assert telemetry.snapshot().fps == 0.0


@given(st.floats(0, 1e4))
def test_a_rate_is_told_short_and_never_as_nothing_if_there_is_one(fps: float) -> None:
    told = rounded_rate(fps)
    assert abs(told - fps) <= max(0.051 * fps, 0.0) and bool(told) == bool(fps)
    assert told < 1 or told == round(told, 1)


def test_a_sink_that_ends_late_takes_nothing_from_the_next_of_its_name() -> None:
    telemetry = Telemetry()
    hung = telemetry.start_sink("web")
    hung.failed("it hung")
    following = telemetry.start_sink("web")
    following.delivered()
    hung.dropped(3, lost_changes=1)
    telemetry.end_sink("web", hung)
    assert telemetry.snapshot().sinks == {"web": SinkStatus(delivered_total=1)}
    telemetry.end_sink("web", following)
    following.delivered()
    assert telemetry.snapshot().sinks == {}


def test_a_sink_s_problem_stays_until_all_of_it_works() -> None:
    telemetry = Telemetry()
    sink = telemetry.start_sink("web")
    for problem in ("one", "two"):
        sink.failed(problem)
    sink.works(rest="one")
    assert telemetry.snapshot().sinks["web"] == SinkStatus(errors_total=2, problem="one")
    sink.works()
    assert telemetry.snapshot().sinks["web"] == SinkStatus(errors_total=2)
