"""Releases of the software, and a board to try them on: venvs are folders with a file in them."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from device.contract.release.naming import ROLLOUT_ROLE, ROLLOUT_TARGET, WHEELS, target_of
from device.contract.release.record import Release, ReleaseFile, record_target, system_key
from device.contract.release.rollout import Rollout, Stage
from device.telemetry.updates import Health
from device.update.asked import WHEELS_FOLDER
from device.update.offer import LOCK
from device.update.software.releases import CONFIRMED, LIVE, READY, RELEASES
from tests.support.device.board import Board
from tests.support.device.fleet import Fleet

HERE = system_key(platform.python_version(), platform.machine())
SHARED = {"numpy-2.0.0-cp311-manylinux.whl": b"numpy" * 100, "h11-1.0-py3-none-any.whl": b"h11"}
"""Wheels of other packages, by name."""


@dataclass(frozen=True)
class Software:
    """What is in a release."""

    version: str
    shared: Mapping[str, bytes] = field(default_factory=lambda: SHARED)
    system: str = HERE
    lock: str = ""
    """Empty: what fits the wheels."""

    @property
    def own(self) -> dict[str, bytes]:
        """Files of this release alone."""
        wheel = f"fieldguide_device-{self.version}-py3-none-any.whl"
        lock = self.lock or "".join(
            f"{name.split('-')[0]} --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"
            for name, data in self.shared.items()
        )
        return {wheel: self.version.encode(), LOCK: lock.encode(), "fieldguide.service": b"[Unit]"}


def offer_software(fleet: Fleet, software: Software, number: int, percent: float = 100) -> None:
    """Publish it, and let boards have it; offers of other names stay."""
    files = []
    for name, data in software.own.items():
        target = target_of("software", number, name)
        files.append(ReleaseFile(name, target, len(data)))
        fleet.add("software", target, data)
    for name, data in software.shared.items():
        target = f"{WHEELS}/{name}"
        files.append(ReleaseFile(name, target, len(data), (software.system,)))
        fleet.add("software", target, data)
    record = Release("software", number, f"version {software.version}", tuple(files))
    fleet.add("software", record_target("software", number), record.to_json())
    stages = {"software": Stage(number, percent), "birds": Stage(1, 100)}
    rollout = Rollout({"all": stages})
    fleet.add(ROLLOUT_ROLE, ROLLOUT_TARGET, rollout.to_json())
    fleet.publish("software", "rollout")


def lay_out(board: Board, name: str = "deployed") -> None:
    """The board has this software, as `make deploy` leaves it."""
    lay_out_release(board, name)
    for link in (LIVE, CONFIRMED):
        (board.places.installed / link).symlink_to(f"{RELEASES}/{name}/{LIVE}")


def lay_out_release(board: Board, name: str) -> Path:
    """A deployment's release, whole and ready, to which nothing leads; its folder."""
    folder = board.places.installed / RELEASES / name
    make_venv(folder / LIVE, name)
    (folder / READY).touch()
    return folder


def leave_behind(board: Board, name: str = "older") -> None:
    """A deployment's release that nothing leads to any more, but for the wheels that it brought."""
    folder = lay_out_release(board, name)
    (folder / WHEELS_FOLDER).mkdir()
    for wheel, data in SHARED.items():
        (folder / WHEELS_FOLDER / wheel).write_bytes(data)
    link = board.places.installed / WHEELS_FOLDER
    link.unlink(missing_ok=True)
    link.symlink_to(f"{RELEASES}/{name}/{WHEELS_FOLDER}")


def make_venv(venv: Path, version: str) -> None:
    """In place of a real one."""
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").write_text(version)


def start_service(board: Board, **told: object) -> Health:
    """The service is started as what is live; so are the other two processes."""
    board.runs = board.live()
    return board.serve(software=board.live(), boot=board.clock.clocks().boot_id(), **told)
