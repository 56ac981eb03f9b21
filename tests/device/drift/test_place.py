"""A camera at a place unlike the training photos is told so, from its first day on."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.drift import place
from device.drift.monitor import Monitor
from device.drift.place import FEWEST, MOST_SHARE, Place
from device.drift.sample import CELLS, AnswerFacts, Family, PictureFacts, Sample
from device.drift.status import CURES
from tests.support.device.drifting import CLASSES, DAY_S, STARTED_S, live

LIGHT = PictureFacts(120.0, 40.0, 12.0, 0.05, np.zeros(CELLS, np.float32))
DARK, INFRARED = replace(LIGHT, brightness=20.0), replace(LIGHT, cast=0.0)
KNOWN = AnswerFacts(0, True, 0.9, 2.2, 3.0, 0.1)
STRANGE = replace(KNOWN, accepted=False, distance=1.6)


def show(monitor: Monitor, number: int, share: float, picture: PictureFacts = LIGHT) -> None:
    """So many answers, of which a share is strange, evenly spread, 100 s apart."""
    before = monitor.memory.today.moments
    for i in range(number):
        is_strange = int((i + 1) * share) > int(i * share)
        answer = STRANGE if is_strange else KNOWN
        monitor.add(Sample(picture, answer), STARTED_S + 100 * (before + i))


def told(monitor: Monitor) -> bool:
    return Family.PLACE in monitor.status().alarms


def test_where_all_is_strange_it_is_told_after_fifty_answers_with_its_cure() -> None:
    monitor = Monitor(CLASSES)
    show(monitor, FEWEST - 1, share=1.0)
    assert not told(monitor)
    show(monitor, 1, share=1.0)
    status = monitor.status()
    assert status.learned_days == 0 and status.alarms == (Family.PLACE,)
    found = status.families[Family.PLACE]
    assert found.why == "100% is unlike the training photos, where 5% may be"
    assert found.since == "2026-11-02" and found.cure == CURES[Family.PLACE] and found.level > 1
    assert "collect and label" in found.cure and not status.is_accuracy_valid


def test_as_much_as_the_bundle_promises_is_no_alarm_however_long_it_lasts() -> None:
    monitor = Monitor(CLASSES)
    show(monitor, 3000, share=0.05)
    assert not told(monitor)


def test_what_is_little_above_takes_more_answers() -> None:
    monitor = Monitor(CLASSES)
    show(monitor, FEWEST, share=1.5 * MOST_SHARE)
    assert not told(monitor)
    show(monitor, 400, share=1.5 * MOST_SHARE)
    assert told(monitor)


@pytest.mark.parametrize("picture", [DARK, INFRARED])
def test_in_the_dark_and_without_colour_nothing_is_said(picture: PictureFacts) -> None:
    monitor = Monitor(CLASSES)
    show(monitor, 500, share=1.0, picture=picture)
    assert not told(monitor) and monitor.memory.place == Place()


def test_a_model_that_tells_no_distance_has_no_such_alarm() -> None:
    monitor = Monitor(CLASSES)
    for number in range(200):
        monitor.add(Sample(LIGHT, replace(STRANGE, distance=None)), STARTED_S + 100 * number)
    assert not told(monitor)


def test_quiet_days_of_a_camera_are_no_alarm_and_it_ends_when_it_is_over() -> None:
    monitor = Monitor(CLASSES)
    live(monitor, 0, 2)
    assert not told(monitor)
    live(monitor, 3, 4, distance=2.0)
    assert told(monitor)
    live(monitor, 5, 20)
    assert not told(monitor) and not monitor.status().families[Family.PLACE].since


def test_who_says_that_it_is_to_be_so_hears_it_once() -> None:
    monitor = Monitor(CLASSES)
    show(monitor, 100, share=1.0)
    monitor.acknowledge()
    assert not told(monitor)
    show(monitor, 500, share=1.0)
    assert not told(monitor)


def test_a_clock_that_jumps_to_and_fro_forgets_nothing() -> None:
    monitor = Monitor(CLASSES)
    for number in range(FEWEST):
        monitor.add(Sample(LIGHT, STRANGE), STARTED_S + DAY_S * (number % 2) + number)
    assert told(monitor)


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1)), max_size=30))
def test_counts_stay_what_can_be(days: list[tuple[int, float]]) -> None:
    found = Place()
    for answers, share in days:
        found = place.after_day(place.settled(found, answers, answers * share, "today"))
        assert 0 <= found.beyond <= found.answers + 1e-9 and 0 <= found.share <= 1 + 1e-9
        assert found.alarm == bool(found.since)
