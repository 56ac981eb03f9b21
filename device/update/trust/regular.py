"""Reading in a folder in which another user may do anything."""

import os
import stat
from pathlib import Path

from device.errors import UpdateError
from device.update.trust.fetch import NotThereError


def read_regular(path: Path, most_bytes: int) -> bytes:
    """A file in a folder in which another user may do anything.

    Raises:
        NotThereError: if there is none.
        UpdateError: if it is a link, a pipe or longer.
    """
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
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise UpdateError(f"{path}: longer than {most_bytes:,} bytes")
    return data
