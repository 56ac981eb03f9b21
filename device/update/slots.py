"""Two slots for bundles: one that is current, and one to put the next in or to go back to.

    root/slots/a, root/slots/b    a bundle folder each
    root/current                  a relative link to one of them: the live one
    root/confirmed                a link to the one to keep, if there is one

A confirmed slot is not changed until the other one is confirmed: whatever happens to an update,
there is a way back. An update on trial is confirmed once it was seen working, by a person, a
deployment or the service itself. What a person installs is confirmed at once, because nobody may
come back to check it. Nothing becomes current before its hashes and its self-test have passed; a
kill, a full disk or a power cut at any point leaves a verified slot current. Only the names that a
manifest lists are ever written, wherever a tar says that its members go. All of it runs as the user
who owns the root folder: the root user never follows a link that the service's user made.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.contract import bundle
from device.contract.bundle import Bundle
from device.errors import BundleError, FieldguideError, SlotError
from device.files import sync
from device.settings.sections import InferenceConfig
from device.update.owner import acting_as_owner

ROOT = Path("/var/lib/fieldguide")
NAMES = ("a", "b")
SLOTS, CURRENT, CONFIRMED = "slots", "current", "confirmed"
_UNFINISHED = "new"


@dataclass(frozen=True)
class Slot:
    """What is in one slot."""

    name: str
    """"a" or "b"."""
    current: bool
    bundle: Bundle | None
    problem: str
    """Why it does not hold a whole bundle; empty if it does."""

    def __str__(self) -> str:
        """One line for a person."""
        record = self.record()
        about = self.problem or f"{record['name']}, commit {record['commit']}"
        return f"{SLOTS}/{self.name}: {about}"

    def record(self) -> dict[str, Any]:
        """The slot as `slots status --json` prints it."""
        manifest = self.bundle.manifest if self.bundle else {}
        told = {key: manifest.get(key) for key in ("name", "commit", "manifest_sha256")}
        return {"slot": self.name, "current": self.current, "problem": self.problem, **told}


@dataclass(frozen=True)
class Installed:
    """What an update did."""

    slot: Slot
    runtime: str
    """The runtime on which the bundle passed its self-test."""
    changed: bool
    """False if it was there before."""


def status(root: Path) -> tuple[Slot, ...]:
    """Both slots, every byte of them compared with its manifest.

    Raises:
        SlotError: if `current` is not a link that this module made.
    """
    _check_folder(root)
    with acting_as_owner(root):
        current = named(root, CURRENT)
        return tuple(_inspect(root, name, current) for name in NAMES)


def named(root: Path, what: str) -> str:
    """The name of the slot that is `CURRENT`, or `CONFIRMED`; empty if there is none.

    Raises:
        SlotError: if that is not a link to a slot.
    """
    link = root / what
    if not link.is_symlink() and not link.exists():
        return ""
    target = os.readlink(link) if link.is_symlink() else ""
    for name in NAMES:
        if target == _target(name):
            return name
    raise SlotError(f"{link} does not link to {SLOTS}/a or {SLOTS}/b: move it away and try again")


def install(path: Path, root: Path, *, trial: bool = False) -> Installed:
    """Put a bundle into the slot that is not confirmed, and make that one current.

    If no slot is confirmed, it goes into the one that is not current. If the current slot holds the
    same bundle already, nothing is written, but it is still tested.

    Args:
        path: the bundle, a folder or a tar.
        root: the slots' folder.
        trial: whether somebody will `confirm` or `revert` it later; otherwise it is confirmed now.

    Raises:
        FieldguideError: if it fails; says what is current now if that has changed.
    """
    return install_files(bundle.read_files(path), root, trial=trial)


def install_files(
    files: Mapping[str, bytes],
    root: Path,
    *,
    trial: bool = False,
    load_timeout_s: float = InferenceConfig.load_timeout_s,
) -> Installed:
    """The same with a bundle's files, as `bundle.read_files` returns them.

    Args:
        files: of the bundle.
        root: the slots' folder.
        trial: as for `install`.
        load_timeout_s: limit for the self-test.

    Raises:
        FieldguideError: as for `install`.
    """
    loaded = bundle.from_files(files)
    _check_folder(root)
    # Before root becomes the owner, who may not be able to run this Python.
    runtime = _tested(loaded, load_timeout_s)
    with _changing(root):
        current = named(root, CURRENT)
        changed = not _holds(root, current, files)
        name = _replace(root, current, files) if changed else current
        if not trial and named(root, CONFIRMED) != name:
            # First: a power cut in between must not leave it as an update that nobody confirms.
            _point(root, CONFIRMED, name)
        if changed:
            _point(root, CURRENT, name)
        return Installed(Slot(name, True, loaded, ""), runtime, changed)


def _replace(root: Path, current: str, files: Mapping[str, bytes]) -> str:
    """Write a bundle into the slot that is not confirmed; returns the slot's name."""
    kept = _confirmed(root)
    with _written(root, files) as fresh:
        if kept and kept != current:
            # The current slot was never confirmed, and will be overwritten.
            _point(root, CURRENT, kept)
        name = _other(kept or current)
        slot = _folder(root, name)
        if slot.exists():
            shutil.rmtree(slot)
        fresh.rename(slot)
        sync(slot.parent)
    return name


def confirm(root: Path) -> Slot:
    """Note that the current slot was seen working; returns it.

    Raises:
        SlotError: if the current slot does not hold a whole bundle.
    """
    with _changing(root):
        name = named(root, CURRENT)
        if not name:
            raise SlotError("nothing to confirm: no slot is current")
        slot = _inspect(root, name, name)
        if slot.problem:
            raise SlotError(f"nothing to confirm: {slot.problem}")
        _point(root, CONFIRMED, name)
        return slot


