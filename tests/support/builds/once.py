"""What takes long is made once in a run of pytest, also where several workers want it."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def folder_of_run(base: Path) -> Path:
    """The folder that all workers of a run have in common; `base` is pytest's for this process."""
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker that asks for it makes, while others wait; only to be read.

    Args:
        folder: its place, the same for all workers.
        make: makes it at a place where nothing is yet. If it fails, the next that asks tries it.
    """
    done = folder.with_name(f"{folder.name}.made")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other process is in here with the same file; one that dies leaves."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
