"""Bounds of the folder of saved frames: size and age, and what may go."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import clock
from device.clock import EARLIEST_S
from device.contract.folders import photos_below
from device.errors import OutputError
from device.files import UNFINISHED
from device.outputs.collect.folder import (
    UNDATED_S,
    Saved,
    too_many,
    too_many_random,
    too_old,
)
from device.outputs.collect.room import MB
from device.outputs.collect.sink import Collector
from tests.device.outputs.collect.saving import (
    STATUS,
    collector,
    noise,
    observed,
    publish_all,
    random_collector,
    saved,
)

# --- bounds ---------------------------------------------------------------------------------------

FILES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20), st.booleans()), max_size=30).map(
    lambda rows: [
        Saved(Path(f"{age:02}-{i}"), size, EARLIEST_S + age, labelled)
        for i, (size, age, labelled) in enumerate(rows)
    ]
)


@given(FILES, st.integers(0, 100))
def test_the_folder_stays_in_its_bounds_and_labels_never_go(files: list[Saved], limit: int) -> None:
    gone = too_many(files, limit)
    left = [file for file in files if file not in gone]
    assert not any(file.labelled for file in gone)
    doubts_left = [f.modified_s for f in left if not f.labelled]
    assert max((f.modified_s for f in gone), default=0) <= min(doubts_left, default=float("inf"))
    if sum(file.bytes for file in files if file.labelled) <= limit:
        assert sum(file.bytes for file in left) <= limit
    else:
        # Not for nothing.
        assert gone == []


KINDS = ("labelled", "random", "doubtful")
MIXED = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(KINDS)), max_size=30).map(
    lambda rows: [
        Saved(Path(f"{i:02}"), size, EARLIEST_S + i, kind == "labelled", kind == "random")
        for i, (size, kind) in enumerate(rows)
    ]
)


@given(MIXED, st.integers(0, 100))
def test_no_random_photo_goes_while_a_doubtful_one_is_left(files: list[Saved], limit: int) -> None:
    gone = too_many(files, limit)
    doubtful = {file for file in files if not (file.labelled or file.random)}
    assert not any(file.random for file in gone) or doubtful <= set(gone)
    assert not any(file.random for file in too_many(files, limit, spare_random=True))


@given(MIXED, st.integers(0, 100))
def test_random_photos_stay_in_a_bound_of_their_own(files: list[Saved], limit: int) -> None:
    gone = too_many_random(files, limit)
    kept = [file for file in files if file.random and file not in gone]
    assert all(file.random for file in gone) and sum(file.bytes for file in kept) <= limit
    assert [*gone, *kept] == [file for file in files if file.random], "the oldest go"


@given(FILES, st.integers(0, 20))
def test_only_doubts_of_a_known_age_grow_too_old(files: list[Saved], oldest: int) -> None:
    oldest_s = EARLIEST_S + oldest
    undated = [replace(file, modified_s=UNDATED_S) for file in files]
    gone = too_old([*files, *undated], oldest_s)
    assert gone == [f for f in files if not f.labelled and f.modified_s < oldest_s]


def test_a_long_run_never_outgrows_the_folder(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_mb=1)
    kept = sink.keep(observed(1000), "red")
    sink_bytes = []
    for number in range(60):
        sink._next_save_s, sink._recent = float("-inf"), []
        sink.publish(noise(number))
        sink_bytes.append(sum(path.stat().st_size for path in photos_below(tmp_path)))
    assert max(sink_bytes) <= MB
    assert sink_bytes[-1] > 0.8 * MB
    assert kept in saved(tmp_path)


def random_ones(folder: Path) -> list[str]:
    return [name for name in saved(folder) if name.endswith("-random.jpg")]


def test_a_flood_of_doubtful_photos_costs_no_random_one(tmp_path: Path) -> None:
    publish_all(random_collector(tmp_path, max_mb=1), 3)
    before = random_ones(tmp_path)
    sink = collector(tmp_path, max_mb=1)
    for number in range(10, 40):
        sink._next_save_s, sink._recent = float("-inf"), []
        sink.publish(noise(number))
    assert len(before) == 3 and random_ones(tmp_path) == before
    assert sink.figures["photos_removed_total"] > 10


def test_no_random_photo_goes_for_a_doubtful_one_when_labels_fill_the_rest(tmp_path: Path) -> None:
    random_collector(tmp_path, max_mb=1).publish(noise(1))
    before = random_ones(tmp_path)
    sink = collector(tmp_path, max_mb=1)
    for number in range(17):
        # 53 KB each: there is room for one less than there would be without the random one.
        sink.keep(noise(10 + number), "red")
    with pytest.raises(OutputError, match="labelled photos fill max_mb"):
        sink.publish(noise(50))
    assert random_ones(tmp_path) == before


def test_random_photos_take_a_tenth_of_the_folder_and_the_oldest_make_room(tmp_path: Path) -> None:
    doubtful = collector(tmp_path, max_mb=2)
    publish_all(doubtful, 3)
    sink = random_collector(tmp_path, max_mb=2)
    for number in range(10, 30):
        sink.publish(noise(number))
    kept = random_ones(tmp_path)
    assert 0.1 * MB < sum((tmp_path / name).stat().st_size for name in kept) <= 0.2 * MB
    newest = [f"20260528T2027{second:02}" for second in range(9 - len(kept) + 1, 10)]
    assert sorted(Path(name).name[:15] for name in kept) == newest
    assert len(saved(tmp_path)) == len(kept) + 3


def test_a_random_photo_for_which_the_disk_has_no_room_costs_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_collector(tmp_path, max_mb=1).publish(noise(1))
    before = random_ones(tmp_path)
    # Two of 53 KB are above a tenth of 1 MB: the next one would take the place of the first.
    sink = random_collector(tmp_path, max_mb=1, min_free_mb=1)
    full = os.statvfs_result((1, 1, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    for number in range(2, 5):
        sink._problem = ""
        with pytest.raises(OutputError, match="no room on its disk"):
            sink.publish(noise(number))
        assert random_ones(tmp_path) == before


def test_a_random_photo_for_which_labels_leave_no_room_costs_no_other_one(tmp_path: Path) -> None:
    sink = random_collector(tmp_path, max_mb=1)
    sink.publish(noise(1))
    before = random_ones(tmp_path)
    for number in range(10, 27):
        sink.keep(noise(number), "red")
    # The place of the other one would not be enough.
    with pytest.raises(OutputError, match="labelled photos fill max_mb"):
        sink.publish(noise(5, side_px=340))
    assert len(before) == 1 and random_ones(tmp_path) == before


def test_one_random_photo_is_kept_however_large_it_is(tmp_path: Path) -> None:
    sink = random_collector(tmp_path, max_mb=1)
    for number in range(3):
        sink.publish(noise(number, side_px=500))
    assert len(random_ones(tmp_path)) == 1


def test_what_a_person_labels_may_take_the_place_of_random_photos(tmp_path: Path) -> None:
    random_collector(tmp_path, max_mb=1).publish(noise(1))
    assert len(random_ones(tmp_path)) == 1
    sink = collector(tmp_path, max_mb=1)
    with pytest.raises(OutputError, match="labelled photos fill max_mb"):
        for number in range(10, 100):
            sink.keep(noise(number), "red")
    assert random_ones(tmp_path) == [] and len(saved(tmp_path)) > 5


def test_one_photo_above_the_limit_costs_none_of_the_others(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_mb=1)
    kept = sink.keep(observed(1), "red")
    with pytest.raises(OutputError, match="larger than max_mb"):
        sink.publish(noise(2, side_px=1200))
    assert saved(tmp_path) == [kept]


def test_only_its_own_files_are_ever_removed(tmp_path: Path) -> None:
    for name in ("red/mine.jpg", "notes.txt", "_review/red/holiday.jpg", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(2 * MB))
        os.utime(tmp_path / name, (1, 1))
    sink = collector(tmp_path, max_mb=1, max_age_days=0.01)
    publish_all(sink, 3)
    for name in ("red/mine.jpg", "notes.txt", "_review/red/holiday.jpg", ".hidden"):
        assert (tmp_path / name).stat().st_size == 2 * MB


def scan(sink: Collector) -> None:
    sink._room._next_scan_s = sink._room._next_log_s = float("-inf")
    sink.tick(STATUS)


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda known: monkeypatch.setattr(clock, "is_synchronized", lambda: known)


def test_old_doubts_go_and_labels_stay_and_the_log_says_so(
    tmp_path: Path, set_clock: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    set_clock(True)
    sink = collector(tmp_path, max_age_days=30)
    kept = sink.keep(observed(), "red")
    sink.publish(observed(1))
    for path in photos_below(tmp_path):
        os.utime(path, (time.time() - 31 * 86400,) * 2)
    scan(sink)
    assert saved(tmp_path) == [kept]
    assert "removed 1 photos that nobody had labelled, older than max_age_days = 30" in caplog.text
    assert sink.figures["photos_removed_total"] == 1 and sink.figures["photos_saved_total"] == 2


def test_by_a_clock_that_no_server_has_set_nothing_is_too_old(
    tmp_path: Path, set_clock: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(True)
    sink = collector(tmp_path, max_age_days=1)
    sink.publish(observed(1))
    set_clock(False)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3650 * 86400)
    scan(sink)
    assert len(saved(tmp_path)) == 1


def test_what_a_late_clock_saved_ages_from_when_it_is_set(
    tmp_path: Path, set_clock: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(False)
    sink = collector(tmp_path, max_age_days=30)
    sink.publish(observed(1))
    (path,) = photos_below(tmp_path)
    # How late that clock was nobody knew; now a server has set it.
    assert path.stat().st_mtime == UNDATED_S
    set_clock(True)
    scan(sink)
    assert path.exists() and abs(path.stat().st_mtime - time.time()) < 60
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 31 * 86400)
    scan(sink)
    assert not path.exists()


@pytest.mark.parametrize("wrong_s", [12.0, 4e9])
def test_photos_from_no_time_that_can_be_age_from_now(
    tmp_path: Path, set_clock: Callable[[bool], None], wrong_s: float
) -> None:
    set_clock(True)
    sink = collector(tmp_path, max_age_days=1)
    sink.publish(observed(1, unix_s=wrong_s))
    kept = tmp_path / sink.keep(observed(2), "red")
    (path,) = photos_below(tmp_path / "_review")
    os.utime(path, (wrong_s, wrong_s))
    os.utime(kept, (wrong_s, wrong_s))
    scan(sink)
    assert abs(path.stat().st_mtime - time.time()) < 60
    assert kept.stat().st_mtime == wrong_s


def test_the_kernel_is_asked_about_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "SYNCHRONIZED", tmp_path / "synchronized")
    assert clock.is_synchronized() == clock._kernel_is_synchronized()
    (tmp_path / "synchronized").touch()
    assert clock.is_synchronized()


def test_what_a_kill_left_half_written_is_not_a_photo_and_goes(tmp_path: Path) -> None:
    half = tmp_path / "_review" / "red" / f"{UNFINISHED}20260528T202640.000Z-00000000.jpg"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert saved(tmp_path) == []
    collector(tmp_path).tick(STATUS)
    assert not half.exists()
