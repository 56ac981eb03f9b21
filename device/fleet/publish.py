"""A bundle becomes a signed release."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device.contract import bundle
from device.contract.release.naming import role_of
from device.fleet import init, releases
from device.fleet.releases import Part, Published
from device.fleet.signing.change import Change
from device.fleet.signing.roles import ROOT, TARGETS


@dataclass(frozen=True)
class Plan:
    """A release that is to be."""

    name: str
    number: int
    about: str
    parts: Sequence[Part]
    known: int
    """The number of the newest release if it has the same files; else 0."""
    role: str
    """Who signs it."""
    new_role: bool
    """Whether the role is new, so that `targets` must sign it, too."""

    @property
    def sent_bytes(self) -> int:
        """What all its files weigh, as they are sent."""
        return sum(part.sent_bytes for part in self.parts)


def plan(change: Change, path: Path, name: str) -> Plan:
    """Read a bundle and say what it will become.

    Args:
        change: of the fleet.
        path: the bundle, a folder or a tar.
        name: of the releases.

    Raises:
        FieldguideError: if the bundle is not whole, the name is not allowed, or a role expired.
    """
    change.state.check_expired(ROOT, TARGETS)
    files = bundle.read_files(path)
    loaded = bundle.from_files(files)
    number = releases.next_number(change.fleet, change.state, name)
    parts = [releases.packed_part(name, number, file, data) for file, data in files.items()]
    commit = str(loaded.manifest.get("commit", "unknown"))[:12]
    known = releases.same_as_newest(change.state, name, number, parts)
    role = role_of(name)
    new = role not in change.state.roles
    return Plan(name, number, f"{loaded.name}, commit {commit}", parts, known, role, new)


def publish(change: Change, planned: Plan, secret: str) -> Published:
    """Sign and write a release, or finish one that was cut short.

    Args:
        change: for which it was planned.
        planned: what to do.
        secret: the passphrase of the keys of a new role; empty: none.

    Raises:
        FleetError: if a key is missing or does not open; nothing was written then.
        OSError: if the disk refuses.
    """
    if planned.known:
        if not change.state.is_complete() and change.can_finish:
            change.write()
        return Published(planned.known, False, planned.sent_bytes)
    if planned.new_role:
        _add_role(change, planned.name, secret)
    done = releases.add(change, planned.name, planned.about, planned.parts, planned.number)
    change.write()
    return done


def _add_role(change: Change, name: str, secret: str) -> None:
    # Before a new key is made, which nothing would name.
    state = change.state
    change.keyring.signers(TARGETS, state.keys(TARGETS), state.role(TARGETS).threshold)
    change.keyring.remember(init.add_releases(state, change.fleet.keys, name, secret))
    change.touch(TARGETS)
