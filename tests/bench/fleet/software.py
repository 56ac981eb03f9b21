"""One day of one board that takes releases of Fieldguide itself; what it is worth, its text says.

The updater and all of its passes are real. In place of the venv, its trial and the service there
are stand-ins that know which releases are bad, and how.
"""

import os
from hashlib import sha256
from pathlib import Path

from device.deploy import fetch_wheels
from device.errors import UnfitError
from device.update.software import build
from device.update.state import TRIAL, WATCH
from device.update.trust.fetch import Wanted
from tests.bench.fleet.lives import CALM, DAY, Day, board_of
from tests.support.device.board import Board
from tests.support.device.software import SHARED, make_venv, start_service

GOOD, CRASHES, SILENT, REFUSED = KINDS = (
    "software: good",
    "software: crashes the service",
    "software: does not start the service",
    "software: refused by its trial",
)


def live(day: Day) -> int:
    """Live it; returns the number of the release that was tried, 0 if none was."""
    build.build, build.check = _make, _try  # type: ignore[assignment]
    os.sync = lambda: None
    board = board_of(day)
    start_service(board, **CALM)
    taken = board.software.taken
    board.turn()
    board.install_software()
    while board.software.stage in (TRIAL, WATCH):
        _serve(board)
    start_service(board, **CALM)
    board.install()
    return board.software.taken if board.software.taken != taken else 0


def write(folder: Path, about: str) -> list[str]:
    """What is released: a wheel with this text; returns options of the fleet's command."""
    fetch_wheels.download = _download
    (folder / "wheel").mkdir(parents=True)
    (folder / "wheel/fieldguide_device-1.0-py3-none-any.whl").write_text(about)
    pins = [
        f"{name.split('-')[0]}=={name.split('-')[1]} --hash=sha256:{sha256(data).hexdigest()}\n"
        for name, data in SHARED.items()
    ]
    (folder / "lock.txt").write_text("".join(pins))
    (folder / "fieldguide.service").write_text("[Service]\n")
    options = [f"--wheel={folder / 'wheel'}", f"--lock={folder / 'lock.txt'}"]
    return [*options, f"--unit={folder / 'fieldguide.service'}", f"--wheels={folder / 'wheels'}"]


def _serve(board: Board) -> None:
    """The service runs the release for as long as its stage lasts, if it can."""
    kind = _kind(board.places.installed / "venv")
    if board.software.stage == WATCH:
        start_service(board, **CALM)
        _pass_by(board, DAY.total_seconds() / 60)
    elif kind == SILENT:
        _pass_by(board, 7)
    elif kind == CRASHES:
        start_service(board, **CALM, crashes=3)
        board.install_software()
    else:
        start_service(board, **CALM)
        board.fetch()
        board.install()
        for _ in range(3):
            _pass_by(board, 5)


def _pass_by(board: Board, minutes: float) -> None:
    board.clock.pass_by(minutes=minutes)
    board.install_software()


def _make(venv: Path, wheels: Path, files: dict[str, Wanted]) -> None:
    build._write_requirements(wheels, files)
    make_venv(venv, (wheels / build.own_wheel(list(files))).read_text())


def _try(venv: Path, *_: object) -> None:
    if _kind(venv) == REFUSED:
        raise UnfitError("it cannot be imported")


def _kind(venv: Path) -> str:
    return (venv / "bin/python").read_text().partition(": ")[2]


def _download(folder: Path, board: fetch_wheels.Board) -> None:
    for name, data in SHARED.items():
        (folder / name).write_bytes(data)
