"""What the sink that keeps visits promises: each one is on the disk, also the one that goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from device.contract.look.rules import Seen
from device.outputs import visits
from device.outputs.thread import Mailbox
from device.outputs.visits import Visits
from device.settings.sections import VisitsConfig
from device.visits.days import Days
from device.visits.store import VisitStore
from device.visits.visit import Visit
from tests.support.device.observations import Surroundings, sight
from tests.support.device.visits import visit


@pytest.fixture
def sink(tmp_path: Path) -> Visits:
    return Visits(VisitsConfig(path=str(tmp_path)))


SOMETHING = Seen.SOMETHING


def going(one: Visit, frames: int = 2) -> Visit:
    return replace(one, end_unix_s=None, frames=frames)


def cut_short(folder: Path) -> Visit | None:
    return VisitStore(folder, 10, 30.0).cut_short()


def test_a_visit_is_noted_when_it_begins_and_kept_when_it_has_ended(
    sink: Visits, tmp_path: Path
) -> None:
    one = visit()
    sink.publish(sight(0, visit=going(one), visit_changed=True))
    noted = cut_short(tmp_path)
    assert noted is not None and noted.id == one.id and not Days(tmp_path).today()
    sink.publish(sight(1, visit=going(one)))
    sink.publish(sight(2, visit=one, visit_changed=True))
    sink.close()
    assert [found.record() for found in Days(tmp_path).of(one.day)] == [one.record()]
    assert cut_short(tmp_path) is None


def test_what_is_known_of_a_visit_that_goes_on_is_written_now_and_then_and_at_the_end(
    sink: Visits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = visit()

    def noted() -> int:
        found = cut_short(tmp_path)
        return found.frames if found else 0

    sink.publish(sight(0, visit=going(one), visit_changed=True))
    sink.publish(sight(1, visit=going(one, 3), seen=SOMETHING))
    assert noted() == 2, "each time waits for the disk"
    monkeypatch.setattr(visits, "KEEP_S", 0.0)
    sink.publish(sight(2, visit=going(one, 4), seen=SOMETHING))
    assert noted() == 4
    monkeypatch.undo()
    sink.publish(sight(3, visit=going(one, 5), seen=SOMETHING))
    sink.close()
    assert noted() == 5


def test_a_visit_that_was_cut_short_ends_when_it_was_seen_last(
    sink: Visits, tmp_path: Path
) -> None:
    one = visit()
    seen_s = one.start_unix_s + 3
    sink.publish(sight(0, visit=going(one), visit_changed=True, unix_s=one.start_unix_s + 1))
    sink.publish(sight(1, visit=going(one, 3), seen=SOMETHING, unix_s=seen_s))
    sink.publish(sight(2, visit=going(one, 3), seen=Seen.NOTHING, unix_s=seen_s + 4))
    sink.close()
    left = cut_short(tmp_path)
    assert left is not None and left.end_unix_s == pytest.approx(seen_s, abs=0.001)


def test_only_what_tells_of_a_visit_wakes_the_sink(sink: Visits) -> None:
    assert sink.needs(sight(0, visit=going(visit()))) and sink.needs(sight(1, visit=visit()))
    assert not sink.needs(sight(2))


def test_without_visits_no_folder_is_made(tmp_path: Path) -> None:
    sink = Visits(VisitsConfig(path=str(tmp_path / "visits")))
    sink.publish(sight(0, changed=True))
    sink.tick(Surroundings().status())
    sink.close()
    assert not (tmp_path / "visits").exists()


def test_the_limits_of_the_settings_are_kept(sink: Visits, tmp_path: Path) -> None:
    strict = Visits(VisitsConfig(path=str(tmp_path), max_mb=10))
    for number in range(15):
        one = visit(picture=bytes(1_000_000))
        strict.publish(sight(number, visit=one, visit_changed=True))
    strict.tick(Surroundings().status())
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= 10_000_000


def test_a_sink_that_is_late_gets_every_visit_that_began_or_ended() -> None:
    mailbox, one = Mailbox(), visit()
    for number in range(9):
        goes_on = going(one) if number < 5 else one
        at_an_end = number in (2, 5)
        seen = goes_on if 2 <= number <= 5 else None
        mailbox.put(sight(number, visit=seen, visit_changed=at_an_end))
    taken = [mailbox.take(0) for _ in range(3)]
    assert [found.number for found in taken if found] == [2, 5, 8]
