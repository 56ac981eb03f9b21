"""Promises of random photos: a fair sample of the running time, marked with its probability."""

import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device.contract import provenance
from device.contract.folders import photos_below
from device.outputs.collect.moments import DAY_S, LONGEST_GAP_S, RandomMoments
from device.telemetry.observation import UNKNOWN
from tests.device.outputs.collect.saving import collector, observed, random_collector, saved

HOUR_S = 3600.0
PER_DAY = 1440.0


class Clock:
    """`time.monotonic()` as a test sets it."""

    now_s = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now_s)
    return clock


def frames(start_s: float, seconds: float, gap_s: float) -> Iterator[float]:
    return (start_s + gap_s * (i + 1) for i in range(int(seconds / gap_s)))


def taken(moments: RandomMoments, times_s: Iterable[float]) -> int:
    return sum(moments.takes(time_s) for time_s in times_s)


def four_sigma(expected: float) -> float:
    return 4 * math.sqrt(expected)


# --- which frames ---------------------------------------------------------------------------------


def test_so_many_moments_a_day_come_as_the_settings_say(clock: Clock) -> None:
    moments = RandomMoments(PER_DAY, random.Random(1))
    count = taken(moments, frames(clock.now_s, 5 * DAY_S, 1.0))
    assert abs(count - 5 * PER_DAY) < four_sigma(5 * PER_DAY)


def test_slow_and_fast_hours_have_as_many(clock: Clock) -> None:
    """A frame is drawn for the time it stands for: time is what is sampled, not frames."""
    moments, counts = RandomMoments(288, random.Random(2)), {0.5: 0, 10.0: 0}
    start_s = clock.now_s
    for _ in range(20):
        for gap_s in counts:
            counts[gap_s] += taken(moments, frames(start_s, 12 * HOUR_S, gap_s))
            start_s += 12 * HOUR_S
    for count in counts.values():
        # At most one photo a frame costs 2% of them at 10 s a frame.
        assert abs(count - 20 * 144) < four_sigma(20 * 144) + 0.02 * 20 * 144


def test_weights_make_days_with_other_settings_one_figure(clock: Clock) -> None:
    """Right half of the time on one day and always on the other: 75%, whatever was drawn."""
    weighted_right = weights = 0.0
    for seed, per_day, right in ((3, 1440.0, 0.5), (4, 288.0, 1.0)):
        moments, luck = RandomMoments(per_day, random.Random(seed)), random.Random(seed)
        for _ in range(taken(moments, frames(clock.now_s, 8 * DAY_S, 1.0))):
            weights += 1 / moments.probability
            weighted_right += (luck.random() < right) / moments.probability
    assert weighted_right / weights == pytest.approx(0.75, abs=0.03)
    assert weights == pytest.approx(16 * DAY_S, rel=0.06), "each stands for seconds"


def test_restarts_change_nothing(clock: Clock) -> None:
    rng, count = random.Random(5), 0
    for _ in range(5 * 24 * 60):
        count += taken(RandomMoments(PER_DAY, rng), frames(clock.now_s, 60.0, 1.0))
        clock.now_s += 60.0
    assert abs(count - 5 * PER_DAY) < four_sigma(5 * PER_DAY)


def test_the_first_frame_after_a_stall_does_not_stand_for_it(clock: Clock) -> None:
    count = 0
    for seed in range(1000):
        moments = RandomMoments(PER_DAY, random.Random(seed))
        assert taken(moments, [clock.now_s + 0.1, clock.now_s + 0.2]) <= 2
        count += moments.takes(clock.now_s + HOUR_S)
    # A moment in the last seconds of the stall may count: 3.3% of stalls at this rate.
    assert count <= 1000 * LONGEST_GAP_S * PER_DAY / DAY_S + four_sigma(34)


def test_frames_minutes_apart_are_no_stall(clock: Clock) -> None:
    moments = RandomMoments(PER_DAY, random.Random(6))
    count = taken(moments, frames(clock.now_s, 20 * DAY_S, 100.0))
    # 81% of such frames have a moment before them.
    assert count > 0.75 * 20 * DAY_S / 100


