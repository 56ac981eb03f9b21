"""Cached activations: the output of the frozen layers for each photo, computed once.

An epoch on cached activations takes a small part of the time of one through the whole network. Rows
are float16 and appended to a file as they are computed. So an interrupted run continues where it
stopped, and a full disk gives an error message (writing through a memory map would crash).
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.workstation.engine.choice import done
from device.workstation.engine.work import Item, Task, Work
from train.errors import BuildFolderError

Activations = npt.NDArray[np.float16]

CHUNK = 32
KEPT = ("*.f16", "*.state.npz")
"""Files of a cache that are whole."""
FIRST_VIEWS = "first"
"""How the names of caches of view 0 end."""
SPARE_BYTES = 200 * 1024 * 1024
"""Free space to leave on the disk after a cache is written."""


def cached(
    path: Path,
    task: Task[Item, Activations],
    items: Sequence[Item],
    row_shape: tuple[int, ...],
    description: str,
    *,
    here: bool = False,
) -> Activations:
    """The activations of each photo, from the file at `path` or computed into it.

    Args:
        path: final file; its name must contain everything that the rows depend on.
        task: gives the row of an item.
        items: one per photo.
        row_shape: shape of one row.
        description: what the progress bar says.
        here: whether the task needs what lies on this machine alone.

    Returns:
        A read-only memory map, float16 (len(items), *row_shape).

    Raises:
        BuildFolderError: if the disk has too little space for it.
    """
    shape = (len(items), *row_shape)
    row_bytes = int(np.prod(row_shape)) * 2
    if not (path.exists() and path.stat().st_size == row_bytes * len(items)):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        there = min(part.stat().st_size // row_bytes, len(items)) if part.exists() else 0
        _check_room(path.parent, row_bytes * (len(items) - there))
        work = Work(task, items, description, lambda: path.name, first=there, here=here)
        # Closed at once if writing fails, so that no progress bar is printed below the error.
        with part.open("ab") as file, closing(done(work)) as rows:
            file.truncate(there * row_bytes)
            for chunk in _chunks(rows):
                file.write(np.stack(chunk).astype(np.float16, copy=False).tobytes())
                file.flush()
        part.replace(path)
    return np.memmap(path, np.float16, "r", shape=shape)


def _chunks(rows: Iterator[Activations]) -> Iterator[list[Activations]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise BuildFolderError(
            f"{folder}: {free / 2**30:.1f} GiB free, {(needed_bytes + SPARE_BYTES) / 2**30:.1f} "
            "GiB needed for cached activations: free space, choose another BUILD=, or lower VIEWS="
        )


def adopt(folder: Path, others: Sequence[Path]) -> None:
    """Take over what other trainings have cached, without a copy: both folders have the file.

    The name of a file holds everything that its content depends on. So what belongs to other
    settings does no harm, and is removed like any cache of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in (path for other in others for pattern in KEPT for path in other.glob(pattern)):
        # It is there, it is removed right now, or the folders are on two disks.
        with suppress(OSError):
            (folder / path.name).hardlink_to(path)


def keep_first_views(folder: Path) -> None:
    """Remove what only an unfinished training needs: the views of the photos but the first."""
    for path in folder.glob("*.f16"):
        if not path.stem.endswith(f"_{FIRST_VIEWS}"):
            path.unlink()


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove caches of other settings, so that the folder does not grow without limit."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix in (".f16", ".part") and path.with_suffix(".f16").name not in names:
            path.unlink()
