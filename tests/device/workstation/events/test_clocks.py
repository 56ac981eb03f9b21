"""Promises of clocks: photos taken shortly after one another are found; bad clocks join nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.moments import Moment
from device.workstation.events.clocks import Clocks, judged, shortly_after

NOON = datetime(2024, 5, 1, 12, 0, 7, tzinfo=UTC).timestamp()
NEW_YEAR = datetime(2016, 1, 1, tzinfo=UTC).timestamp()


def trap(seconds: float | None, camera: str = "Trap no. 1", unique: bool = True) -> Moment:
    return Moment(camera, unique, seconds=seconds)


def clocks(moments: Sequence[Moment], paths: Sequence[str] = ()) -> Clocks:
    return judged(paths or [f"fox/{i}a.jpg" for i in range(len(moments))], moments)


def events(
    moments: Sequence[Moment], paths: Sequence[str] = (), places: Sequence[int] = ()
) -> list[list[int]]:
    """Which photos follow one another, as sorted lists."""
    paths = paths or [f"fox/{i}a.jpg" for i in range(len(moments))]
    where = np.array(places or [-1] * len(moments), np.int64)
    root = list(range(len(moments)))
    for first, second in shortly_after(paths, judged(paths, moments), where).T.tolist():
        root = [root[first] if r == root[second] else r for r in root]
    return sorted(sorted(i for i, r in enumerate(root) if r == one) for one in set(root))


def test_photos_a_minute_apart_are_one_event_and_others_are_not() -> None:
    times = [NOON + 200, NOON, NOON + 60, NOON + 90, NOON + 261]
    assert events([trap(t) for t in times]) == [[0], [1, 2, 3], [4]]


@given(st.permutations(range(6)))
def test_the_order_of_the_photos_changes_no_event(order: list[int]) -> None:
    times = [NOON, NOON + 30, NOON + 50, NOON + 500, NOON + 510, NOON + 9000]
    found = events([trap(times[i]) for i in order])
    assert sorted(sorted(order[i] for i in event) for event in found) == [[0, 1, 2], [3, 4], [5]]


def test_an_event_goes_on_past_midnight() -> None:
    midnight = NOON // 86400 * 86400
    moments = [trap(midnight + i) for i in range(-100, 100)]
    assert events(moments) == [list(range(200))]
    assert not clocks(moments).notes


def test_two_cameras_at_one_time_are_two_events() -> None:
    assert events([trap(NOON, "a"), trap(NOON + 1, "b")]) == [[0], [1]]


def test_a_camera_with_a_serial_number_is_one_in_all_folders() -> None:
    assert events([trap(NOON), trap(NOON + 1)], ["fox/a.jpg", "owl/b.jpg"]) == [[0, 1]]


def test_two_cameras_of_one_model_are_told_apart_by_folder_and_by_place() -> None:
    both = [trap(NOON, unique=False), trap(NOON + 1, unique=False)]
    assert events(both, ["fox/a.jpg", "owl/b.jpg"]) == [[0], [1]]
    assert events(both, ["fox/a.jpg", "fox/b.jpg"]) == [[0, 1]]
    assert events(both, ["fox/a.jpg", "fox/b.jpg"], [0, 1]) == [[0], [1]]
    assert events(both, ["fox/a.jpg", "owl/b.jpg"], [2, 2]) == [[0, 1]]


def test_frames_of_two_cameras_of_one_model_that_alternate_are_two_events() -> None:
    both = [trap(NOON + i, unique=False) for i in range(6)]
    assert events(both, places=[0, 1, 0, 1, 0, 1]) == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([2.0 * i for i in range(8)], "was never set"),
        ([NEW_YEAR + 2 * i for i in range(8)], "started at a factory's date"),
        ([NOON // 86400 * 86400] * 8, "gives a date without a time"),
        ([NOON // 86400 * 86400 + 43200] * 8, "gives a date without a time"),
        ([NOON] * 13, "stands still"),
    ],
)
def test_a_bad_clock_joins_nothing_and_one_line_says_so(times: list[float], said: str) -> None:
    moments = [trap(time) for time in times]
    assert events(moments) == [[i] for i in range(len(times))]
    (note,) = clocks(moments).notes
    assert said in note and "Trap no. 1" in note and note.endswith(f"{len(times)} photos")


def test_a_bad_clock_takes_nothing_from_a_good_one() -> None:
    moments = [trap(5.0), trap(6.0), trap(NOON, "good"), trap(NOON + 9, "good")]
    assert events(moments) == [[0], [1], [2, 3]]


def test_a_burst_within_one_second_is_an_event() -> None:
    assert events([trap(NOON)] * 12) == [list(range(12))]


@pytest.mark.parametrize("frames", [30, 60])
def test_bursts_of_a_camera_without_fractions_of_a_second_are_events(frames: int) -> None:
    seconds = [NOON + 9000 * burst + i // 30 for burst in range(6) for i in range(frames)]
    found = clocks([trap(each) for each in seconds])
    assert not found.notes and np.isfinite(found.seconds).all()
    assert len(events([trap(each) for each in seconds])) == 6


@pytest.mark.parametrize(
    "seconds", [[2.0 * (i % 6) for i in range(144)], [9e5 * (i // 61) for i in range(244)]]
)
def test_a_clock_that_starts_again_or_saves_many_at_one_time_is_no_burst(
    seconds: list[float],
) -> None:
    moments = [trap(NOON + each) for each in seconds]
    assert len(events(moments)) == len(moments)
    assert "stands still" in clocks(moments).notes[0]


def test_a_clock_that_was_set_back_joins_nothing_across() -> None:
    times = [NOON + 1000 * i for i in range(20)] + [NOON + 5 + 1000 * i for i in range(20)]
    paths = [f"fox/IMG_{i:04d}.JPG" for i in range(40)]
    moments = [trap(time) for time in times]
    assert events(moments, paths) == [[i] for i in range(40)]
    (note,) = judged(paths, moments).notes
    assert "set back once" in note


def test_numbers_that_begin_again_and_names_without_order_set_no_clock_back() -> None:
    times = [NOON + 1000 * i for i in range(40)]
    for order in (np.roll(np.arange(40), 9), np.random.default_rng(1).permutation(40)):
        paths = [f"fox/IMG_{number:04d}.JPG" for number in order]
        assert not judged(paths, [trap(time) for time in times]).notes


def test_time_zones_count_only_if_all_photos_of_a_camera_have_one() -> None:
    here = Moment("x", True, seconds=NOON, offset_s=3600)
    there = Moment("x", True, seconds=NOON + 3600, offset_s=7200)
    assert events([here, there]) == [[0, 1]]
    assert events([here, there, trap(NOON + 3605, "x")]) == [[0], [1, 2]]


def test_no_photos_are_no_events() -> None:
    assert events([]) == []
