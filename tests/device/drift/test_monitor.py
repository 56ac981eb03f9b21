"""Usual days are quiet, changes that last are told, and no clock harms anything."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.contract.accuracy import ScoreOffset
from device.drift.day import Day
from device.drift.judge import LEARN_DAYS
from device.drift.monitor import KEPT_DAYS, WHOLE_DAY, Memory, Monitor
from device.drift.sample import Family
from device.drift.status import CURES
from device.outputs.collect.sink import FOREIGN
from tests.support.device.drifting import (
    CLASSES,
    DAY_S,
    EVERY_S,
    STARTED_S,
    live,
    moment,
    moments,
    of_one_colour,
)

QUIET = 10


@pytest.fixture(scope="module")
def usual() -> Memory:
    """After the usual days and three quiet ones."""
    monitor = Monitor(CLASSES)
    live(monitor, 0, QUIET)
    return monitor.memory


@pytest.fixture
def monitor(usual: Memory) -> Monitor:
    # Its day is added to in place.
    today = replace(
        usual.today,
        counts=usual.today.counts.copy(),
        layouts=usual.today.layouts.copy(),
        labels=usual.today.labels.copy(),
    )
    return Monitor(CLASSES, replace(usual, today=today))


def test_usual_days_are_learned_one_by_one_and_then_quiet_ones_raise_nothing() -> None:
    monitor = Monitor(CLASSES)
    known = []
    for day in range(LEARN_DAYS + 3):
        live(monitor, day, day)
        known.append(monitor.status().learned_days)
    assert known == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert not monitor.status().alarms


@pytest.mark.parametrize(
    ("change", "family", "why"),
    [
        ({"sharpness": 0.4}, Family.CAMERA, "blurred"),
        ({"brightness": 0.5}, Family.CAMERA, "darker"),
        ({"away": 1}, Family.CAMERA, "another view"),
        ({"distance": 0.6}, Family.WORLD, "unlike what it learned from"),
        ({"lead": 0.5}, Family.CONFIDENCE, "classes less clearly apart"),
    ],
)
def test_a_change_that_lasts_is_told_within_three_days_with_its_cure(
    monitor: Monitor, change: dict[str, float], family: Family, why: str
) -> None:
    live(monitor, QUIET + 1, QUIET + 3, **change)
    live(monitor, QUIET + 4, QUIET + 4)
    status = monitor.status()
    assert status.alarms == (family,)
    assert why in status.families[family].why and status.families[family].cure
    assert status.families[family].since


def test_a_new_class_at_a_fifth_of_answers_is_told_within_three_days(monitor: Monitor) -> None:
    # The third day is closed by the next.
    for day in range(QUIET + 1, QUIET + 5):
        for number, (sample, unix_s) in enumerate(moments(day)):
            strange = moment(number, 12, distance=1.5).answer if number % 5 == 0 else None
            monitor.add(replace(sample, answer=strange or sample.answer), unix_s)
    assert monitor.status().alarms == (Family.WORLD,)
    assert "unlike what it learned from" in monitor.status().families[Family.WORLD].why


def test_one_odd_day_is_no_alarm(monitor: Monitor) -> None:
    live(monitor, QUIET + 1, QUIET + 1, sharpness=0.2, brightness=0.3, away=1)
    live(monitor, QUIET + 2, QUIET + 3)
    assert not monitor.status().alarms


def test_a_blurred_camera_is_an_alarm_of_the_camera_although_all_looks_strange(
    monitor: Monitor,
) -> None:
    live(monitor, QUIET + 1, QUIET + 5, sharpness=0.4, distance=0.6, lead=0.5)
    assert monitor.status().alarms == (Family.CAMERA,)


def test_a_day_that_is_a_little_darker_does_not_hide_that_all_looks_strange(
    monitor: Monitor,
) -> None:
    live(monitor, QUIET + 1, QUIET + 1, distance=0.6)
    live(monitor, QUIET + 2, QUIET + 2, distance=0.6, brightness=0.94)
    live(monitor, QUIET + 3, QUIET + 3)
    before = monitor.memory.judge
    assert before is not None and before.level[0] > 0
    assert monitor.status().alarms == (Family.WORLD,)


def test_cures_that_want_photos_name_the_output_that_saves_them() -> None:
    # It is off unless the settings turn it on.
    assert {one for one, cure in CURES.items() if "output.collect" in cure} == FOREIGN


def test_an_alarm_ends_some_days_after_its_cause(monitor: Monitor) -> None:
    live(monitor, QUIET + 1, QUIET + 3, sharpness=0.4)
    live(monitor, QUIET + 4, QUIET + 5)
    assert monitor.status().alarms
    live(monitor, QUIET + 6, QUIET + 8)
    assert not monitor.status().alarms


def test_what_is_wrong_does_not_become_usual_by_itself_but_when_acknowledged(
    monitor: Monitor,
) -> None:
    live(monitor, QUIET + 1, QUIET + 30, sharpness=0.4)
    assert monitor.status().alarms == (Family.CAMERA,)
    monitor.acknowledge()
    assert not monitor.status().alarms and not monitor.status().learned_days
    live(monitor, QUIET + 31, QUIET + 42, sharpness=0.4)
    assert not monitor.status().alarms and monitor.status().learned_days == LEARN_DAYS
    live(monitor, QUIET + 43, QUIET + 46)
    assert "sharper" in monitor.status().families[Family.CAMERA].why


def test_the_estimated_accuracy_is_mean_score_and_offset_and_is_crossed_out_by_an_alarm(
    monitor: Monitor,
) -> None:
    status = monitor.status()
    assert status.accuracy is not None and status.is_accuracy_valid
    assert status.accuracy.low < 0.9 < status.accuracy.high
    offset = monitor.status(ScoreOffset(0.05, 0.02)).accuracy
    assert offset is not None and offset.mean == pytest.approx(status.accuracy.mean + 0.05)
    assert offset.high - offset.low > status.accuracy.high - status.accuracy.low
    certain = monitor.status(ScoreOffset(0.5)).accuracy
    assert certain is not None and (certain.mean, certain.high) == (1, 1)
    live(monitor, QUIET + 1, QUIET + 4, brightness=0.5)
    assert not monitor.status().is_accuracy_valid


def test_a_night_alone_is_compared_with_nights(monitor: Monitor) -> None:
    for day in range(QUIET + 1, QUIET + 5):
        for sample, unix_s in moments(day):
            if unix_s % DAY_S >= 12 * 3600:
                monitor.add(sample, unix_s)
    assert not monitor.status().alarms


def test_a_day_of_which_little_was_seen_is_not_judged(monitor: Monitor) -> None:
    before = len(monitor.memory.days)
    for day in range(QUIET + 2, QUIET + 6):
        for sample, unix_s in moments(day, sharpness=0.2):
            if unix_s % DAY_S < 8 * 3600:
                monitor.add(sample, unix_s)
    # The day before them was whole.
    assert len(monitor.memory.days) == before + 1
    assert not monitor.status().alarms


def test_without_a_clock_days_have_no_hours_and_are_learned_all_the_same() -> None:
    monitor, many = Monitor(CLASSES), [moment(number, 12) for number in range(100)]
    number = 0
    for _ in range(LEARN_DAYS):
        for _ in range(WHOLE_DAY):
            monitor.add(many[number % len(many)], None)
            number += 1
    monitor.add(many[0], None)
    assert monitor.status().learned_days == LEARN_DAYS


def test_a_clock_that_is_set_later_goes_on_with_the_same_day() -> None:
    monitor = Monitor(CLASSES)
    for sample, unix_s in moments(0):
        monitor.add(sample, unix_s if unix_s % DAY_S >= 3600 else None)
    assert monitor.memory.today.moments == DAY_S // EVERY_S
    assert monitor.memory.today.date == "2026-11-02"


def test_a_camera_of_one_colour_is_told_as_one_line_and_corrupts_nothing(
    monitor: Monitor,
) -> None:
    for day in range(QUIET + 1, QUIET + 5):
        for sample, unix_s in moments(day):
            monitor.add(of_one_colour(sample, 128.0), unix_s)
    assert monitor.status().alarms == (Family.CAMERA,)
    whole_life = Monitor(CLASSES)
    for day in range(LEARN_DAYS + 4):
        for sample, unix_s in moments(day):
            whole_life.add(of_one_colour(sample, 128.0), unix_s)
    assert not whole_life.status().alarms


def test_the_list_of_days_is_bounded(monitor: Monitor) -> None:
    live(monitor, QUIET + 1, QUIET + KEPT_DAYS + 2)
    assert len(monitor.memory.days) == KEPT_DAYS


CLOCKS = st.lists(
    st.one_of(
        st.none(),
        st.floats(allow_nan=True, allow_infinity=True),
        st.integers(0, 60).map(lambda day: STARTED_S + day * DAY_S),
    ),
    min_size=1,
    max_size=40,
)


@given(clocks=CLOCKS)
@settings(max_examples=60, deadline=None)
def test_no_clock_breaks_or_corrupts_anything(usual: Memory, clocks: list[float | None]) -> None:
    monitor = Monitor(CLASSES, replace(usual, today=Day()))
    before = monitor.memory.judge
    assert before is not None
    for number, unix_s in enumerate(clocks):
        # However the clock jumps, what is shorter than a day is not judged.
        for each in range(10):
            monitor.add(moment(number + each, 12, sharpness=0.2), unix_s)
    after = monitor.memory.judge
    assert after is not None and not monitor.status().alarms
    assert np.array_equal(after.counts, before.counts)
    assert np.isfinite(monitor.memory.today.counts).all()
