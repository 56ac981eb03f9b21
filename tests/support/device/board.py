"""A board in folders, whose clock, service and power a test turns: with the updater's real code."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from device.contract import bundle as contract
from device.contract.release.naming import PACKED, ROLLOUT_ROLE, ROLLOUT_TARGET, role_of
from device.contract.release.packing import pack
from device.contract.release.record import Release, ReleaseFile, record_target
from device.contract.release.rollout import Rollout, Stage
from device.settings.sections import (
    BundleConfig,
    CollectConfig,
    Config,
    InferenceConfig,
    OutputConfig,
)
from device.settings.state import updates_folder
from device.settings.update import UpdateConfig
from device.telemetry.updates import HEALTH_FILE, Health, UpdateStatus, read, write
from device.update import slots
from device.update.asked import Places
from device.update.check import check
from device.update.run import install_pass
from device.update.software.place import MARK
from device.update.software.run import software_pass
from device.update.state import STATE_FILE, Checks, Progress
from device.update.trust.floor import Clocks
from tests.support.device.fleet import SIGNED, Fleet

Files = dict[str, bytes]


@dataclass
class Clock:
    """What a board's clocks say."""

    now: datetime = SIGNED + timedelta(hours=1)
    synchronized: bool = True
    boot_s: float = 1000.0
    boot: int = 1

    def clocks(self, *dated: Path) -> Clocks:
        """As the updater asks them."""
        return Clocks(
            unix_s=lambda: self.now.timestamp(),
            is_synchronized=lambda: self.synchronized,
            dated=dated,
            boot_s=lambda: self.boot_s,
            boot_id=lambda: str(self.boot),
        )

    def pass_by(self, **time: float) -> None:
        """Time goes on."""
        step = timedelta(**time)
        self.now += step
        self.boot_s += step.total_seconds()

    def restart(self) -> None:
        """The power was cut."""
        self.boot += 1
        self.boot_s = 20.0


@dataclass
class Board:
    """Its folders, and what turns them."""

    folder: Path
    url: str
    root: bytes
    clock: Clock = field(default_factory=Clock)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    device: str = "garden-1"
    dated: tuple[Path, ...] = ()
    load_timeout_s: float = 60.0
    runs: str = "deployed"
    """Which software its processes are."""
    before: Callable[[], None] = lambda: None
    """What happens before it asks."""

    def __post_init__(self) -> None:
        for name in ("fetched", "asked", "state", "software"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "root.json").write_bytes(self.root)
        self.settings(enabled=True, url=self.url, name="birds", root=str(self.folder / "root.json"))

    def settings(self, **changes: object) -> None:
        """Other settings of updates."""
        self.update = replace(self.update, **changes)  # type: ignore[arg-type]

    @property
    def config(self) -> Config:
        state = self.slots
        collect = CollectConfig(path=str(state / "collected"))
        return Config(
            bundle=BundleConfig(path=str(state / slots.CURRENT)),
            output=OutputConfig(collect=collect),
            update=self.update,
            inference=InferenceConfig(load_timeout_s=self.load_timeout_s),
        )

    @property
    def slots(self) -> Path:
        return self.folder / "state"

    @property
    def own(self) -> Path:
        return updates_folder(self.config)

    @property
    def places(self) -> Places:
        return Places(
            fetched=self.folder / "fetched",
            asked=self.folder / "asked" / "asked.json",
            software=self.folder / "software",
            installed=self.folder / "opt",
            deploying=self.folder / "deploying",
            run=self.folder / "run",
            runs=self.runs,
        )

    @property
    def checks(self) -> Checks:
        return read(Checks, self.places.fetched / STATE_FILE)

    @property
    def progress(self) -> Progress:
        return read(Progress, self.own / STATE_FILE)

    def fetch(self, *, forced: bool = True) -> Checks:
        """One pass of the process with the network."""
        self.before()
        return check(self.places, self.clock.clocks(*self.dated), forced=forced)

    def install(self) -> UpdateStatus:
        """One pass of the process that installs."""
        clocks = self.clock.clocks(*self.dated)
        return install_pass(self.config, self.device, self.places, clocks)

    def turn(self) -> UpdateStatus:
        """What happens by itself in a while: it is asked, fetched and installed."""
        self.install()
        self.fetch()
        return self.install()

    def install_software(self) -> Progress:
        """One pass of the process that installs software."""
        clocks = self.clock.clocks(*self.dated)
        settings = self.folder / "fieldguide.toml"
        return software_pass(self.config, self.device, settings, self.places, clocks)

    def boots(self) -> Progress:
        """The board starts, and counts that if software is on trial."""
        self.clock.restart()
        clocks = self.clock.clocks(*self.dated)
        settings = self.folder / "fieldguide.toml"
        if not (self.places.installed / MARK).exists():
            return self.software
        return software_pass(self.config, self.device, settings, self.places, clocks, boot=True)

    @property
    def software(self) -> Progress:
        """What is remembered of the software."""
        return read(Progress, self.places.software / STATE_FILE)

    def live(self, link: str = "venv") -> str:
        """The software that a link leads to; it is whole, or this raises."""
        path = self.places.installed / link
        assert (path / "bin/python").exists(), path
        return path.resolve().parent.name

    def running(self) -> Files:
        """The bundle that is current; it loads, or this raises."""
        return contract.read_files(self.slots / slots.CURRENT)

    def serve(self, **told: object) -> Health:
        """The service says how it is; with the model that is current, unless told otherwise."""
        manifest = json.loads(self.running()[contract.MANIFEST])
        model = manifest["files"][contract.MODEL]["sha256"]
        health = Health(model_sha256=model, streaming=True, open=True)
        health = replace(health, **told)  # type: ignore[arg-type]
        self.own.mkdir(exist_ok=True)
        write(self.own / HEALTH_FILE, health)
        return health

    def confirm(self) -> None:
        """As the service does after ten minutes of labels."""
        slots.confirm(self.slots)


packed = cache(pack)
"""Tests publish the same files again and again."""


def release(fleet: Fleet, files: Files, name: str = "birds", number: int = 1) -> None:
    """Sign a bundle as a release; nothing is on the disk before `fleet.publish`."""
    role, targets = role_of(name), []
    for file, data in files.items():
        target = f"{name}/{number}/{file}{PACKED}"
        targets.append(ReleaseFile(file, target, len(data)))
        fleet.add(role, target, packed(data))
    record = Release(name, number, "a test", tuple(targets))
    fleet.add(role, record_target(name, number), record.to_json())


def roll_out(fleet: Fleet, number: int, percent: float = 100, name: str = "birds") -> None:
    """Sign who may have it."""
    rollout = Rollout().with_stage("all", name, Stage(number, percent))
    fleet.add(ROLLOUT_ROLE, ROLLOUT_TARGET, rollout.to_json())


def offer(fleet: Fleet, files: Files, number: int = 1, percent: float = 100) -> None:
    """Publish a release, and let boards have it."""
    release(fleet, files, number=number)
    roll_out(fleet, number, percent)
    fleet.publish("model-birds", "rollout")
