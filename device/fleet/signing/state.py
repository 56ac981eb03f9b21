"""What is signed in the folder now, each signature compared with who may sign.

The newest metadata of each role counts, also if `snapshot` does not name it yet: that is how a
maker without the publisher's keys hands on a release, and how a command goes on that was killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Delegations, Key, Metadata, Role, Root, Signed, Snapshot, Targets
from tuf.api.metadata import Timestamp as TimestampRole
from tuf.api.serialization import DeserializationError

from device.errors import one_line
from device.fleet.errors import FleetError
from device.fleet.signing.folder import Fleet, all_versions
from device.fleet.signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP, now

Kind = TypeVar("Kind", Root, Snapshot, TimestampRole, Targets)


@dataclass
class State:
    """The signed metadata of a fleet."""

    root: Metadata[Root]
    roles: dict[str, Metadata[Targets]]
    """`targets` and those that it names."""
    snapshot: Metadata[Snapshot] | None = None
    """None if there is none that was signed by who may."""
    timestamp: Metadata[TimestampRole] | None = None
    versions: Mapping[str, int] = field(default_factory=dict)
    """The highest version of each role on the disk; a higher one never replaces a file."""

    @property
    def targets(self) -> Targets:
        """Who may sign which releases."""
        return self.roles[TARGETS].signed

    @property
    def delegations(self) -> Delegations:
        """The keys and roles that `targets` names."""
        if self.targets.delegations is None:
            self.targets.delegations = Delegations(keys={}, roles={})
        return self.targets.delegations

    def role(self, name: str) -> Role:
        """The record of who may sign as a role.

        Raises:
            FleetError: if there is no such role.
        """
        found = self.root.signed.roles.get(name) or (self.delegations.roles or {}).get(name)
        if found is None:
            known = ", ".join(self.names())
            raise FleetError(f"no role is called {name!r}; there are {known}")
        return found

    def keys(self, name: str) -> list[Key]:
        """The public keys of a role.

        Raises:
            FleetError: if there is no such role.
        """
        known = self.root.signed.keys if name in TOP else self.delegations.keys
        return [known[keyid] for keyid in self.role(name).keyids]

    def names(self) -> list[str]:
        """All roles, root first."""
        return [*TOP, *(self.delegations.roles or {})]

    def signed(self, name: str) -> Signed | None:
        """The metadata of a role; None if there is none that counts."""
        tops: dict[str, Metadata[Root] | Metadata[Snapshot] | Metadata[TimestampRole] | None] = {
            ROOT: self.root,
            SNAPSHOT: self.snapshot,
            TIMESTAMP: self.timestamp,
        }
        found = tops[name] if name in tops else self.roles.get(name)
        return found.signed if found is not None else None

    def is_complete(self) -> bool:
        """Whether boards are offered all that is signed."""
        if self.snapshot is None or self.timestamp is None:
            return False
        listed = {name: meta.version for name, meta in self.snapshot.signed.meta.items()}
        return listed == {f"{name}.json": each.signed.version for name, each in self.roles.items()}

    def check_expired(self, *names: str) -> None:
        """Say how a role that has expired is signed again.

        Raises:
            FleetError: if one has.
        """
        for name in names:
            found = self.signed(name)
            if found is not None and found.expires <= now():
                raise FleetError(
                    f"{name} expired on {found.expires:%d %B %Y}, so boards refuse all that is "
                    f"new: sign it again with `make fleet-renew ROLE={name}`"
                )


def read(fleet: Fleet) -> State:
    """What is signed now.

    Raises:
        FleetError: if something is missing, damaged, or signed by another key.
    """
    if not fleet.timestamp.exists():
        raise FleetError(f"{fleet.path} holds no releases: make the folder with `make fleet-init`")
    versions = {role: max(numbers) for role, numbers in all_versions(fleet).items()}
    root = _read_root(fleet, versions.get(ROOT, 0))
    timestamp = _verified(root, TIMESTAMP, fleet.timestamp, TimestampRole)
    versions[TIMESTAMP] = _version(fleet.timestamp)
    number = timestamp.signed.snapshot_meta.version if timestamp else versions.get(SNAPSHOT, 0)
    path = fleet.metadata / f"{number}.{SNAPSHOT}.json"
    snapshot = _verified(root, SNAPSHOT, path, Snapshot)
    listed = {}
    if snapshot is not None:
        named = snapshot.signed.meta.items()
        listed = {name.removesuffix(".json"): meta.version for name, meta in named}
    return State(root, _read_roles(fleet, root, versions, listed), snapshot, timestamp, versions)


def _version(path: Path) -> int:
    """The version that metadata has, whoever signed it; 0 if it is damaged."""
    try:
        found: Metadata[TimestampRole] = Metadata.from_bytes(path.read_bytes())
    except DeserializationError:
        return 0
    return found.signed.version


def _read_root(fleet: Fleet, newest: int) -> Metadata[Root]:
    """The newest root, after each was compared with the keys of the one before."""
    trusted: Metadata[Root] | None = None
    for version in range(1, newest + 1):
        path = fleet.root(version)
        found: Metadata[Root] = load(path, Root)
        for judge in (trusted or found, found):
            _verify(judge.signed, ROOT, found, path)
        trusted = found
    if trusted is None:
        raise FleetError(f"{fleet.root(1)}: missing; copy it back from what boards have")
    return trusted


def _read_roles(
    fleet: Fleet, root: Metadata[Root], newest: Mapping[str, int], listed: Mapping[str, int]
) -> dict[str, Metadata[Targets]]:
    """The newest of each role if they fit together; else those that snapshot names."""
    try:
        return _roles(fleet, root, newest)
    except FleetError:
        # A change of keys that was cut short is given up.
        if not listed or listed == newest:
            raise
    return _roles(fleet, root, listed)


def _roles(
    fleet: Fleet, root: Metadata[Root], versions: Mapping[str, int]
) -> dict[str, Metadata[Targets]]:
    found: dict[str, Metadata[Targets]] = {}

    def add(name: str, judge: Root | Targets) -> None:
        path = fleet.metadata / f"{versions.get(name, 0)}.{name}.json"
        found[name] = load(path, Targets)
        _verify(judge, name, found[name], path)

    add(TARGETS, root.signed)
    delegations = found[TARGETS].signed.delegations
    for name in (delegations.roles if delegations else None) or {}:
        add(name, found[TARGETS].signed)
    return found


def _verified(
    root: Metadata[Root], name: str, path: Path, kind: type[Kind]
) -> Metadata[Kind] | None:
    """Metadata that can be signed again at any time: None if it does not count."""
    try:
        found = load(path, kind)
        _verify(root.signed, name, found, path)
    except FleetError:
        return None
    return found


def load(path: Path, kind: type[Kind]) -> Metadata[Kind]:
    """Read metadata, whoever signed it.

    Raises:
        FleetError: if it is missing, damaged, or of another kind.
    """
    try:
        found: Metadata[Kind] = Metadata.from_bytes(path.read_bytes())
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; copy it back from what is served") from error
    except DeserializationError as error:
        raise FleetError(f"{path}: damaged; copy it back from what is served") from error
    if not isinstance(found.signed, kind):
        raise FleetError(f"{path}: it is of another role; copy it back from what is served")
    return found


def _verify(judge: Root | Targets, name: str, found: Metadata[Kind], path: Path) -> None:
    try:
        judge.verify_delegate(name, found.signed_bytes, found.signatures)
    except (RepositoryError, ValueError) as error:
        raise FleetError(
            f"{path}: not signed by who may ({one_line(error)}); copy it back from what is served"
        ) from error