def confirm_running(path: Path, sha256: str) -> bool:
    """Confirm a bundle that has worked for a while, if it is the current one in slots.

    Args:
        path: where the service reads its bundle: the link `CURRENT`, or anything else.
        sha256: of the model that runs.

    Returns:
        Whether it is confirmed now.

    Raises:
        SlotError: if another update is running, or the disk refuses.
        OSError: if the folder cannot be read.
    """
    root = path.parent
    if path.name != CURRENT or not path.is_symlink() or not (root / SLOTS).is_dir():
        return False
    if root.stat().st_uid != os.geteuid():
        # It belongs to another user, and a service with running threads must not become that user.
        return False
    name = named(root, CURRENT)
    if name == named(root, CONFIRMED):
        return True
    found = _inspect(root, name, name).bundle
    if found is None or found.manifest["files"][bundle.MODEL]["sha256"] != sha256:
        return False
    confirm(root)
    return True


def revert(root: Path) -> Slot | None:
    """Go back to the confirmed slot and empty the other one; None if nothing was done.

    Thus a later `rollback` cannot go to a bundle that was never confirmed. If no slot is current,
    the confirmed one becomes current, and nothing is emptied.

    Raises:
        SlotError: if this is not possible.
    """
    with _changing(root):
        name, kept = named(root, CURRENT), _confirmed(root)
        if not kept or kept == name:
            return None
        _point(root, CURRENT, kept)
        if name:
            shutil.rmtree(_folder(root, name), ignore_errors=True)
        return _inspect(root, kept, kept)


def rollback(root: Path) -> Slot:
    """Make the other slot current; returns it.

    Its self-test is left to the service, which runs it for every bundle: even if both bundles fail
    theirs, going back must be possible.

    Raises:
        SlotError: if the other slot does not hold a whole bundle.
    """
    with _changing(root):
        name = _other(named(root, CURRENT))
        slot = _inspect(root, name, name)
        if slot.problem:
            raise SlotError(f"cannot go back to {SLOTS}/{name}: {slot.problem}")
        if named(root, CONFIRMED):
            # The user asked to go back, so the other slot need not be kept.
            _point(root, CONFIRMED, name)
        _point(root, CURRENT, name)
        return slot


def _confirmed(root: Path) -> str:
    """The name of the confirmed slot if its bundle is still whole; else empty."""
    name = named(root, CONFIRMED)
    return "" if not name or _inspect(root, name, "").problem else name


def _folder(root: Path, name: str) -> Path:
    """The folder of a slot; an empty name must not give the folder of both."""
    if name not in NAMES:
        raise ValueError(f"no slot is called {name!r}")
    return root / SLOTS / name


def _inspect(root: Path, name: str, current: str) -> Slot:
    folder = _folder(root, name)
    if not folder.exists():
        return Slot(name, name == current, None, "empty")
    try:
        found = bundle.load(folder)
    except FieldguideError as error:
        return Slot(name, name == current, None, str(error))
    return Slot(name, name == current, found, "")


def _holds(root: Path, name: str, files: Mapping[str, bytes]) -> bool:
    try:
        return bool(name) and bundle.read_files(_folder(root, name)) == files
    except FieldguideError:
        return False


def _tested(loaded: Bundle, load_timeout_s: float) -> str:
    # Imported here: it takes 4 MB, and most passes of the updater test nothing.
    from device.inference.trial import Trial

    try:
        return Trial().passes(loaded, InferenceConfig(threads=1, load_timeout_s=load_timeout_s))
    except BundleError as error:
        raise SlotError(f"{error}; nothing was changed") from error


@contextmanager
def _written(root: Path, files: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder with these files, synced to disk; if it is still there at the end it is removed."""
    fresh = root / SLOTS / _UNFINISHED
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        _write_folder(fresh, files)
        bundle.from_files(bundle.read_files(fresh))
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    # Whatever the umask is: the service's user must be able to read what another user installs.
    folder.mkdir()
    folder.chmod(0o755)
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        path.chmod(0o644)
        sync(path)
    sync(folder)


def _point(root: Path, what: str, name: str) -> None:
    """Swap a link in one step, and sync it to disk."""
    link = root / f"{what}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(_target(name))
    link.replace(root / what)
    sync(root)


def _target(name: str) -> str:
    return f"{SLOTS}/{name}"


def _other(name: str) -> str:
    first, second = NAMES
    return second if name == first else first


def _check_folder(root: Path) -> None:
    if not root.is_dir():
        raise SlotError(f"{root}: no such folder; create it, or name another with --root")


@contextmanager
def _changing(root: Path) -> Iterator[None]:
    """Run as the owner and under the lock; errors of the disk also say what is current now."""
    _check_folder(root)
    with acting_as_owner(root), _locked(root):
        before = named(root, CURRENT)
        try:
            yield
        except OSError as error:
            raise SlotError(
                f"{_describe(error, root)}; {_state_after_failure(root, before)}"
            ) from error


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Lock out other updates, which would fill the same slot; the kernel frees it after a kill."""
    folder = root / SLOTS
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SlotError(f"{_describe(error, root)}; nothing was changed") from error
    try:
        _lock(number, folder)
        yield
    finally:
        os.close(number)


def _lock(number: int, folder: Path) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SlotError(f"{folder}: another update is running; wait for it") from error


def _describe(error: OSError, root: Path) -> str:
    return f"{error.filename or root}: {error.strerror or error}"


def _state_after_failure(root: Path, before: str) -> str:
    """What is current after a failure, in words."""
    with suppress(OSError, SlotError):
        now = named(root, CURRENT)
        if now != before:
            return f"now {SLOTS}/{now} is current"
    return "what was current still is"
