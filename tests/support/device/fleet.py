"""A folder of signed releases, made with python-tuf's own API, that a test can make lie.

Each role's metadata is plain to change, and is signed by whoever the test says. `write` puts it
onto the disk as a publisher would, with consistent snapshots.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from device.contract.release.naming import SIGNED_FIELD

SIGNED = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""When everything is signed unless a test says otherwise."""
LIVES = {
    "root": timedelta(days=730),
    "timestamp": timedelta(days=14),
    "snapshot": timedelta(days=30),
    "rollout": timedelta(days=30),
}
YEAR = timedelta(days=365)
KEYS = {"root": 3, "targets": 2, "software": 2}
"""How many; one for every other role."""
THRESHOLDS = {"root": 2, "software": 2}
DELEGATED = {
    "model-birds": "birds/*/*",
    "model-cats": "cats/*/*",
    "software": "software/*/*",
    "rollout": "rollout.json",
}
"""Roles below targets, and the paths for which each may sign."""


class Fleet:
    """Metadata and keys of every role, and the folder that a server shows."""

    def __init__(self, public: Path, now: datetime = SIGNED) -> None:
        self.public = public
        self.keys = {role: _keys(KEYS.get(role, 1)) for role in (*TOP, *DELEGATED)}
        self.now = now
        self.root = Metadata(Root(expires=self._until("root"), consistent_snapshot=True))
        self.targets = Metadata(Targets(expires=self._until("targets")))
        self.roles = {name: Metadata(Targets(expires=self._until(name))) for name in DELEGATED}
        self.snapshot = Metadata(Snapshot(expires=self._until("snapshot")))
        self.timestamp = Metadata(Timestamp(expires=self._until("timestamp")))
        self.contents: dict[str, bytes] = {}
        """Of targets, by path."""
        for role in TOP:
            self.root.signed.roles[role].threshold = THRESHOLDS.get(role, 1)
            for key in self.keys[role]:
                self.root.signed.add_key(key.public_key, role)
        self._delegate()
        self.write()

    @property
    def first_root(self) -> bytes:
        """What a board is given at the beginning."""
        return (self.public / "metadata/1.root.json").read_bytes()

    def add(self, role: str, path: str, data: bytes, **custom: object) -> None:
        """Sign a file as `role`; nothing is on the disk before `write`."""
        record = TargetFile.from_data(path, data, ["sha256"])
        if custom:
            record.unrecognized_fields["custom"] = custom
        metadata = self.targets if role == "targets" else self.roles[role]
        metadata.signed.targets[path] = record
        self.contents[path] = data

    def next(self, *roles: str) -> None:
        """A newer version of these roles, and of snapshot and timestamp."""
        for role in (*roles, "snapshot", "timestamp"):
            self.metadata(role).signed.version += 1
            self.metadata(role).signed.expires = self._until(role)

    def publish(self, *roles: str) -> None:
        """The same, and onto the disk."""
        self.next(*roles)
        self.write()

    def metadata(self, role: str) -> Any:
        """Of one role."""
        return self.roles[role] if role in self.roles else getattr(self, role)

    def write(self, *, stolen: Mapping[str, Iterable[CryptoSigner]] | None = None) -> None:
        """Sign everything and write it; `stolen` says who signs for a role instead of its keys."""
        signers = {**self.keys, **(stolen or {})}
        files: dict[str, bytes] = {}
        self._sign_root(signers["root"])
        for role in ("targets", *self.roles):
            files |= self._signed(role, signers[role])
        self.snapshot.signed.meta = {
            f"{role}.json": MetaFile(self.metadata(role).signed.version)
            for role in ("targets", *self.roles)
        }
        files |= self._signed("snapshot", signers["snapshot"])
        data = files[f"{self.snapshot.signed.version}.snapshot.json"]
        self.timestamp.signed.snapshot_meta = MetaFile.from_data(
            self.snapshot.signed.version, data, ["sha256"]
        )
        newest = self._signed("timestamp", signers["timestamp"])
        self._put(files | {"timestamp.json": next(iter(newest.values()))})

    def sign(self, role: str, *signers: CryptoSigner) -> bytes:
        """One role's metadata, signed by these."""
        metadata = self.metadata(role)
        metadata.signed.unrecognized_fields[SIGNED_FIELD] = int(self.now.timestamp())
        metadata.signatures.clear()
        for signer in signers:
            metadata.sign(signer, append=True)
        return bytes(metadata.to_bytes())

    def put(self, name: str, data: bytes) -> None:
        """Put one file of metadata onto the disk, whatever it is."""
        path = self.public / "metadata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def rotate(self, role: str) -> list[CryptoSigner]:
        """New keys for a role in the next root, not on the disk yet; returns the old ones."""
        old = self.keys[role]
        self.keys[role] = _keys(len(old))
        for key in old:
            self.root.signed.revoke_key(key.public_key.keyid, role)
        for key in self.keys[role]:
            self.root.signed.add_key(key.public_key, role)
        self.root.signed.version += 1
        return old

    def _delegate(self) -> None:
        delegations = Delegations({}, {})
        for role, paths in DELEGATED.items():
            ids = [key.public_key.keyid for key in self.keys[role]]
            threshold = THRESHOLDS.get(role, 1)
            assert delegations.roles is not None
            delegations.roles[role] = DelegatedRole(
                role, ids, threshold, terminating=True, paths=[paths]
            )
            delegations.keys |= {key.public_key.keyid: key.public_key for key in self.keys[role]}
        self.targets.signed.delegations = delegations

    def _sign_root(self, signers: Iterable[CryptoSigner]) -> None:
        name = f"{self.root.signed.version}.root.json"
        if not (self.public / "metadata" / name).exists():
            self.put(name, self.sign("root", *signers))

    def _signed(self, role: str, signers: Iterable[CryptoSigner]) -> dict[str, bytes]:
        name = f"{self.metadata(role).signed.version}.{role}.json"
        return {name: self.sign(role, *signers)}

    def _put(self, files: Mapping[str, bytes]) -> None:
        for path, data in self.contents.items():
            folder, _, name = path.rpartition("/")
            place = self.public / "targets" / folder
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{hashlib.sha256(data).hexdigest()}.{name}").write_bytes(data)
        for name, data in files.items():
            self.put(name, data)

    def _until(self, role: str) -> datetime:
        return self.now + LIVES.get(role, YEAR)


TOP = ("root", "targets", "snapshot", "timestamp")


def _keys(number: int) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(number)]
