"""Reading in a folder in which another user may do anything."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from device.errors import UpdateError
from device.update.trust.fetch import NotThereError, Wanted

BLOCK_BYTES = 1024 * 1024


def read_regular(path: Path, most_bytes: int) -> bytes:
    """A file in a folder in which another user may do anything.

    Raises:
        NotThereError: if there is none.
        UpdateError: if it is a link, a pipe or longer.
    """
    with _opened(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise UpdateError(f"{path}: longer than {most_bytes:,} bytes")
    return data


def verify(path: Path, wanted: Wanted, write: Callable[[bytes], object] = len) -> None:
    """Compare such a file with what was signed, and pass on what was read.

    Args:
        path: of the file.
        wanted: what was signed.
        write: takes pieces, which count only if this does not raise.

    Raises:
        NotThereError: if there is none.
        UpdateError: if it is a link, a pipe or not what was signed.
        OSError: if the disk refuses.
    """
    # No more than that: the file may grow meanwhile.
    left, digest = wanted.size_bytes, hashlib.sha256()
    with _opened(path) as file:
        while left and (block := file.read(min(left, BLOCK_BYTES))):
            digest.update(block)
            write(block)
            left -= len(block)
    if left or digest.hexdigest() != wanted.sha256:
        raise UpdateError(f"{wanted.name}: not what was signed")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        # A pipe must not make this process wait.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotThereError(f"{path}: not there") from error
    except OSError as error:
        raise UpdateError(f"{path}: {error.strerror}") from error
    with open(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise UpdateError(f"{path}: not a file")
        yield file