def test_the_same_seed_draws_the_same_frames(clock: Clock) -> None:
    times_s = list(frames(clock.now_s, HOUR_S, 1.0))
    first, second = (RandomMoments(PER_DAY, random.Random(7)) for _ in range(2))
    drawn = [first.takes(time_s) for time_s in times_s]
    assert any(drawn) and drawn == [second.takes(time_s) for time_s in times_s]


def test_two_devices_that_start_together_draw_other_moments(clock: Clock) -> None:
    times_s = list(frames(clock.now_s, DAY_S, 1.0))
    first, second = RandomMoments(PER_DAY), RandomMoments(PER_DAY)
    assert [first.takes(t) for t in times_s] != [second.takes(t) for t in times_s]


def test_0_a_day_is_never(clock: Clock) -> None:
    moments = RandomMoments(0)
    assert taken(moments, frames(clock.now_s, DAY_S, 1.0)) == 0 and not moments.waits
    moments.postpone()
    clock.now_s += 1e9
    assert not moments.waits and moments.probability == 0


def test_after_work_the_next_frame_is_taken_and_none_that_waited(clock: Clock) -> None:
    moments = RandomMoments(PER_DAY, random.Random(8))
    while not moments.waits:
        moments.takes(clock.now_s)
        clock.now_s += 0.1
    busy_until_s = clock.now_s + 1
    waited_s, clock.now_s = clock.now_s + 0.5, busy_until_s
    moments.postpone()
    assert not moments.takes(waited_s)
    assert moments.waits and moments.takes(busy_until_s + 0.1)


# --- what is saved --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "changes", "predicted"),
    [
        ((0.98, 0.01, 0.01), {}, "red"),
        ((0.4, 0.3, 0.3), {"label": UNKNOWN}, "red"),
        ((0.3, 0.4, 0.3), {"changed": True}, "green"),
    ],
)
def test_a_random_moment_is_saved_whatever_the_model_says_and_says_so(
    tmp_path: Path, scores: tuple[float, ...], changes: dict[str, object], predicted: str
) -> None:
    random_collector(tmp_path).publish(observed(3, scores, **changes))
    (name,) = saved(tmp_path)
    assert name.startswith(f"_review/{predicted}/20260528T202643.000Z-")
    assert name.endswith("-random.jpg")
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None and record.is_random and record.label == predicted
    assert record.probability == pytest.approx(12 / DAY_S, rel=1e-4)


def test_rate_and_sameness_limit_doubts_alone(tmp_path: Path) -> None:
    sink = random_collector(tmp_path, max_per_minute=0.01)
    same = observed(3).picture
    for number in range(4):
        sink.publish(observed(number, picture=same))
    assert len(saved(tmp_path)) == 4


def test_a_frame_is_saved_once_and_its_sight_is_no_doubt_again(tmp_path: Path) -> None:
    sink = random_collector(tmp_path)
    sink.publish(observed(3))
    sink._moments = RandomMoments(0)
    sink.publish(observed(3))
    sink.publish(observed(4, picture=observed(3).picture))
    (name,) = saved(tmp_path)
    assert name.endswith("-random.jpg")


def test_doubtful_and_labelled_photos_have_no_probability(tmp_path: Path) -> None:
    sink = collector(tmp_path, random_per_day=12)
    sink.publish(observed(1))
    sink.keep(observed(2), "red")
    records = [provenance.read(path.read_bytes()) for path in photos_below(tmp_path)]
    assert [(r.reason, r.probability) for r in records if r] == [
        ("uncertain", None),
        ("labelled", None),
    ]


def test_pictures_are_asked_for_when_a_moment_has_come(tmp_path: Path, clock: Clock) -> None:
    sink = collector(tmp_path, random_per_day=12, max_per_minute=0.01)
    sink.publish(observed(0))
    assert not sink.wants_pictures, "too early for the next doubtful one"
    clock.now_s = sink._moments._due_s
    sink._next_save_s = float("inf")
    assert sink.wants_pictures
    sure = observed(1, (0.98, 0.01, 0.01))
    sink.publish(replace(sure, monotonic_s=clock.now_s + 0.1))
    assert [name.endswith("-random.jpg") for name in saved(tmp_path)].count(True) == 1
    assert not sink.wants_pictures
