"""Releases, good and bad, to a fleet of boards, by `make ramp`'s own command."""

import multiprocessing
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from device.contract import bundle as contract
from device.contract.release.naming import SOFTWARE
from device.contract.release.rollout import Stage
from device.fleet import releases
from device.fleet.__main__ import main as fleet_main
from device.fleet.signing.folder import Fleet
from device.fleet.signing.state import read as read_state
from device.telemetry.updates import STATUS_FILE, UpdateStatus, read
from device.update import slots
from tests.bench.fleet import software
from tests.bench.fleet.lives import Day, live
from tests.support.device.board import Board
from tests.support.device.bundle_files import resealed, write_folder
from tests.support.device.metrics_server import telling
from tests.support.device.release_server import ReleaseServer, serving
from tests.support.device.software import lay_out
from tests.support.device.tiny_bundle import TAR

SYSTEM = f"{platform.python_version()}-{platform.machine()}-2.36"
NAME, FIRST_PERCENT, MOST_LOOKS = "birds", 1, 8
AT_ONCE = 4
PAUSE = timedelta(hours=26)
"""Between two days of all boards; longer than they watch a release."""


@dataclass(frozen=True)
class Ramp:
    """What became of one release."""

    kind: str
    stages: tuple[float, ...]
    """Percentages that were offered."""
    halted: bool
    tried: int
    """Boards that took it."""
    kept: int
    """Boards that run it in the end."""
    requests: int


@dataclass
class World:
    """A fleet's folder, its server and its boards."""

    folder: Path
    boards: int
    server: ReleaseServer
    listed: Path
    pool: ProcessPoolExecutor
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    uptime_s: float = 1000.0

    @property
    def fleet(self) -> Path:
        return self.folder / "fleet"

    def command(self, name: str, *options: str) -> int:
        with redirect_stdout(sys.stderr):
            return fleet_main([name, f"--fleet={self.fleet}", *options])

    def stage(self, name: str) -> Stage:
        """What is offered."""
        known = Fleet(self.fleet)
        found = releases.read_rollout(known, read_state(known)).stage("all", name)
        assert found is not None
        return found

    def day(self, name: str) -> int:
        """A day of every board; returns how many took a release of this name."""
        root = Fleet(self.fleet).root(1).read_bytes()
        days = [
            Day(_home(self.folder, each), self.server.url, root, _id(each), self.now, self.uptime_s)
            for each in range(self.boards)
        ]
        lived = software.live if name == SOFTWARE else live
        tried = sum(map(bool, self.pool.map(lived, days, chunksize=10)))
        # Those that took a release are a day ahead.
        self.now += PAUSE
        self.uptime_s += PAUSE.total_seconds()
        # This machine's clock signs, and time goes on only for the boards.
        assert self.now < datetime.now(UTC) + timedelta(days=14), "all that is signed has expired"
        return tried


def ramps(folder: Path, boards: int, kinds: tuple[str, ...]) -> Iterator[Ramp]:
    """A fleet that is offered one release after the other."""
    with _world(folder, boards) as world:
        for kind in kinds:
            yield _ramp(world, kind)


def _ramp(world: World, kind: str) -> Ramp:
    name = _publish(world, kind)
    assert world.command("promote", f"--name={name}", f"--percent={FIRST_PERCENT}") == 0
    stages, tried, asked = [], 0, len(world.server.asked)
    for _ in range(MOST_LOOKS):
        stages.append(world.stage(name).percent)
        tried += world.day(name)
        # A day has passed for the boards, and none for this machine.
        world.command("ramp", f"--name={name}", f"--boards={world.listed}", "--hours=0")
        if world.stage(name).halted or world.stage(name).percent == stages[-1]:
            break
    if world.stage(name).halted:
        tried += world.day(name)
    kept = _installed(world, name, world.stage(name).release)
    requests = len(world.server.asked) - asked
    return Ramp(kind, tuple(stages), world.stage(name).halted, tried, kept, requests)


def _publish(world: World, kind: str) -> str:
    """Sign a release that nobody is offered yet; returns what releases of it are called."""
    number = len(list(world.folder.glob("release-*")))
    about, folder = f"{number}: {kind}", world.folder / f"release-{number}"
    if kind in software.KINDS:
        written = software.write(folder, about)
        assert world.command("software", *written, f"--system={SYSTEM}") == 0
        return SOFTWARE
    bundle = write_folder(folder, resealed(contract.read_files(TAR), name=about))
    assert world.command("publish", f"--name={NAME}", f"--bundle={bundle}") == 0
    return NAME


def _installed(world: World, name: str, number: int) -> int:
    """Boards that run a release, and can prove it: what is current is read."""
    found = 0
    for each in range(world.boards):
        status, home = _status(world.folder, each), _home(world.folder, each)
        contract.read_files(home / "state" / slots.CURRENT)
        assert (home / "opt/venv/bin/python").read_text()
        told = status.software if name == SOFTWARE else status
        found += told.installed == number and not told.stage
    return found


@contextmanager
def _world(folder: Path, boards: int) -> Iterator[World]:
    folder.mkdir(exist_ok=True)
    os.environ["FLEET_PASSPHRASE"] = ""
    with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("spawn")) as pool:
        public = folder / "fleet" / "public"
        with (
            serving(public) as server,
            telling(folder, boards, lambda each: _status(folder, each)) as listed,
        ):
            world = World(folder, boards, server, listed, pool)
            assert world.command("init") == 0
            _make_boards(world)
            yield world


def _make_boards(world: World) -> None:
    """All alike, with a bundle that is confirmed; files that never change are shared."""
    first = _home(world.folder, 0)
    board = Board(first, world.server.url, Fleet(world.fleet).root(1).read_bytes())
    slots._tested = lambda loaded, load_timeout_s: "a stand-in"
    slots.install(TAR, board.slots)
    lay_out(board)
    for each in range(1, world.boards):
        shutil.copytree(first, _home(world.folder, each), symlinks=True, copy_function=_shared)


def _shared(source: str, copy: str) -> None:
    """Bundles are never changed in place; settings are."""
    if f"/{slots.SLOTS}/" in source:
        os.link(source, copy)
    else:
        shutil.copy2(source, copy)


def _home(folder: Path, number: int) -> Path:
    return folder / "boards" / f"{number:05}"


def _id(number: int) -> str:
    return f"board-{number:05}"


def _status(folder: Path, number: int) -> UpdateStatus:
    return read(UpdateStatus, _home(folder, number) / "state" / "updates" / STATUS_FILE)
