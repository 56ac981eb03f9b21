"""One day of one board: it asks, fetches, installs, and its service finds what a release is worth.

Everything of the updater is real, on folders of the board's own and a real web server. The
self-test and the service are stand-ins that know which releases are bad, and how.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from device.contract import bundle as contract
from device.contract.bundle import Bundle
from device.errors import BundleError, SlotError
from device.update import slots
from device.update.state import TRIAL, WATCH
from tests.support.device.board import Board, Clock

GOOD, CRASHES, SOME, UNKNOWN, REFUSED = KINDS = (
    "good",
    "crashes the service",
    "crashes one board of five",
    "unknown five times as often",
    "refused by the self-test",
)
CALM = {"answers": 100, "unknown": 10, "served_s": 86400.0, "running_s": 86400.0}
DAY = timedelta(hours=25)


@dataclass(frozen=True)
class Day:
    """What a board's day begins with."""

    folder: Path
    url: str
    root: bytes
    device: str
    now: datetime
    uptime_s: float


def live(day: Day) -> int:
    """Live it; returns the number of the release that was tried, 0 if none was."""
    slots._tested = _tested
    board = board_of(day)
    if not (board.own / "health.json").exists():
        board.serve(**CALM)
    taken = board.progress.taken
    board.turn()
    while board.progress.stage in (TRIAL, WATCH):
        _serve(board)
    return board.progress.taken if board.progress.taken != taken else 0


def board_of(day: Day) -> Board:
    """The board, as the day finds it."""
    # What was written is there for the next process without waiting for a disk.
    os.fsync = lambda fd: None
    clock = Clock(now=day.now, boot_s=day.uptime_s)
    return Board(day.folder, day.url, day.root, clock, device=day.device)


def _serve(board: Board) -> None:
    """The service runs the release for as long as its stage lasts."""
    stage, kind = board.progress.stage, _kind(board.running())
    bad = kind == CRASHES or (kind == SOME and _is_fifth(board.device))
    if stage == TRIAL and bad:
        board.serve(**CALM, crashes=3)
    elif stage == TRIAL:
        board.serve(**CALM)
        board.confirm()
    elif kind == UNKNOWN:
        board.serve(**{**CALM, "unknown": 50})
    else:
        board.serve(**CALM)
        board.clock.pass_by(hours=DAY.total_seconds() / 3600)
    board.install()


def _tested(loaded: Bundle, load_timeout_s: float) -> str:
    if loaded.manifest["name"].endswith(REFUSED):
        raise SlotError("the self-test failed; nothing was changed") from BundleError("bad")
    return "a stand-in"


def _kind(files: dict[str, bytes]) -> str:
    name = str(json.loads(files[contract.MANIFEST])["name"])
    return name.rpartition(": ")[2]


def _is_fifth(device: str) -> bool:
    return hashlib.sha256(device.encode()).digest()[0] % 5 == 0
