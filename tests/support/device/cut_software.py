"""Cuts the installing of software short: `cut_software.py FOLDER URL KILLS ONE_IN`.

FOLDER holds a board on which software was deployed; the server at URL offers it release 1. The
process that installs it is killed before one in ONE_IN of the things that it does to the disk, each
time on a copy of the board: while it takes the release, while it goes back, and while it keeps it;
then KILLS times at random moments of taking it. After each kill what is live is whole, and the next
passes come to the same end. In a process of its own that has one thread, so that it can fork.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from device.update import slots
from device.update.software import build
from device.update.software.releases import LIVE, OURS, READY, RELEASES
from device.update.trust.fetch import Wanted
from device.update.watch import WATCH_S
from tests.support.device.board import Board
from tests.support.device.cut_updates import die_at, fork, untested, wait_for_no_disk, was_killed
from tests.support.device.software import make_venv, start_service

Act = Callable[[Board], object]


class Cutter:
    """Copies of a board, and what may run on them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.root = (folder / "root.json").read_bytes()

    def board(self, name: str) -> Board:
        """A copy of the board as it was at the beginning."""
        copy = self.folder.parent / f"copy-{name}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy, symlinks=True)
        return Board(copy, self.url, self.root)

    def at_each_step(self, prepare: Act, whole: Act, one_in: int) -> int:
        """Cut before one step in so many, until one comes through; the last that was cut."""
        for step in count(1, one_in):
            board = self.board("step")
            prepare(board)
            child = fork(partial(self._cut, step, board))
            killed = was_killed(child)
            self._goes_on(board, whole)
            if not killed:
                return step - one_in
        raise AssertionError

    def at_random(self, prepare: Act, whole: Act, kills: int) -> int:
        """Cut one pass anywhere, so often; how often it had not ended."""
        moments, cut = random.Random(0), 0
        timed = self.board("timed")
        prepare(timed)
        started_s = time.perf_counter()
        timed.install_software()
        whole_s = time.perf_counter() - started_s
        for _ in range(kills):
            board = self.board("random")
            prepare(board)
            child = fork(partial(self._pass, board))
            time.sleep(moments.uniform(0, whole_s))
            os.kill(child, signal.SIGKILL)
            cut += was_killed(child)
            self._goes_on(board, whole)
        return cut

    def _goes_on(self, board: Board, whole: Act) -> None:
        """After a kill."""
        assert board.live() and board.live("confirmed") and board.software is not None
        # The guard of starts is there as long as what is live is on trial.
        if board.live() != board.live("confirmed"):
            assert (board.places.installed / "trial").exists()
        # A deployment takes what is ready for whole, if it is not ours.
        for ready in board.places.installed.glob(f"{RELEASES}/*/{READY}"):
            ours = ready.parent.name.startswith(OURS)
            assert ours or ready.with_name(LIVE).joinpath("bin/python").exists(), ready
        for _ in range(3):
            # A kill just while wheels are kept leaves them to be fetched.
            board.fetch()
            board.install_software()
        whole(board)

    def _cut(self, step: int, board: Board) -> None:
        die_at(step)
        self._pass(board)

    def _pass(self, board: Board) -> None:
        board.install_software()


def fetched(board: Board) -> None:
    board.runs = board.live()
    board.install()
    board.fetch()


def on_trial(board: Board) -> None:
    fetched(board)
    board.install_software()
    start_service(board)


def crashed(board: Board) -> None:
    on_trial(board)
    start_service(board, crashes=3)


def over(board: Board) -> None:
    on_trial(board)
    fetched(board)
    for _ in range(3):
        board.clock.pass_by(minutes=5)
        board.install_software()
    assert board.software.stage == "watch"
    board.clock.pass_by(seconds=WATCH_S + 60)


def is_on_trial(board: Board) -> None:
    assert board.live() != "deployed" == board.live("confirmed"), board.software
    assert board.software.stage == "trial" and not board.software.failed


def is_back(board: Board) -> None:
    assert board.live() == "deployed" == board.live("confirmed"), board.software
    assert board.software.stage == "" and len(board.software.failed) == 1


def is_kept(board: Board) -> None:
    assert board.live() == board.live("confirmed") != "deployed", board.software
    assert board.software.stage == "" and not board.software.failed


def _make(venv: Path, wheels: Path, files: dict[str, Wanted]) -> None:
    make_venv(venv, (wheels / build.own_wheel(list(files))).read_text())


def main(folder: Path, url: str, kills: int, one_in: int) -> None:
    """Print how often it was cut."""
    wait_for_no_disk()
    slots._tested = untested
    build.build, build.check = _make, lambda *_: None  # type: ignore[assignment]
    cutter = Cutter(folder, url)
    cuts = {
        "taking": cutter.at_each_step(fetched, is_on_trial, one_in),
        "going back": cutter.at_each_step(crashed, is_back, one_in),
        "keeping": cutter.at_each_step(over, is_kept, one_in),
        "cut": cutter.at_random(fetched, is_on_trial, kills),
    }
    print(json.dumps(cuts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
