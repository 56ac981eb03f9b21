"""A folder of releases on this board: on a USB stick that somebody plugs in.

Whoever filled it is trusted no more than a web server. Only plain files below the folder are read:
no link below it is followed, and no pipe or device is waited for.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from device.errors import UnreachableError, UpdateError, one_line
from device.settings.update import local_folder
from device.update.trust.fetch import METADATA, PIECE_BYTES, NotThereError, Origin, Wanted, write

INSIDE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
LINKS = (errno.ELOOP, errno.ENOTDIR)
"""What the kernel says of a link where a file or a folder was wanted."""


class Stick(Origin):
    """A folder on this board."""

    def __init__(self, url: str) -> None:
        """Read nothing yet.

        Raises:
            UpdateError: if the address is none of a folder on this board.
        """
        folder = local_folder(url)
        if folder is None:
            raise UpdateError("update.url: not a folder on this board")
        self._folder = folder

    def away(self) -> str:
        """The stick, while it is not plugged in."""
        try:
            if stat.S_ISDIR(os.stat(self._folder / METADATA).st_mode):
                return ""
        except PermissionError:
            # It is there: reading says what is wrong.
            return ""
        except OSError:
            # Never was there, or was pulled out: kernels have many words for that.
            pass
        return f"the stick: there is no folder {METADATA} in {self._folder}"

    def read(self, name: str, most_bytes: int) -> bytes:
        """The whole of a small file."""
        with self._opened(name) as file:
            if _size_bytes(file) <= most_bytes:
                data = b"".join(_pieces(name, file, most_bytes + 1))
                # It may have grown meanwhile.
                if len(data) <= most_bytes:
                    return data
        raise UnreachableError(f"{name}: longer than {most_bytes:,} bytes")

    def proceed(self, wanted: Wanted, part: Path, have: int) -> None:
        """Copy the rest of a file."""
        with self._opened(wanted.name) as file:
            if _size_bytes(file) > wanted.size_bytes:
                raise UnreachableError(f"{wanted.name}: longer than was signed")
            file.seek(have)
            with part.open("ab") as out:
                most_bytes = wanted.size_bytes - have + 1
                write(out.fileno(), _pieces(wanted.name, file, most_bytes), wanted, have)

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        """A file by its name below the folder, step by step, so that no link leads out of it."""
        *folders, last = name.split("/")
        if not {"", ".", ".."}.isdisjoint((*folders, last)):
            raise UpdateError(f"{name}: leads out of its folder")
        with _told(name):
            # A link to the folder itself is the owner's.
            at = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for folder in folders:
                    below = os.open(folder, INSIDE | os.O_DIRECTORY, dir_fd=at)
                    os.close(at)
                    at = below
                number = os.open(last, INSIDE | os.O_NONBLOCK, dir_fd=at)
            finally:
                os.close(at)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise UpdateError(f"{name}: not a file")
        with open(number, "rb", buffering=0) as file:
            yield file


def _pieces(name: str, file: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    while most_bytes:
        with _told(name):
            piece = file.read(min(PIECE_BYTES, most_bytes))
        if not piece:
            return
        most_bytes -= len(piece)
        yield piece


def _size_bytes(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Put what the stick's file system refuses into words."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotThereError(f"{name}: not there") from error
    except PermissionError as error:
        fix = "mount the stick below /media, for everybody"
        raise UnreachableError(f"{name}: fieldguide-update may not read it: {fix}") from error
    except OSError as error:
        if error.errno in LINKS:
            raise UpdateError(f"{name}: a link, which is not followed") from error
        raise UnreachableError(f"{name}: {one_line(error)}") from error
