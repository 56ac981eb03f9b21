"""Installs what was fetched, waits until the service has confirmed it, or goes back.

This runs as the service's user, without the network. It trusts nothing of what the process with
the network left: all of it is verified again, with metadata of its own. One call of `step` does
what can be done now; a kill at any point is made up for by the next one. A release that led back is
never taken again, nor is one of a lower number.
"""

import hashlib
import time
from dataclasses import replace
from pathlib import Path

from device.contract import bundle
from device.contract.release.packing import unpack
from device.contract.release.record import Release
from device.errors import BundleError, FieldguideError, UpdateError, one_line
from device.settings.address import safe
from device.telemetry.updates import Health
from device.update import offer, slots, watch
from device.update.asked import Asked
from device.update.state import BACK, IDLE, INSTALLING, TRIAL, WATCH, Progress
from device.update.trust import floor
from device.update.trust.fetch import METADATA, TARGETS, Wanted
from device.update.trust.floor import Clocks
from device.update.trust.regular import read_regular
from device.update.trust.trusted import Fetched, Trusted

MOST_ATTEMPTS = 3
"""A release that was begun so often and never became current has failed: it may crash the board."""
MOST_FAILED = 20
"""So many are told; that none is taken again follows from `Progress.taken`."""
BLOCK_BYTES = 64 * 1024
NOT_CONFIRMED = "what runs is not confirmed yet: a board on trial takes nothing"


class Board:
    """The board's slots, and where releases come from."""

    def __init__(
        self, root: Path, fetched: Path, own: Path, clocks: Clocks, load_timeout_s: float
    ) -> None:
        """Touch nothing yet.

        Args:
            root: of the slots.
            fetched: what the process with the network keeps.
            own: a folder for what is verified here.
            clocks: of the board.
            load_timeout_s: limit for the self-test, as the service has it.
        """
        self.root, self.fetched, self.own, self.clocks = root, fetched, own, clocks
        self.load_timeout_s = load_timeout_s

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

    def files(self, trusted: Trusted, found: Release) -> dict[str, bytes]:
        """The bundle of a release.

        Raises:
            FieldguideError: if a file is missing or damaged, or it is no whole bundle.
        """
        unpacked: dict[str, bytes] = {}
        for file, wanted in offer.wanted(trusted, found):
            data = self.get(wanted)
            unpacked[file.name] = _unpacked(data, file.bytes) if file.packed else data

        def read(name: str, most_bytes: int) -> bytes:
            if name not in unpacked or len(unpacked[name]) > most_bytes:
                raise BundleError(f"{found.id}: {name} is missing")
            return unpacked[name]

        return bundle.checked_files(read)

    def current(self) -> slots.Slot | None:
        """The slot that is current; None if there is none."""
        return next((slot for slot in slots.status(self.root) if slot.current), None)

    def is_confirmed(self) -> bool:
        """Whether what is current was seen working."""
        name = slots.named(self.root, slots.CURRENT)
        return bool(name) and name == slots.named(self.root, slots.CONFIRMED)


def step(progress: Progress, board: Board, health: Health) -> Progress:
    """Do what can be done now about a stage that goes on; nothing if there is none.

    Args:
        progress: with its `uptime` as of now.
        board: where.
        health: of the service.

    Raises:
        FieldguideError: if slots or files do not allow it now.
        OSError: likewise.
    """
    if progress.stage == INSTALLING:
        return _resumed(progress, board)
    if progress.stage == BACK:
        return _gone_back(progress, board)
    if progress.stage in (TRIAL, WATCH):
        return _judged(progress, board, health)
    return progress


def _unpacked(data: bytes, length_bytes: int) -> bytes:
    out = bytearray()
    blocks = (data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES))
    unpack(blocks, length_bytes, out.extend)
    return bytes(out)


def prepared(progress: Progress, attempts: int, files: dict[str, bytes]) -> Progress:
    """The state to keep before a release is written.

    Args:
        progress: with the release.
        attempts: how often it was begun before.
        files: of its bundle.
    """
    digest = bundle.parse_manifest(files[bundle.MANIFEST])["manifest_sha256"]
    return replace(
        progress,
        stage=INSTALLING,
        digest=digest,
        attempts=attempts + 1,
        began_s=progress.uptime.total_s,
        served_s=0.0,
    )


