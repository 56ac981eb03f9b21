"""Runs trials: each is the ordinary `make`, in a build folder of its own.

So a trial resumes as any build does: what is finished is not done again, a training that was killed
continues at its last epoch, and what other code or photos made is made again.
"""

import fcntl
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from convert.errors import InputError
from convert.sweep.trial import LOG
from device.errors import ClusterError, UsageError
from device.workstation.engine import commands
from device.workstation.engine.choice import spreads
from device.workstation.engine.commands import Command, Running
from device.workstation.training import DATA, DataRecord

LOCK = ".lock"
POLL_S = 0.1
END_S = 20
"""Time for a trial to end by itself when it is asked to."""
MOST_ERROR = 300
"""Longest error that a row shows."""
ON_NODE = ("ENGINE=local", "VENV=.venv-ray", "LOCK=train/locks/cluster.txt")
"""A trial on a node of a cluster stays there, with the environment that all nodes have."""
_PROGRAM_ERROR = "error: "
_MADE = re.compile(r"^make(\[\d+\])?: \*\*\* \[.*?\] (.+)$")
_JOBS = re.compile(r"(^| )(-j\d*|--jobserver-[a-z]+=\S+)")


@dataclass(frozen=True)
class Planned:
    """One trial: which network, and the build folder for it."""

    backbone: str
    size_px: int
    folder: Path

    @property
    def name(self) -> str:
        """As `SWEEP=` takes it."""
        return self.folder.name


def planned(names: Sequence[str], sweep: Path) -> list[Planned]:
    """The trials of these names, below the folder of the sweep.

    Raises:
        UsageError: if a name is not a backbone and a size with @ between them.
    """
    found = []
    for name in dict.fromkeys(names):
        backbone, _, size = name.rpartition("@")
        if not backbone or not size.isdecimal():
            raise UsageError(f"{name}: give BACKBONE@SIZE, as in mobilenet-v2@160")
        found.append(Planned(backbone, int(size), sweep / name))
    if not found:
        raise UsageError("no trial is named: give BACKBONE@SIZE, as in mobilenet-v2@160")
    return found


def check_same_photos(plan: Sequence[Planned], photos: str) -> None:
    """Refuse to replace trials of other photos.

    Args:
        plan: the trials.
        photos: the folder or address that is to be swept now.

    Raises:
        UsageError: naming a trial of other photos.
    """
    for one in plan:
        record = one.folder / "train" / DATA
        if record.exists() and (of := DataRecord.read(record).folder) != photos:
            raise UsageError(
                f"{one.folder} is a trial of other photos, {of}: remove {one.folder.parent}, or "
                "choose another BUILD="
            )


@contextmanager
def alone(sweep: Path) -> Iterator[None]:
    """Hold the folder of a sweep, so that no two work in it.

    Raises:
        UsageError: if another sweep holds it.
    """
    sweep.mkdir(parents=True, exist_ok=True)
    with (sweep / LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another sweep is at work in {sweep}: wait for it") from error
        yield


def run(
    plan: Sequence[Planned], make: Sequence[str], jobs: int, say: Callable[[str], None]
) -> dict[str, str]:
    """Run the trials; a failure of one does not stop the others.

    Args:
        plan: the trials, in the order in which they are begun.
        make: the command that each begins with.
        jobs: how many are at work at once.
        say: called with a line when one begins and when it ends.

    Returns:
        For each trial by name why it failed, on one line; empty if it did not.
    """
    waiting, errors = deque(plan), dict[str, str]()
    working: dict[str, Running] = {}
    with _ended(working):
        while waiting or working:
            while waiting and len(working) < jobs:
                one = waiting.popleft()
                say(f"{one.name}: begins ({len(plan) - len(waiting)} of {len(plan)})")
                working[one.name] = _start(one, make)
            for one in plan:
                if one.name in working and (error := _error(one, working[one.name])) is not None:
                    del working[one.name]
                    errors[one.name] = error
                    say(f"{one.name}: {errors[one.name] or 'trained and verified'}")
            time.sleep(POLL_S)
    return errors


def _error(one: Planned, running: Running) -> str | None:
    """Why a trial failed, empty if it did not; None while it is at work."""
    try:
        status = running.poll()
    except ClusterError as error:
        return str(error)
    return None if status is None else said_error(one.folder) if status else ""


def _start(one: Planned, make: Sequence[str]) -> Running:
    one.folder.mkdir(parents=True, exist_ok=True)
    settings = (
        f"BUILD={one.folder}",
        f"SHARED={one.folder.parent.parent}",
        f"BACKBONE={one.backbone}",
        f"SIZE={one.size_px}",
        "USE=",
        *(ON_NODE if spreads() else ()),
    )
    words = [*make, "--no-print-directory", *settings, f"{one.folder}/bundle.tar"]
    log = (one.folder / LOG).absolute()
    return commands.start(Command(words, _environment(), os.getcwd(), log))


def _environment() -> dict[str, str]:
    """The variables given to make reach the trials by its own way, but its job server does not."""
    options, between, variables = os.environ.get("MAKEFLAGS", "").partition(" -- ")
    flags = _JOBS.sub("", options) + between + variables
    return {**os.environ, "MAKEFLAGS": flags, "COLUMNS": "200"}


@contextmanager
def _ended(working: dict[str, Running]) -> Iterator[None]:
    """Whatever happens, no trial is left at work; make ends its own commands."""
    try:
        yield
    finally:
        for process in working.values():
            process.terminate()
        for process in working.values():
            process.wait(END_S)


def said_error(folder: Path) -> str:
    """Why a trial failed, from what its steps said: one line.

    That is the last error of a program of ours, else the last line of a traceback, else what make
    says of the command that ended.
    """
    try:
        lines = (folder / LOG).read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise InputError(f"{folder / LOG}: {error.strerror}") from error
    said = [line.strip() for line in lines if line.strip()]
    ours = [line for line in said if line.startswith(_PROGRAM_ERROR)]
    made = [found[2] for line in said if (found := _MADE.match(line))]
    others = [line for line in said if not line.startswith("make")]
    if ours:
        reason = ours[-1].removeprefix(_PROGRAM_ERROR)
    elif any(line.startswith("Traceback ") for line in said):
        reason = others[-1]
    else:
        reason = (made or others or ["it ended without a word"])[-1]
    return reason if len(reason) <= MOST_ERROR else f"{reason[: MOST_ERROR - 3]}..."
