"""The device package becomes a signed release, with all that a board needs to install it offline.

Its own wheel, the lock and the units are files of the release. The wheels of other packages, which
are nearly all of its size, are shared by all releases and named for the boards that need them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from device.contract.release.naming import SOFTWARE, WHEELS, target_of
from device.contract.release.record import ReleaseFile, system_key
from device.deploy.fetch_wheels import Board, fetch, narrowed
from device.fleet import releases
from device.fleet.errors import FleetError
from device.fleet.publish import Plan
from device.fleet.releases import Part, hash_of
from device.fleet.signing.change import HASH, Change
from device.fleet.signing.roles import ROOT, TARGETS

LOCK = "lock.txt"
"""What the lock is called in a release."""


@dataclass(frozen=True)
class Software:
    """What is to be released."""

    wheel: Path
    """The folder with the device package's wheel."""
    lock: Path
    units: Sequence[Path]
    """Files for systemd."""
    boards: Sequence[Board]
    """Systems that it is for."""
    wheels: Path
    """A folder that keeps what was fetched."""


def board_of(text: str) -> Board:
    """A system, from PYTHON-MACHINE-GLIBC such as 3.11.2-aarch64-2.36, which was checked."""
    return Board(*text.split("-"))


def plan(change: Change, software: Software) -> Plan:
    """Fetch what is missing, and say what the release will be.

    Raises:
        FleetError: if there is not one wheel, a shared wheel has changed, or a role expired.
        OSError: if a file cannot be read.
        SystemExit: if a wheel cannot be fetched.
    """
    change.state.check_expired(ROOT, TARGETS)
    number = releases.next_number(change.fleet, change.state, SOFTWARE)
    wheel = _one_wheel(software.wheel)
    own = {LOCK: software.lock, wheel.name: wheel, **{unit.name: unit for unit in software.units}}
    parts = [
        *(_own(number, name, path) for name, path in own.items()),
        *_shared(change, _fetched(software)),
    ]
    known = releases.same_as_newest(change.state, SOFTWARE, number, parts)
    version = wheel.name.split("-")[1]
    return Plan(SOFTWARE, number, f"version {version}", parts, known, SOFTWARE, new_role=False)


def _one_wheel(folder: Path) -> Path:
    found = sorted(folder.glob("*.whl"))
    if len(found) != 1:
        raise FleetError(f"{folder}: {len(found)} wheels instead of one; `make wheel` makes it")
    return found[0]


def _own(number: int, name: str, path: Path) -> Part:
    target = target_of(SOFTWARE, number, name)
    return Part(ReleaseFile(name, target, path.stat().st_size), path)


def _fetched(software: Software) -> Mapping[Path, list[str]]:
    """Wheels of other packages, one file of each name, and the systems that need it."""
    files: dict[str, Path] = {}
    systems: dict[Path, list[str]] = {}
    lock = software.lock.read_text("utf-8")
    software.wheels.mkdir(parents=True, exist_ok=True)
    for board in software.boards:
        folder = fetch(narrowed(lock, board), board, software.wheels)
        for path in sorted(folder.glob("*.whl")):
            file = files.setdefault(path.name, path)
            systems.setdefault(file, []).append(system_key(board.python, board.machine))
    return systems


def _shared(change: Change, wheels: Mapping[Path, Sequence[str]]) -> Iterator[Part]:
    signed = change.state.roles[SOFTWARE].signed.targets
    for path, systems in wheels.items():
        target = f"{WHEELS}/{path.name}"
        if target in signed and signed[target].hashes[HASH] != hash_of(path):
            raise FleetError(
                f"{path.name} has other bytes than in an earlier release, and boards may need "
                "both: lock another version of that package"
            )
        yield Part(ReleaseFile(path.name, target, path.stat().st_size, tuple(systems)), path)
