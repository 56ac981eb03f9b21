"""A board that a deployment put software on, and a fleet that offers releases of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from device.errors import UnfitError
from device.update import slots
from device.update.software import build
from device.update.trust.fetch import Wanted
from device.update.watch import WATCH_S
from tests.support.device.board import Board, offer
from tests.support.device.bundle_files import read_folder, write_folder
from tests.support.device.fleet import Fleet
from tests.support.device.release_server import ReleaseServer, serving
from tests.support.device.software import (
    Software,
    lay_out,
    make_venv,
    offer_software,
    start_service,
)


@dataclass
class Scene:
    """A fleet, its server, and a board."""

    fleet: Fleet
    server: ReleaseServer
    board: Board

    def offer(self, software: Software, number: int, percent: float = 100) -> None:
        offer_software(self.fleet, software, number, percent)

    def turn(self) -> None:
        """What happens by itself in a while."""
        self.board.install()
        self.board.fetch()
        self.board.install_software()
        self.board.install()

    def offer_and_turn(self) -> None:
        """A release is offered, and tried if it can be."""
        self.offer(Software("2.0"), 1)
        self.turn()

    def on_trial(self, version: str = "2.0", number: int = 1) -> str:
        """It is live, and the service runs it; returns what was before."""
        before = self.board.live()
        self.offer(Software(version), number)
        self.turn()
        assert self.board.live() != before, self.board.software
        assert self.board.software.stage == "trial"
        start_service(self.board)
        return before

    def works(self) -> None:
        """Ten minutes of pictures, and each process has done its work."""
        self.board.fetch()
        self.board.install()
        for _ in range(3):
            self.board.clock.pass_by(minutes=5)
            self.board.install_software()

    def watched(self) -> None:
        """A day without anything."""
        self.board.clock.pass_by(seconds=WATCH_S + 60)
        self.board.install_software()

    def stays(self, live: str) -> None:
        """Nothing changes, however often it is tried."""
        for _ in range(3):
            self.board.clock.pass_by(hours=1)
            self.turn()
            assert self.board.live() == live == self.board.live("confirmed")
            assert self.board.software.stage == ""


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pip and no child: what is live is told from others by its version. All else is real."""

    def make(venv: Path, wheels: Path, files: dict[str, Wanted]) -> None:
        build._write_requirements(wheels, files)
        make_venv(venv, (wheels / build.own_wheel(list(files))).read_text())

    def check(venv: Path, *_: object) -> None:
        if "bad" in (venv / "bin/python").read_text():
            raise UnfitError("python-device: it cannot be imported (status 1)")

    monkeypatch.setattr(build, "build", make)
    monkeypatch.setattr(build, "check", check)
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def scene(tmp_path: Path, tiny_bundle: Path, pretended: None, instant: None) -> Iterator[Scene]:
    fleet = Fleet(tmp_path / "public")
    files = read_folder(tiny_bundle)
    with serving(fleet.public) as server:
        board = Board(tmp_path / "board", server.url, fleet.first_root)
        slots.install(write_folder(tmp_path / "plain", files), board.slots)
        lay_out(board)
        start_service(board)
        offer(fleet, files)
        board.turn()
        assert board.progress.stage == "" and board.progress.applied == 1
        yield Scene(fleet, server, board)
