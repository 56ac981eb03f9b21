"""Releases that are signed: their numbers, and adding one."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from device.contract.release import rollout
from device.contract.release.naming import (
    PACKED,
    RECORD_FILE,
    ROLLOUT_ROLE,
    ROLLOUT_TARGET,
    is_name,
    release_id,
    role_of,
    target_of,
)
from device.contract.release.packing import pack
from device.contract.release.record import (
    MAX_ABOUT,
    MAX_BYTES,
    MAX_FILES,
    Release,
    ReleaseFile,
    record_target,
)
from device.contract.release.rollout import Rollout
from device.fleet.errors import FleetError
from device.fleet.signing.change import HASH, Change
from device.fleet.signing.folder import Fleet
from device.fleet.signing.state import State

KEPT = 20
"""Releases of a name that stay signed, besides those that boards are offered."""
WORTH = 0.95
"""A file is sent compressed if that makes it so much smaller."""


@dataclass(frozen=True)
class Part:
    """A file that a release is to have."""

    file: ReleaseFile
    data: bytes | Path
    """What is sent: packed or not."""

    @property
    def sent_bytes(self) -> int:
        """Its length."""
        return len(self.data) if isinstance(self.data, bytes) else self.data.stat().st_size


@dataclass(frozen=True)
class Published:
    """What a release became."""

    number: int
    new: bool
    """False if the newest release had the same files already."""
    sent_bytes: int
    """What a board downloads at most."""


def numbers(state: State, name: str) -> list[int]:
    """The numbers of a name's signed releases, lowest first."""
    role = state.roles.get(role_of(name))
    targets = role.signed.targets if role else {}
    parts = [target.split("/") for target in targets]
    return sorted(int(part[1]) for part in parts if part[2:] == [RECORD_FILE])


def next_number(fleet: Fleet, state: State, name: str) -> int:
    """The number that the next release gets: higher than any that was signed or offered."""
    return max([0, *numbers(state, name), *_offered(fleet, state, name)]) + 1


def packed_part(name: str, number: int, file: str, data: bytes) -> Part:
    """A file of a release, compressed if that is worth it.

    Raises:
        ReleaseError: if it cannot have this name.
    """
    target, small = target_of(name, number, file), pack(data)
    if len(small) < len(data) * WORTH:
        return Part(ReleaseFile(file, target + PACKED, len(data)), small)
    return Part(ReleaseFile(file, target, len(data)), data)


def add(change: Change, name: str, about: str, parts: Sequence[Part], number: int) -> Published:
    """Let the role of a name sign a release.

    Args:
        change: what it becomes a part of.
        name: of the releases.
        about: for people.
        parts: its files.
        number: what `next_number` says.

    Raises:
        FleetError: if it is too large to be one.
        OSError: if a file cannot be read.
    """
    role = role_of(name)
    record = Release(name, number, about[:MAX_ABOUT], tuple(part.file for part in parts))
    data = record.to_json()
    if len(parts) > MAX_FILES or len(data) > MAX_BYTES:
        raise FleetError(f"{record.id}: more than {MAX_FILES} files, or too long a list")
    for part in parts:
        change.add_file(role, part.file.target, part.data)
    change.add_file(role, record_target(name, number), data)
    _forget_old(change, name)
    signed = change.state.roles[role].signed.targets
    sent = sum(signed[part.file.target].length for part in parts) + len(data)
    return Published(number, True, sent)


def same_as_newest(state: State, name: str, number: int, parts: Sequence[Part]) -> int:
    """The number of the newest release if it has the same files; else 0.

    Args:
        state: what is signed.
        name: of the releases.
        number: the one for which the parts were made.
        parts: of the release that is to be.
    """
    known = numbers(state, name)
    if not known:
        return 0
    begins = f"{release_id(name, known[-1])}/"
    signed = state.roles[role_of(name)].signed.targets
    newest = {t: each.hashes[HASH] for t, each in signed.items() if t.startswith(begins)}
    newest.pop(record_target(name, known[-1]))
    own = f"{release_id(name, number)}/"
    asked = {part.file.target: hash_of(part.data) for part in parts}
    as_newest = {t.replace(own, begins): each for t, each in asked.items() if t.startswith(own)}
    shared = {t: each for t, each in asked.items() if not t.startswith(own)}
    there = all(t in signed and signed[t].hashes[HASH] == each for t, each in shared.items())
    return known[-1] if there and newest == as_newest else 0


def hash_of(data: bytes | Path) -> str:
    """The SHA-256 of bytes or of a file, in hexadecimal.

    Raises:
        OSError: if it cannot be read.
    """
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, HASH).hexdigest()


def read_rollout(fleet: Fleet, state: State) -> Rollout:
    """What boards are offered.

    Raises:
        FieldguideError: if the signed file is missing or damaged.
    """
    signed = state.roles[ROLLOUT_ROLE].signed.targets[ROLLOUT_TARGET]
    path = fleet.targets / signed.get_prefixed_paths()[0]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; copy it back from what is served") from error
    if hash_of(data) != signed.hashes[HASH]:
        raise FleetError(f"{path}: damaged; copy it back from what is served")
    return rollout.parse(data)


def waiting(state: State, offered: Rollout) -> Iterator[str]:
    """The newest release of each name, where no group has a stage for it yet."""
    for role, signed in sorted(state.roles.items()):
        names = {target.partition("/")[0] for target in signed.signed.targets}
        for name in sorted(each for each in names if is_name(each) and role_of(each) == role):
            newest = max(numbers(state, name), default=0)
            staged = [each[name].release for each in offered.groups.values() if name in each]
            if newest > max(staged, default=0):
                yield release_id(name, newest)


def _offered(fleet: Fleet, state: State, name: str) -> set[int]:
    """The numbers of all releases of a name that any group is offered."""
    stages = [each[name] for each in read_rollout(fleet, state).groups.values() if name in each]
    return {number for stage in stages for number in (stage.release, stage.base)}


def _forget_old(change: Change, name: str) -> None:
    """Sign no longer what nobody is offered; the list of files must not grow for ever."""
    kept = {*numbers(change.state, name)[-KEPT:], *_offered(change.fleet, change.state, name)}
    signed = change.state.roles[role_of(name)].signed
    gone = {release_id(name, number) for number in set(numbers(change.state, name)) - kept}
    signed.targets = {
        target: each
        for target, each in signed.targets.items()
        if target.rpartition("/")[0] not in gone
    }
