"""A folder of releases, and files of it that are fetched with a limit on everything.

Where it is (`web`, `stick`) is not trusted: it may lie, end early, or be without end. What was cut
short is continued.
"""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from device.errors import UnreachableError, UpdateError
from device.files import sync

METADATA, TARGETS = "metadata", "targets"
"""The two folders in it, and of the same names on the board."""
PIECE_BYTES = 64 * 1024
SPARE_BYTES = 16 * 1024 * 1024
"""Left free on the disk."""
PART = ".part"


class NotThereError(UnreachableError):
    """There is no such file."""


@dataclass(frozen=True)
class Wanted:
    """A file, as its signed metadata describes it."""

    name: str
    """Its address below that of the folder."""
    size_bytes: int
    sha256: str
    """64 hexadecimal digits; also its name on the disk."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256) or self.size_bytes < 0:
            raise UpdateError(f"{self.name}: signed without a SHA-256 or a length")


class Origin(ABC):
    """A folder of releases, wherever it is."""

    @abstractmethod
    def read(self, name: str, most_bytes: int) -> bytes:
        """The whole of a small file.

        Raises:
            NotThereError: if there is none.
            UpdateError: if it cannot be fetched, or is longer than `most_bytes`.
        """

    @abstractmethod
    def proceed(self, wanted: Wanted, part: Path, have: int) -> None:
        """Write the rest of a file to the end of `part`; from the beginning if it must be.

        Args:
            wanted: what was signed; no more bytes than that are written.
            part: what an earlier try has left.
            have: its length, bytes; 0 if there is none.

        Raises:
            NotThereError: if there is no such file.
            UpdateError: if it cannot be fetched, or is longer than was signed.
            OSError: if the disk refuses.
        """

    def away(self) -> str:
        """What is waited for, because all of it is elsewhere now; empty if nothing is."""
        return ""

    def fetch(self, wanted: Wanted, folder: Path) -> Path:
        """A file in `folder`, whole and verified; continues where an earlier try stopped.

        Raises:
            NotThereError: if there is none.
            UpdateError: if it cannot be fetched, or is not what was signed.
            OSError: if the disk refuses.
        """
        path, part = folder / wanted.sha256, folder / f"{wanted.sha256}{PART}"
        if is_whole(path, wanted):
            return path
        path.unlink(missing_ok=True)
        _check_room(folder, wanted)
        have = part.stat().st_size if part.exists() else 0
        if have < wanted.size_bytes or not have:
            self.proceed(wanted, part, have)
        if not is_whole(part, wanted):
            part.unlink(missing_ok=True)
            raise UnreachableError(f"{wanted.name}: not what was signed")
        sync(part)
        part.replace(path)
        sync(folder)
        return path


def write(file: int, pieces: Iterator[bytes], wanted: Wanted, have: int) -> None:
    """Write pieces of a file to a descriptor.

    Raises:
        UnreachableError: if they and the `have` bytes before are longer than was signed.
        OSError: if the disk refuses; it names a file.
    """
    for piece in pieces:
        have += len(piece)
        if have > wanted.size_bytes:
            raise UnreachableError(f"{wanted.name}: longer than was signed")
        _write_all(file, piece)


def _write_all(file: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        try:
            view = view[os.write(file, view) :]
        except OSError as error:
            # Names a file, which tells the disk's errors from those of the network.
            raise OSError(error.errno, error.strerror, "the folder of fetched files") from error


def _check_room(folder: Path, wanted: Wanted) -> None:
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < wanted.size_bytes + SPARE_BYTES:
        raise UpdateError(f"{folder}: no room for {wanted.size_bytes:,} bytes more")


def is_whole(path: Path, wanted: Wanted) -> bool:
    """Whether a file is there, and is what was signed."""
    try:
        with path.open("rb") as file:
            right_size = os.fstat(file.fileno()).st_size == wanted.size_bytes
            return right_size and hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256
    except OSError:
        return False
