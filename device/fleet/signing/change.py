"""One change of what is signed: all of it is signed in memory first, then written in an order.

Files come first, then the roles that name them, `snapshot`, `timestamp`, and a new root last. Each
step leaves a whole repository on the disk, and giving the same command again goes on from there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets
from tuf.api.metadata import Timestamp as TimestampRole

from device.contract.release.naming import SIGNED_FIELD
from device.files import replacing
from device.fleet.errors import FleetError
from device.fleet.signing.folder import PUBLIC_FILE, Fleet, make_folder, write_public
from device.fleet.signing.keys import Keyring
from device.fleet.signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, expiry, is_due, now
from device.fleet.signing.state import State

COPY_BYTES = 1024 * 1024
HASH = "sha256"

Kind = TypeVar("Kind", Root, Snapshot, TimestampRole, Targets)


@dataclass(frozen=True)
class Write:
    """A file to write: its path, and its bytes or the file that has them."""

    path: Path
    data: bytes | Path

    def run(self) -> None:
        """Write it, or leave what was there."""
        if isinstance(self.data, bytes):
            write_public(self.path, self.data)
            return
        make_folder(self.path.parent)
        with (
            replacing(self.path, mode=PUBLIC_FILE, durable=True) as part,
            self.data.open("rb") as source,
            part.open("wb") as copy,
        ):
            while block := source.read(COPY_BYTES):
                copy.write(block)


class Change:
    """What is to be signed and written."""

    def __init__(self, fleet: Fleet, keyring: Keyring, state: State) -> None:
        """Begin with what is signed now."""
        self.fleet, self.keyring, self.state = fleet, keyring, state
        self.files: list[Write] = []
        self._changed: set[str] = set()
        self._also: dict[str, list[CryptoSigner]] = {}

    def touch(self, role: str, also: Sequence[CryptoSigner] = ()) -> None:
        """Sign a role again.

        Args:
            role: which.
            also: keys that sign besides those of the role, for boards that know only these.
        """
        self._changed.add(role)
        self._also.setdefault(role, []).extend(also)

    def add_file(self, role: str, target: str, data: bytes | Path) -> None:
        """Let a role sign a file.

        Raises:
            OSError: if it cannot be read.
        """
        if isinstance(data, bytes):
            signed = TargetFile.from_data(target, data, [HASH])
        else:
            signed = TargetFile.from_file(target, str(data), [HASH])
        self.state.roles[role].signed.targets[target] = signed
        path = self.fleet.targets / signed.get_prefixed_paths()[0]
        if not path.exists():
            # A name with a hash was written as a whole.
            self.files.append(Write(path, data))
        self.touch(role)

    @property
    def can_finish(self) -> bool:
        """Whether the publisher's keys are here, without which boards are not told."""
        state = self.state
        return all(
            self.keyring.has(state.keys(role), state.role(role).threshold)
            for role in (SNAPSHOT, TIMESTAMP)
        )

    def write(self) -> None:
        """Sign everything, then write it.

        Raises:
            FleetError: if a key is missing or does not open; nothing was written then.
            OSError: if the disk refuses.
        """
        for each in [*self.files, *self._signed()]:
            each.run()

    def _signed(self) -> list[Write]:
        roles = sorted(self._changed & set(self.state.roles) - {TARGETS})
        if TARGETS in self._changed:
            roles.append(TARGETS)
        signed = [self._sign(self.state.roles[role], role) for role in roles]
        if self.can_finish:
            signed += self._publisher(signed)
        elif self._changed & {SNAPSHOT, TIMESTAMP} or self._changed > {ROOT}:
            # A root with other keys for what is not signed again would lock boards out.
            self._require_publisher()
        if ROOT in self._changed:
            signed.append(self._sign(self.state.root, ROOT))
        return signed

    def _require_publisher(self) -> None:
        for role in (SNAPSHOT, TIMESTAMP):
            self.keyring.signers(role, self.state.keys(role), self.state.role(role).threshold)
        raise FleetError("the publisher's keys are not here")

    def _publisher(self, signed: Sequence[Write]) -> Iterator[Write]:
        """A new timestamp, and a new snapshot if it differs or is due."""
        state = self.state
        old = state.snapshot
        fresh = {write.path.name: write.data for write in signed}
        if old is None or not state.is_complete() or is_due(SNAPSHOT, old.signed.expires):
            self.touch(SNAPSHOT)
        if signed or SNAPSHOT in self._changed:
            state.snapshot = Metadata(Snapshot(meta=dict(self._listed(fresh))))
            yield self._sign(state.snapshot, SNAPSHOT)
        state.timestamp = Metadata(TimestampRole(snapshot_meta=self._snapshot_record()))
        yield self._sign(state.timestamp, TIMESTAMP)

    def _listed(self, fresh: dict[str, bytes | Path]) -> Iterator[tuple[str, MetaFile]]:
        for name, each in self.state.roles.items():
            file = f"{each.signed.version}.{name}.json"
            data = fresh.get(file) or (self.fleet.metadata / file).read_bytes()
            assert isinstance(data, bytes)
            yield f"{name}.json", MetaFile.from_data(each.signed.version, data, [HASH])

    def _snapshot_record(self) -> MetaFile:
        assert self.state.snapshot is not None
        signed = self.state.snapshot
        return MetaFile.from_data(signed.signed.version, signed.to_bytes(), [HASH])

    def _sign(self, metadata: Metadata[Kind], role: str) -> Write:
        signed = metadata.signed
        signed.version = self.state.versions.get(role, 0) + 1
        signed.expires = expiry(role)
        signed.unrecognized_fields[SIGNED_FIELD] = int(now().timestamp())
        metadata.signatures.clear()
        own: list[CryptoSigner] = self.keyring.signers(
            role, self.state.keys(role), self.state.role(role).threshold
        )
        for signer in [*own, *self._also.get(role, [])]:
            metadata.sign(signer, append=True)
        return Write(self._path(role, signed.version), metadata.to_bytes())

    def _path(self, role: str, version: int) -> Path:
        if role == TIMESTAMP:
            return self.fleet.timestamp
        return self.fleet.metadata / f"{version}.{role}.json"
