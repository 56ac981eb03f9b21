"""What a folder of visits promises: whole records, limited space, and nothing lost to a kill."""

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from device import clock
from device.visits.days import LINES, Days, today
from device.visits.store import GOING, MB, VisitStore
from device.visits.visit import Visit, from_record
from tests.support.device.visits import JPEG, visit

pytestmark = pytest.mark.usefixtures("about_noon")
DAY_S = 86400.0


def store(folder: Path, max_mb: int = 10, max_age_days: float = 30.0) -> VisitStore:
    return VisitStore(folder, max_mb, max_age_days)


def bare(found: Visit) -> dict[str, object]:
    return found.record()


def at_noon(days_ago: int) -> float:
    """Local noon of an earlier day: no change of the clock in spring moves it to another day."""
    day = today() - timedelta(days=days_ago)
    return datetime(day.year, day.month, day.day, 12).timestamp()


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda known: monkeypatch.setattr(clock, "is_synchronized", lambda: known)


# --- writing and reading --------------------------------------------------------------------------


def test_what_is_added_is_read_back_newest_first_with_its_picture(tmp_path: Path) -> None:
    folder, noon_s = tmp_path / "visits", at_noon(0)
    added = [visit(noon_s + 60 * i, label) for i, label in enumerate(("wren", "robin", "wren"))]
    for one in added:
        store(folder).add(one)
    days = Days(folder)
    assert [bare(one) for one in days.today()] == [bare(one) for one in reversed(added)]
    assert all(days.picture(one.id) == JPEG for one in added)
    assert days.counts() == {today(): {"wren": 2, "robin": 1}}


def test_visits_are_counted_by_the_local_day_on_which_they_began(tmp_path: Path) -> None:
    midnight = datetime(2026, 11, 26).timestamp()
    for start_s in (midnight - 1, midnight, midnight + 1):
        store(tmp_path).add(visit(start_s))
    counts = Days(tmp_path).counts()
    assert {day: sum(by.values()) for day, by in counts.items()} == {
        date(2026, 11, 26): 2,
        date(2026, 11, 25): 1,
    }
    assert list(counts) == [date(2026, 11, 26), date(2026, 11, 25)]


def test_a_reader_sees_visits_that_are_added_later(tmp_path: Path) -> None:
    days, writer = Days(tmp_path / "visits"), store(tmp_path / "visits")
    assert days.today() == () and days.counts() == {}
    for count in (1, 2, 3):
        writer.add(visit())
        assert len(days.today()) == count


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", "20261326-000000-abcdef", "x" * 22])
def test_no_other_file_is_read_as_a_picture(name: str, tmp_path: Path) -> None:
    store(tmp_path).add(visit())
    assert Days(tmp_path).picture(name) is None


