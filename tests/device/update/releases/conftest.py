"""A board that has taken release 1 of a fleet, over a real server, and what comes next."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from device.contract import bundle as contract
from device.telemetry.updates import UpdateStatus
from device.update import slots
from device.update.watch import WATCH_S
from tests.support.device.board import Board, Files, offer
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.fleet import Fleet
from tests.support.device.release_server import ReleaseServer, serving
from tests.support.device.release_stick import ReleaseStick

ROLES = ["timestamp", "snapshot", "targets", "model-birds", "rollout"]


def old_files(fleet: Fleet) -> dict[str, bytes]:
    """All metadata as it is now."""
    return {path.name: path.read_bytes() for path in (fleet.public / "metadata").iterdir()}


def stranger() -> Fleet:
    """Only its keys are of use."""
    with TemporaryDirectory() as folder:
        return Fleet(Path(folder))


def relabelled(files: Files, *labels: str, name: str) -> Files:
    """Another bundle of the same model."""
    text = "".join(f"{label}\n" for label in labels)
    return resealed({**files, contract.LABELS: text.encode()}, name=name)


@pytest.fixture(scope="module")
def plain(tiny_bundle: Path) -> Files:
    return read_folder(tiny_bundle)


@pytest.fixture(scope="module")
def first(plain: Files) -> Files:
    return relabelled(plain, "rouge", "vert", "bleu", name="first")


@pytest.fixture(scope="module")
def second(plain: Files) -> Files:
    return relabelled(plain, "rot", "gruen", "blau", name="second")


@pytest.fixture(scope="module")
def evil(plain: Files) -> Files:
    """Whole, and of nobody who may sign."""
    return relabelled(plain, "evil", "more", "most", name="evil")


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No self-test, for tests of what comes before and after it."""
    monkeypatch.setattr(slots, "_tested", lambda *_: "no runtime")


@dataclass
class Scene:
    """A fleet, its server, and a board that runs release 1 and has run it for days."""

    fleet: Fleet
    server: ReleaseServer | ReleaseStick
    board: Board
    honest: Files
    """The bundle of release 1."""

    def refuses(self, *words: str) -> UpdateStatus:
        """Nothing changes, however often it is tried; the problem says why."""
        for _ in range(2):
            status = self.board.turn()
            assert self.board.running() == self.honest
            assert (self.board.progress.taken, self.board.progress.stage) == (1, "")
        for word in words:
            assert word in status.problem
        assert "\n" not in status.problem
        return status

    def accepts(self, files: Files, number: int = 2) -> None:
        """What is honestly published next is taken: the attack has done no lasting harm."""
        self.server.lies.clear()
        offer(self.fleet, files, number)
        self.board.turn()
        assert self.board.running() == files and self.board.progress.taken == number


Medium = Callable[[Path], AbstractContextManager[ReleaseServer | ReleaseStick]]
"""Brings a folder to the board: `serving` or `plugged`."""


@pytest.fixture
def medium() -> Medium:
    """What brings releases; files of tests put another, or both, in its place."""
    return serving


@pytest.fixture
def scene(
    tmp_path: Path, plain: Files, first: Files, instant: None, medium: Medium
) -> Iterator[Scene]:
    fleet = Fleet(tmp_path / "public")
    offer(fleet, first)
    with medium(fleet.public) as server:
        board = Board(tmp_path / "board", server.url, fleet.first_root)
        if isinstance(server, ReleaseStick):
            board.before = server.fill
        slots.install(write_folder(tmp_path / "plain", plain), board.slots)
        board.serve()
        assert board.turn().stage == "trial" and board.running() == first
        board.confirm()
        board.serve()
        assert board.install().stage == "watch"
        board.clock.pass_by(seconds=WATCH_S + 1)
        assert board.install().installed == 1 and board.progress.stage == ""
        yield Scene(fleet, server, board, first)