def install(progress: Progress, board: Board, files: dict[str, bytes]) -> Progress:
    """Put the release of an INSTALLING stage on trial; what does not work here has failed.

    Raises:
        FieldguideError: if the slots do not allow it now.
    """
    if progress.attempts > MOST_ATTEMPTS:
        return failed(progress, f"begun {MOST_ATTEMPTS} times without an end")
    try:
        done = slots.install_files(
            files, board.root, trial=True, load_timeout_s=board.load_timeout_s
        )
    except FieldguideError as error:
        if isinstance(error, BundleError) or isinstance(error.__cause__, BundleError):
            return failed(progress, one_line(error))
        # The disk is full, or somebody else is installing: it is tried again.
        raise
    if not done.changed and board.is_confirmed():
        # The same bundle under another number.
        return _applied(progress)
    return replace(_begun(progress, TRIAL), taken=progress.release)


def failed(progress: Progress, reason: str) -> Progress:
    """Remember that a release did not work; it is never taken again."""
    told = f"{progress.release}: {safe(reason)}"
    return replace(
        _begun(progress, IDLE),
        taken=max(progress.taken, progress.release),
        failed=(*progress.failed, told)[-MOST_FAILED:],
    )


def _begun(progress: Progress, stage: str) -> Progress:
    now_s = progress.uptime.total_s
    return replace(progress, stage=stage, began_s=now_s, served_s=0.0, attempts=0, problem="")


def _applied(progress: Progress) -> Progress:
    number = progress.release
    return replace(_begun(progress, IDLE), taken=number, applied=number)


def _resumed(progress: Progress, board: Board) -> Progress:
    """After a kill while it was written: on trial if that was done, else to be tried again."""
    if _holds(progress, board):
        return replace(_begun(progress, TRIAL), taken=progress.release)
    if progress.attempts >= MOST_ATTEMPTS:
        return failed(progress, f"begun {MOST_ATTEMPTS} times without an end")
    return replace(progress, stage=IDLE)


def _judged(progress: Progress, board: Board, health: Health) -> Progress:
    """Confirmed, over, or back."""
    slot = board.current()
    if slot is None or slot.bundle is None or not _holds(progress, board):
        # A person or a deployment has put something else there, which is theirs to judge.
        return replace(_begun(progress, IDLE), problem="")
    runs = health.model_sha256 == slot.bundle.manifest["files"][bundle.MODEL]["sha256"]
    if progress.stage == TRIAL:
        if board.is_confirmed():
            begun = _begun(progress, WATCH)
            return replace(begun, applied=progress.release, returns_to=progress.applied)
        fault = watch.trial_fault(progress, health, runs)
    else:
        if progress.uptime.total_s - progress.began_s > watch.WATCH_S:
            return _begun(progress, IDLE)
        fault = watch.watch_fault(progress, health) if runs else ""
        if fault:
            progress = replace(progress, applied=progress.returns_to)
    if fault:
        return replace(failed(progress, fault), stage=BACK, served_s=0.0)
    return progress


def _gone_back(progress: Progress, board: Board) -> Progress:
    """Return to the release before, unless that was done before a kill."""
    if _holds(progress, board):
        if board.is_confirmed():
            slots.rollback(board.root)
        else:
            slots.revert(board.root)
    return _begun(progress, IDLE)


def _holds(progress: Progress, board: Board) -> bool:
    """Whether the stage's release is current."""
    slot = board.current()
    found = slot.bundle if slot else None
    return found is not None and found.manifest["manifest_sha256"] == progress.digest


def is_hour(hours: tuple[int, int], hour: int) -> bool:
    """Whether an hour of the day lies between two, perhaps over midnight."""
    begin, end = hours
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def local_hour(clocks: Clocks) -> int:
    """The hour of the board's clock and zone."""
    return time.localtime(clocks.unix_s()).tm_hour
