"""From the commands of the workstation to the slots of a board, with the real code of both."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from device.contract import bundle
from device.update import slots
from device.update.watch import WATCH_S
from tests.device.fleet.boards import served
from tests.device.fleet.conftest import Good
from tests.support.device.board import Board, Clock
from tests.support.device.bundle_files import resealed, write_folder
from tests.support.device.tiny_bundle import TAR

OLD = bundle.read_files(TAR)
START = resealed({**OLD, bundle.LABELS: b"un\ndeux\ntrois\n"}, name="start")
NEW = resealed({**OLD, bundle.LABELS: b"rot\ngruen\nblau\n"}, name="new")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A bundle that differs from the published one."""
    return write_folder(tmp_path / "new", NEW)


@pytest.fixture
def garden(fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board with the first root and a bundle from elsewhere, that fetches over HTTP."""
    monkeypatch.setattr(slots, "_tested", lambda *_: "no runtime")
    root = (fleet / "public/metadata/1.root.json").read_bytes()
    with served(fleet / "public") as url:
        board = Board(tmp_path / "garden", url, root, Clock(datetime.now(UTC)))
        slots.install(write_folder(tmp_path / "start", START), board.slots)
        board.serve()
        yield board


def settle(garden: Board) -> None:
    """The release works, and is watched for a day."""
    garden.confirm()
    garden.serve()
    garden.install()
    garden.clock.pass_by(seconds=WATCH_S + 1)
    assert not garden.install().stage


def test_a_promoted_release_reaches_the_board_and_the_next_one_too(
    garden: Board, good: Good, new: Path
) -> None:
    good("promote", "--name=birds", "--percent=100")
    garden.turn()
    assert garden.running() == OLD
    settle(garden)
    good("publish", "--name=birds", f"--bundle={new}")
    good("promote", "--name=birds", "--percent=100")
    garden.turn()
    assert garden.running() == NEW


def test_a_release_that_is_not_promoted_or_halted_reaches_no_board(
    garden: Board, good: Good, new: Path
) -> None:
    good("promote", "--name=birds", "--percent=100")
    garden.turn()
    settle(garden)
    good("publish", "--name=birds", f"--bundle={new}")
    garden.turn()
    assert garden.running() == OLD
    good("promote", "--name=birds", "--percent=100")
    good("halt", "--name=birds")
    garden.turn()
    assert garden.running() == OLD
    assert garden.checks.problem == ""


def test_a_board_follows_a_change_of_all_keys(garden: Board, good: Good, new: Path) -> None:
    good("promote", "--name=birds", "--percent=100")
    garden.turn()
    settle(garden)
    top = ("root", "targets", "snapshot", "timestamp")
    good("keys", *(f"--role={role}" for role in (*top, "rollout", "model-birds")))
    good("publish", "--name=birds", f"--bundle={new}")
    good("promote", "--name=birds", "--percent=100")
    garden.turn()
    assert garden.running() == NEW


def test_the_folder_raises_the_time_floor_of_a_board_without_a_clock(
    garden: Board, good: Good
) -> None:
    garden.clock.synchronized = False
    garden.clock.now = datetime(1970, 1, 1, tzinfo=UTC)
    good("promote", "--name=birds", "--percent=100")
    garden.turn()
    assert garden.running() == OLD
    assert datetime.now(UTC).timestamp() - garden.checks.floor_s < 3600
