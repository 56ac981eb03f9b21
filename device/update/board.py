"""What is verified of fetched files, and the slots that a model's release is installed in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device.contract import bundle
from device.contract.release.packing import unpack
from device.contract.release.record import Release
from device.errors import BundleError, UpdateError
from device.telemetry.updates import Health
from device.update import offer, slots, watch
from device.update.apply import Prepared
from device.update.asked import Asked
from device.update.state import TRIAL, Progress
from device.update.trust import floor
from device.update.trust.fetch import METADATA, TARGETS, Wanted
from device.update.trust.floor import Clocks
from device.update.trust.regular import read_regular
from device.update.trust.trusted import Fetched, Trusted

BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Source:
    """Where releases come from: what the process with the network has left, verified again."""

    fetched: Path
    """What the process with the network keeps."""
    own: Path
    """A folder for what is verified here."""
    clocks: Clocks

    def verified(self, asked: Asked, floor_s: float) -> tuple[Trusted, float]:
        """What was fetched, verified here, and the floor after it.

        Raises:
            UpdateError: if it is not what was signed.
            OSError: if the disk refuses.
        """
        now = floor.moment(floor_s, self.clocks)
        if asked.require_time and not now.verified:
            raise UpdateError("waits for a time server: update.require_time says so")
        root = Path(asked.root).read_bytes()
        source = Fetched(self.fetched / METADATA)
        trusted = Trusted(self.own / METADATA, root, source, now.time)
        trusted.refresh()
        return trusted, floor.raised(floor_s, self.clocks, trusted.signed_s())

    def has_metadata(self) -> bool:
        """Whether anything was fetched yet."""
        return (self.fetched / METADATA / "timestamp.json").exists()

    def get(self, wanted: Wanted) -> bytes:
        """A fetched file, compared with what was signed.

        Raises:
            UpdateError: if it is not there, or not that.
        """
        data = read_regular(self.fetched / TARGETS / wanted.sha256, wanted.size_bytes)
        if len(data) != wanted.size_bytes or hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise UpdateError(f"{wanted.name}: not what was signed")
        return data


@dataclass(frozen=True)
class Board:
    """The board's slots, as `device.update.apply.Place` wants them."""

    root: Path
    source: Source
    load_timeout_s: float
    """Limit for the self-test, as the service has it."""

    def prepared(self, trusted: Trusted, found: Release) -> Prepared:
        """The bundle of a release, verified and in memory.

        Raises:
            FieldguideError: if a file is missing or damaged, or it is no whole bundle.
        """
        files = self._files(trusted, found)
        digest = bundle.parse_manifest(files[bundle.MANIFEST])["manifest_sha256"]
        return Prepared(digest, lambda: self._install(files))

    def holds(self, digest: str) -> bool:
        """Whether the bundle with this manifest is current."""
        found = self._current()
        return found is not None and found.manifest["manifest_sha256"] == digest

    def is_confirmed(self) -> bool:
        """Whether what is current was seen working."""
        return is_confirmed(self.root)

    def works(self, progress: Progress, health: Health) -> bool:
        """The service itself confirms a bundle."""
        return self.is_confirmed()

    def fault(self, progress: Progress, health: Health) -> str:
        """Why the release must go; empty if it need not."""
        found = self._current()
        model = found.manifest["files"][bundle.MODEL]["sha256"] if found else ""
        runs = health.model_sha256 == model
        if progress.stage == TRIAL:
            return watch.trial_fault(progress, health, runs)
        return watch.watch_fault(progress, health) if runs else ""

    def go_back(self) -> None:
        """Return to the bundle before."""
        if self.is_confirmed():
            slots.rollback(self.root)
        else:
            slots.revert(self.root)

    def keep(self) -> None:
        """A confirmed slot is what is gone back to already."""

    def _install(self, files: Mapping[str, bytes]) -> bool:
        limit_s = self.load_timeout_s
        return slots.install_files(files, self.root, trial=True, load_timeout_s=limit_s).changed

    def _files(self, trusted: Trusted, found: Release) -> dict[str, bytes]:
        unpacked: dict[str, bytes] = {}
        for file, wanted in offer.wanted(trusted, found):
            data = self.source.get(wanted)
            unpacked[file.name] = _unpacked(data, file.bytes) if file.packed else data

        def read(name: str, most_bytes: int) -> bytes:
            if name not in unpacked or len(unpacked[name]) > most_bytes:
                raise BundleError(f"{found.id}: {name} is missing")
            return unpacked[name]

        return bundle.checked_files(read)

    def _current(self) -> bundle.Bundle | None:
        return next((slot.bundle for slot in slots.status(self.root) if slot.current), None)


def is_confirmed(root: Path) -> bool:
    """Whether the slot that is current was seen working.

    Args:
        root: of the slots.
    """
    name = slots.named(root, slots.CURRENT)
    return bool(name) and name == slots.named(root, slots.CONFIRMED)


def _unpacked(data: bytes, length_bytes: int) -> bytes:
    out = bytearray()
    blocks = (data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES))
    unpack(blocks, length_bytes, out.extend)
    return bytes(out)