def test_a_visit_without_a_picture_is_kept_too(tmp_path: Path) -> None:
    one = visit(picture=None)
    store(tmp_path).add(one)
    assert len(Days(tmp_path).today()) == 1 and Days(tmp_path).picture(one.id) is None


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [b"{", b"\xff\xfe\x00", b"[]", b"3", b'{"visit": "x"}', b"[" * 100_000, b'{"a": NaN}'],
)
def test_damaged_lines_are_passed_over_and_said_once(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = visit(at_noon(0)), visit(at_noon(0) + 60)
    store(tmp_path).add(first)
    lines = tmp_path / today().isoformat() / LINES
    lines.write_bytes(lines.read_bytes() + damage + b"\n")
    days = Days(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert [one.id for one in days.today()] == [first.id]
        store(tmp_path).add(second)
        assert [one.id for one in days.today()] == [second.id, first.id]
    assert len(caplog.messages) == 1 and "1 damaged line" in caplog.messages[0]


def test_a_line_that_a_power_cut_tore_costs_no_other(tmp_path: Path) -> None:
    first, second = visit(at_noon(0)), visit(at_noon(0) + 60)
    store(tmp_path).add(first)
    lines = tmp_path / today().isoformat() / LINES
    lines.write_bytes(lines.read_bytes() + json.dumps(visit().record()).encode()[:50])
    store(tmp_path).add(second)
    assert [one.id for one in Days(tmp_path).today()] == [second.id, first.id]


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, real = store(tmp_path), os.write
    writer.add(visit())
    before = (tmp_path / today().isoformat() / LINES).read_bytes()
    left = [20]

    def write(file: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        count = real(file, data[: left[0]])
        left[0] -= count
        return count

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        writer.add(visit(picture=None))
    monkeypatch.undo()
    assert (tmp_path / today().isoformat() / LINES).read_bytes() == before


# --- a kill ---------------------------------------------------------------------------------------


def test_a_visit_that_a_kill_cut_short_is_ended_with_what_was_known(tmp_path: Path) -> None:
    going = visit()
    store(tmp_path).keep(going)
    left = store(tmp_path).cut_short()
    assert left is not None and left.record() == going.record()
    assert Days(tmp_path).today() == () and Days(tmp_path).picture(going.id) == JPEG
    store(tmp_path).add(visit())
    assert store(tmp_path).cut_short() == left, "another one says nothing about it"
    store(tmp_path).add(left)
    assert store(tmp_path).cut_short() is None
    assert going.record() in [one.record() for one in Days(tmp_path).today()]


def test_a_kill_between_adding_and_forgetting_does_not_count_a_visit_twice(tmp_path: Path) -> None:
    going = visit()
    store(tmp_path).keep(going)
    kept = (tmp_path / GOING).read_bytes()
    store(tmp_path).add(going)
    (tmp_path / GOING).write_bytes(kept)
    assert store(tmp_path).cut_short() is None and not (tmp_path / GOING).exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b'{"visit": 3}'])
def test_a_damaged_note_of_the_visit_that_went_on_is_forgotten_and_said(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / GOING).write_bytes(damage)
    assert store(tmp_path).cut_short() is None and not (tmp_path / GOING).exists()
    assert len(caplog.messages) == 1 and GOING in caplog.messages[0]


def test_asking_for_a_cut_visit_makes_no_folder(tmp_path: Path) -> None:
    assert store(tmp_path / "visits").cut_short() is None
    store(tmp_path / "visits").tidy()
    assert not (tmp_path / "visits").exists()


# --- bounds ---------------------------------------------------------------------------------------


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_folder_stays_within_max_mb_and_the_oldest_pictures_go_first(tmp_path: Path) -> None:
    writer = store(tmp_path, max_mb=10)
    noon_s = at_noon(2)
    added = [visit(noon_s + i * DAY_S / 10, picture=bytes(1_000_000)) for i in range(20)]
    for one in added:
        writer.add(one)
        assert used(tmp_path) <= 10 * MB
    days = Days(tmp_path)
    kept = [days.picture(one.id) is not None for one in added]
    assert kept == sorted(kept) and 7 <= sum(kept) < 10
    assert sum(sum(by.values()) for by in days.counts().values()) == 20


def test_a_folder_of_another_time_with_a_higher_limit_shrinks_at_the_first_visit(
    tmp_path: Path,
) -> None:
    for i in range(20):
        store(tmp_path, max_mb=100).add(visit(at_noon(1) + i, picture=bytes(1_000_000)))
    store(tmp_path, max_mb=10).add(visit())
    assert used(tmp_path) <= 10 * MB


def test_days_that_are_too_old_go_with_lines_and_folder(
    tmp_path: Path, set_clock: Callable[[bool], None]
) -> None:
    set_clock(True)
    for age in (0, 1, 8, 12, 40):
        store(tmp_path, max_age_days=1000).add(visit(at_noon(age)))
    store(tmp_path, max_age_days=10).tidy()
    assert [(today() - day).days for day in Days(tmp_path).all()] == [0, 1, 8]


def test_without_a_set_clock_nothing_is_too_old(
    tmp_path: Path, set_clock: Callable[[bool], None]
) -> None:
    set_clock(False)
    store(tmp_path).add(visit(at_noon(400)))
    store(tmp_path).tidy()
    assert len(Days(tmp_path).all()) == 1


def test_visits_written_before_the_clock_was_set_age_from_when_it_is(
    tmp_path: Path, set_clock: Callable[[bool], None]
) -> None:
    set_clock(True)
    one = visit(86400.0 * 3)
    store(tmp_path).add(one)
    folder = tmp_path / one.day.isoformat()
    for path in folder.iterdir():
        os.utime(path, (86400.0 * 3, 86400.0 * 3))
    store(tmp_path).tidy()
    assert Days(tmp_path).of(one.day), "its age is unknown"
    for path in folder.iterdir():
        os.utime(path, (time.time() - 31 * DAY_S, time.time() - 31 * DAY_S))
    store(tmp_path).tidy()
    assert not folder.exists()


def test_no_file_of_anybody_else_is_counted_or_removed(
    tmp_path: Path, set_clock: Callable[[bool], None]
) -> None:
    set_clock(True)
    old = visit(at_noon(50))
    store(tmp_path, max_age_days=1000).add(old)
    theirs = [tmp_path / "notes.txt", tmp_path / old.day.isoformat() / "nest.jpg"]
    for path in theirs:
        path.write_bytes(bytes(12_000_000))
    store(tmp_path, max_age_days=10).tidy()
    assert all(path.exists() for path in theirs) and not Days(tmp_path).of(old.day)


# --- records --------------------------------------------------------------------------------------


def test_a_record_says_all_but_the_picture() -> None:
    one = visit()
    assert from_record(json.loads(json.dumps(one.record()))).record() == one.record()


@pytest.mark.parametrize("field", list(visit().record()))
def test_a_record_without_one_of_its_fields_is_refused(field: str) -> None:
    record = visit().record()
    del record[field]
    with pytest.raises(ValueError, match="no record"):
        from_record(record)


def test_a_visit_whose_end_was_never_told_is_kept_when_the_next_is_noted(tmp_path: Path) -> None:
    """Visits were switched off while somebody was there, and on again later."""
    first, second = visit(at_noon(0)), visit(at_noon(0) + 60)
    store(tmp_path).keep(first)
    store(tmp_path).keep(second)
    assert [one.id for one in Days(tmp_path).today()] == [first.id]
    left = store(tmp_path).cut_short()
    assert left is not None and left.id == second.id


@pytest.mark.parametrize("name", ["start", "end", "score", "best"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_record_without_a_real_number_is_damaged(name: str, number: float) -> None:
    """Browsers cannot read a list of visits with such a number in it."""
    with pytest.raises(ValueError, match="no record of a visit"):
        from_record({**visit().record(), name: number})


def test_a_noted_visit_without_an_end_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Told as it is, it would go on for ever."""
    endless = {**visit().record(), "end": None}
    (tmp_path / GOING).write_text(json.dumps(endless))
    assert store(tmp_path).cut_short() is None and not (tmp_path / GOING).exists()
    assert len(caplog.messages) == 1 and "it has no end" in caplog.messages[0]
