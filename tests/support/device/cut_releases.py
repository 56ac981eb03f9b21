"""Cuts the fetching and installing of a release short: `cut_releases.py FOLDER URL KILLS ONE_IN`.

FOLDER holds a board with a bundle that is confirmed; the server at URL offers it release 2. The
updater is killed before one in ONE_IN of the things that it does to the disk, each time on a copy
of the board, then KILLS times at random moments. After each kill what is current is one of the two
bundles, whole, and what is remembered can be read; the next turn takes the release. In a process of
its own that has one thread, so that it can fork.
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
from tests.support.device.board import Board, Files
from tests.support.device.cut_updates import die_at, fork, untested, wait_for_no_disk, was_killed

Act = Callable[[Board], object]


class Cutter:
    """Copies of a board, and what may run on them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.root = (folder / "root.json").read_bytes()
        self.before = self.board("start").running()
        whole = self.board("whole")
        self.turn(whole)
        self.after = whole.running()
        assert self.after != self.before

    def board(self, name: str) -> Board:
        """A copy of the board as it was at the beginning."""
        copy = self.folder.parent / f"copy-{name}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.folder, copy, symlinks=True)
        return Board(copy, self.url, self.root)

    def turn(self, board: Board) -> None:
        board.turn()

    def check(self, board: Board) -> None:
        """After a kill."""
        now: Files = board.running()
        assert now in (self.before, self.after)
        assert board.checks is not None and board.progress is not None
        # What was begun is made up for, though not always by one turn.
        for _ in range(3):
            self.turn(board)
            if board.running() == self.after:
                break
        assert board.running() == self.after, board.progress
        assert board.progress.stage == "trial" and not board.progress.failed

    def at_each_step(self, act: Act, prepare: Act, one_in: int) -> int:
        """Cut before one step in so many, until one comes through; the last that was cut."""
        for step in count(1, one_in):
            board = self.board("step")
            prepare(board)
            child = fork(partial(self._cut, step, act, board))
            if not was_killed(child):
                return step - one_in
            self.check(board)
        raise AssertionError

    def _cut(self, step: int, act: Act, board: Board) -> None:
        die_at(step)
        act(board)

    def at_random(self, moments: random.Random, whole_s: float) -> bool:
        """Cut one turn anywhere; whether it was cut."""
        board = self.board("random")
        child = fork(partial(self.turn, board))
        time.sleep(moments.uniform(0, whole_s))
        os.kill(child, signal.SIGKILL)
        cut = was_killed(child)
        self.check(board)
        return cut


def main(folder: Path, url: str, kills: int, one_in: int) -> None:
    """Print how often the updater was cut."""
    wait_for_no_disk()
    slots._tested = untested
    cutter = Cutter(folder, url)
    started_s = time.perf_counter()
    cutter.turn(cutter.board("timed"))
    whole_s = time.perf_counter() - started_s
    fetching = cutter.at_each_step(
        lambda board: board.fetch(), lambda board: board.install(), one_in
    )
    installing = cutter.at_each_step(
        lambda board: board.install(), lambda board: (board.install(), board.fetch()), one_in
    )
    moments = random.Random(0)
    cut = sum(cutter.at_random(moments, whole_s) for _ in range(kills))
    print(json.dumps({"fetching": fetching, "installing": installing, "cut": cut}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
