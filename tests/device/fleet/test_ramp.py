"""Promises of `make ramp`: more boards after a good stage, none after a bad one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.release.rollout import Stage, parse
from device.fleet import ramp
from device.fleet.boards import Ran
from device.fleet.boards import Told as Said
from device.fleet.ramp import Counts, Known, advanced, counted, judged
from device.fleet.signing.folder import Fleet
from device.telemetry.updates import UpdateStatus
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import Good, Run
from tests.support.device.metrics_server import telling
from tests.support.device.tiny_bundle import TAR

HOUR_S = 3600.0
BOARDS = 40
AWAY = UpdateStatus(name="birds")
GOOD = UpdateStatus(name="birds", installed=1, latest=1, stage="watch")
BAD = UpdateStatus(name="birds", failed=("1: the service crashed 3 times",))
BUSY = UpdateStatus(name="birds", latest=1, stage="trial")


class Told:
    """What boards tell, which a test changes."""

    def __init__(self, listed: Path) -> None:
        self.listed = listed
        self.boards: dict[int, UpdateStatus | None] = {}

    def say(self, *statuses: UpdateStatus | None) -> None:
        """The first boards say this, the others know nothing of the release."""
        self.boards = dict(enumerate(statuses))

    def status(self, number: int) -> UpdateStatus | None:
        return self.boards.get(number, AWAY)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    said = Told(tmp_path)
    with telling(tmp_path, BOARDS, said.status) as listed:
        said.listed = listed
        yield said


Look = Callable[..., int]


@pytest.fixture
def look(run: Run, told: Told) -> Look:
    """One look, so many hours after the one before."""

    def act(*options: str) -> int:
        return run("ramp", "--name=birds", f"--boards={told.listed}", *options)

    return act


@pytest.fixture
def stage(board: Board) -> Callable[[], Stage]:
    """What a board is told."""
    return lambda: parse(board.rollout().to_json()).groups["all"]["birds"]


def test_a_release_that_works_reaches_all_boards_by_stages(
    good: Good, look: Look, told: Told, stage: Callable[[], Stage]
) -> None:
    good("promote", "--name=birds", "--percent=1")
    seen = []
    for boards in (0, 4, 20, BOARDS):
        told.say(*[GOOD] * boards)
        assert look("--hours=0") == 0
        seen.append(stage().percent)
    assert seen == [10, 50, 100, 100] and not stage().halted


def test_a_release_that_fails_is_halted_and_stays_so(
    good: Good,
    look: Look,
    told: Told,
    stage: Callable[[], Stage],
    capsys: pytest.CaptureFixture[str],
) -> None:
    good("promote", "--name=birds", "--percent=10")
    told.say(BAD, BAD, GOOD, GOOD)
    for _ in range(2):
        assert look() == 1
        assert stage() == Stage(1, 10, halted=True)
    said = capsys.readouterr()
    assert "halted: 2 of 4 boards that tried it went back" in said.err
    assert "2 boards have confirmed it, 2 went back from it" in said.out


def test_a_person_who_lets_it_go_on_is_not_overruled_by_old_failures(
    good: Good, look: Look, told: Told, stage: Callable[[], Stage]
) -> None:
    good("promote", "--name=birds", "--percent=10")
    told.say(BAD, BAD)
    assert look() == 1
    good("promote", "--name=birds", "--percent=10", "--resume")
    assert look() == 0 and not stage().halted
    told.say(BAD, BAD, BAD)
    assert look() == 1 and stage().halted


@pytest.mark.parametrize(
    ("boards", "options", "why"),
    [
        ([GOOD] * 20, (), "this stage is watched for 48 more hours"),
        ([GOOD] * 10 + [BUSY] * 10, ("--hours=0",), "10 boards are not done with it"),
        ([None] * 20, ("--hours=0",), "0 boards tell of it, and about 10 should"),
    ],
)
def test_a_stage_waits_for_its_window_and_its_boards(
    boards: list[UpdateStatus | None],
    options: tuple[str, ...],
    why: str,
    good: Good,
    look: Look,
    told: Told,
    stage: Callable[[], Stage],
    capsys: pytest.CaptureFixture[str],
) -> None:
    good("promote", "--name=birds", "--percent=50")
    told.say(*boards)
    assert look(*options) == 0
    assert stage() == Stage(1, 50)
    assert f"stays at 50%: {why}" in capsys.readouterr().out


def test_nothing_begins_without_a_person(
    look: Look, good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert look("--hours=0") == 1
    assert "begin with `make promote NAME=birds PERCENT=1`" in capsys.readouterr().err
    good("promote", "--name=birds", "--percent=100")
    good("publish", "--name=birds", f"--bundle={TAR}")
    before = Fleet(fleet).timestamp.read_bytes()
    assert look("--hours=0") == 0
    assert Fleet(fleet).timestamp.read_bytes() == before


def test_boards_that_all_are_silent_are_one_line_and_nothing_changes(
    look: Look,
    good: Good,
    told: Told,
    stage: Callable[[], Stage],
    capsys: pytest.CaptureFixture[str],
) -> None:
    good("promote", "--name=birds", "--percent=1")
    told.say(*[None] * BOARDS)
    assert look("--hours=0") == 1
    assert "no board there tells of birds" in capsys.readouterr().err
    assert stage() == Stage(1, 1)


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"all/birds": {"percent": "x"}}'])
def test_a_damaged_memory_is_one_line(
    damage: str, look: Look, good: Good, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good("promote", "--name=birds", "--percent=1")
    (fleet / ramp.RAMP_FILE).write_text(damage)
    assert look() == 1
    assert "damaged" in capsys.readouterr().err


def test_a_stage_is_judged_by_its_own_boards() -> None:
    """500 good boards of before do not hide that one of ten of the next fails."""
    before = Counts(answered=1000, confirmed=500)
    known = advanced(Known(), Stage(1, 50), before, 0)
    known = advanced(known, Stage(1, 100), before, HOUR_S)
    after = replace(before, confirmed=590, failed=10)
    known = advanced(known, Stage(1, 100), after, 2 * HOUR_S)
    assert judged(known, 2 * HOUR_S, 48).halt == "10 of 100 boards that tried it went back"


def test_boards_that_went_back_after_they_confirmed_count_once() -> None:
    known = advanced(Known(), Stage(1, 50), Counts(100, confirmed=50), 0)
    known = advanced(known, Stage(1, 100), Counts(100, confirmed=50), 1)
    known = advanced(known, Stage(1, 100), Counts(100, confirmed=47, failed=3), 2)
    assert judged(known, 2, 48).halt == "3 of 3 boards that tried it went back"


def test_a_clock_that_was_set_back_holds_no_stage_for_ever() -> None:
    known = advanced(Known(), Stage(1, 1), Counts(10, confirmed=1), 1e9)
    known = advanced(known, Stage(1, 1), Counts(10, confirmed=1), 0)
    assert judged(known, 48 * HOUR_S, 48).percent == 10


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_no_stage_is_raised_and_halted(confirmed: int, failed: int, working: int) -> None:
    counts = Counts(1000, confirmed, failed, working)
    verdict = judged(advanced(Known(), Stage(1, 10), counts, 0), 48 * HOUR_S, 48)
    assert sum(map(bool, (verdict.halt, verdict.waits, verdict.percent))) == 1
    if failed > 0.1 * (confirmed + failed) and failed > 1:
        assert verdict.halt


def test_boards_of_other_names_do_not_count() -> None:
    told = [
        Said("a", model=Ran("cats", 1)),
        Said("b", model=Ran("birds", 1), software=Ran("software", 1)),
        Said("c", problem="away"),
    ]
    assert counted(told, "birds", 1) == Counts(answered=1, confirmed=1)
    assert counted(told, "software", 2) == Counts(answered=1)
