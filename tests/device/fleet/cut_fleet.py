"""Cuts commands of a fleet short: `cut_fleet.py FOLDER COMMAND ONE_IN` prints a figure.

The command is killed before one in ONE_IN of the things that it does to the disk, one after the
other. After each kill, a board that trusts the first root must accept the folder and get a whole
release, or there must be no fleet yet; then the same command must succeed and leave a folder that a
board accepts. In a process of its own that is small and has one thread, so that it can fork.
"""

import io
import json
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from itertools import count
from pathlib import Path

from device.contract.release import packing
from device.fleet import releases
from device.fleet.__main__ import main as fleet_main
from tests.device.fleet import aged
from tests.device.fleet.boards import Board
from tests.support.device.cut_updates import die_at, fork, wait_for_no_disk, was_killed
from tests.support.device.tiny_bundle import TAR

COMMANDS = {
    "init": ["init"],
    "publish": ["publish", "--name=birds", f"--bundle={TAR}"],
    "first-of-a-name": ["publish", "--name=frogs", f"--bundle={TAR}", "--new"],
    "promote": ["promote", "--name=birds", "--percent=30"],
    "refresh": ["refresh"],
    "root": ["keys", "--role=root"],
    "timestamp": ["keys", "--role=timestamp"],
    "snapshot": ["keys", "--role=snapshot"],
    "targets": ["keys", "--role=targets"],
    "model": ["keys", "--role=model-birds"],
    "tidy": ["tidy"],
}
MADE_BEFORE = ("init", "publish", "promote")
"""The other commands begin with a fleet that these made."""


def quietly(fleet: Path, command: str) -> int:
    name, *options = COMMANDS[command]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
        status = fleet_main([name, f"--fleet={fleet}", *options])
    if status:
        print(said.getvalue(), file=sys.stderr)
    return status


def run(fleet: Path, command: str) -> None:
    assert quietly(fleet, command) == 0, command


def cut(fleet: Path, command: str, step: int) -> None:
    die_at(step)
    run(fleet, command)


def accept(fleet: Path, home: Path, first_root: bytes) -> None:
    """A board that knows the first root, and one that has been here before, accept all."""
    for folder in (home / "known", home / "fresh"):
        board = Board(folder, first_root, str(fleet / "public"))
        stages = board.rollout().groups.get("all", {})
        for name, stage in stages.items():
            assert board.release(name, stage.release)[1]
    shutil.rmtree(home / "fresh")


def at_each_step(folder: Path, command: str, one_in: int) -> int:
    """Cut before one step in so many, until one comes through; the last that was cut."""
    base, work, home = folder / "base", folder / "work", folder / "home"
    if command == "tidy":
        with redirect_stdout(io.StringIO()):
            aged.make(folder).rename(base)
    for before in (
        ()
        if base.exists()
        else MADE_BEFORE[: MADE_BEFORE.index(command) if command in MADE_BEFORE else 3]
    ):
        base.mkdir(exist_ok=True)
        run(base, before)
    for step in count(1, one_in):
        for each in (work, home):
            shutil.rmtree(each, ignore_errors=True)
        if base.exists():
            shutil.copytree(base, work)
            accept(work, home, (work / "public/metadata/1.root.json").read_bytes())
        killed = was_killed(fork(partial(cut, work, command, step)))
        first_root = work / "public/metadata/1.root.json"
        if first_root.exists():
            accept(work, home, first_root.read_bytes())
        else:
            assert command == "init"
        if not killed:
            return step - one_in
        run(work, "refresh" if command == "init" and first_root.exists() else command)
        accept(work, home, first_root.read_bytes())
        assert not list(work.rglob(".part-*"))
    raise AssertionError


def main(folder: Path, command: str, one_in: int) -> None:
    """Print the last step of the command that was cut."""
    # What is packed is the same each time, and takes longer than all else.
    releases.pack = cache(packing.pack)  # type: ignore[attr-defined]
    wait_for_no_disk()
    print(json.dumps({"steps": at_each_step(folder, command, one_in)}))


if __name__ == "__main__":
    os.umask(0o077)
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
