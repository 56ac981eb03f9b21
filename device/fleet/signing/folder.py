"""The folder of a fleet on the disk.

    FLEET/keys                private keys; copy nothing of it to a server
    FLEET/public/metadata     1.root.json, 1.targets.json, ..., timestamp.json
    FLEET/public/targets      files of releases, each with its hash before its name

`public` is what a web server serves. No file there is ever changed except `timestamp.json`, which
is written last and names, by way of `snapshot`, all others. So whoever reads or copies the folder
at any moment sees a whole repository: the one before a change, or the one after it.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from device.files import SECRET, UNFINISHED, sync, write_bytes
from device.fleet.errors import FleetError

PUBLIC_FILE, PUBLIC_FOLDER, SECRET_FOLDER = 0o644, 0o755, 0o700
TIMESTAMP_FILE = "timestamp.json"
_VERSIONED = re.compile(r"([1-9][0-9]*)\.([a-z0-9-]+)\.json")


@dataclass(frozen=True)
class Fleet:
    """Where everything of a fleet is."""

    path: Path

    @property
    def hidden(self) -> Path:
        """Where a new fleet is made, before it is shown."""
        return self.path / ".part-init"

    @property
    def keys(self) -> Path:
        """The folder of private keys."""
        return self.path / "keys"

    @property
    def public(self) -> Path:
        """What a web server serves."""
        return self.path / "public"

    @property
    def metadata(self) -> Path:
        """The folder of signed metadata."""
        return self.public / "metadata"

    @property
    def targets(self) -> Path:
        """The folder of signed files."""
        return self.public / "targets"

    @property
    def timestamp(self) -> Path:
        """The file that is written last."""
        return self.metadata / TIMESTAMP_FILE

    def root(self, version: int) -> Path:
        """The file of one version of the root role."""
        return self.metadata / f"{version}.root.json"


def all_versions(fleet: Fleet) -> dict[str, set[int]]:
    """Every version of each role on the disk, whoever signed it."""
    found: dict[str, set[int]] = {}
    for path in fleet.metadata.iterdir():
        if match := _VERSIONED.fullmatch(path.name):
            found.setdefault(match[2], set()).add(int(match[1]))
    return found


@contextmanager
def changing(fleet: Fleet) -> Iterator[None]:
    """Lock others out, and say for errors of the disk what boards see and what to do.

    Raises:
        FleetError: if another command is changing it, or the disk refuses.
    """
    if not fleet.path.is_dir():
        raise FleetError(f"{fleet.path}: no such folder; make one with `make fleet-init`")
    number = os.open(fleet.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_unfinished(fleet)
        yield
    except BlockingIOError as error:
        raise FleetError(f"{fleet.path}: another command is changing it; wait for it") from error
    except OSError as error:
        still = (
            "boards see a whole repository still" if fleet.public.exists() else "nothing is made"
        )
        raise FleetError(
            f"{error.filename or fleet.path}: {error.strerror or error}; {still}: correct that and "
            "give the same command again"
        ) from error
    finally:
        os.close(number)


def _remove_unfinished(fleet: Fleet) -> None:
    """Remove what a killed command left; nothing where a mistyped folder is no fleet."""
    if not fleet.root(1).exists():
        return
    inside = (folder.rglob(f"{UNFINISHED}*") for folder in (fleet.keys, fleet.public))
    for unfinished in chain(fleet.path.glob(f"{UNFINISHED}*"), *inside):
        if unfinished.is_file():
            unfinished.unlink()


def make_folder(path: Path, mode: int = PUBLIC_FOLDER) -> None:
    """Make a folder and those above it, whatever the umask is."""
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    sync(path.parent)


def write_public(path: Path, data: bytes) -> None:
    """Write a file that everyone may read; a power cut leaves all or nothing of it."""
    make_folder(path.parent)
    write_bytes(path, data, mode=PUBLIC_FILE, durable=True)


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that nobody else may read, in a folder that nobody else may enter."""
    make_folder(path.parent, SECRET_FOLDER)
    write_bytes(path, data, mode=SECRET, durable=True)
