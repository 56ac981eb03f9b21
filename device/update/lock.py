"""One pass at a time in a folder; the kernel ends a lock after a kill."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device.errors import UpdateError

PATIENCE_S = 30.0
"""For another pass, most of which take a second or two."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for another pass, and lock out others.

    Args:
        folder: that all of them know.

    Raises:
        UpdateError: if another one takes longer.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    until_s = time.monotonic() + PATIENCE_S
    try:
        while not _is_locked(number):
            if time.monotonic() >= until_s:
                raise UpdateError(f"{folder}: the updater is at work already")
            time.sleep(0.2)
        yield
    finally:
        os.close(number)


def _is_locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
