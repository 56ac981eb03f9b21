"""What the frozen part of the network makes of each photo, computed once and kept on disk.

A cached epoch costs a small part of one that runs the whole network. Rows are float16, appended
to a file as they are computed, so a killed run goes on where it was and a full disk is an error
message (writing through a memory map would be a crash).
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from device.preprocess import Pixels
from train.errors import BuildFolderError

Activations = npt.NDArray[np.float16]

CHUNK = 32
SPARE_BYTES = 200 * 1024 * 1024
"""What must be left on the disk after a cache is written."""


def cached(
    path: Path,
    loaders: Sequence[Callable[[], Pixels]],
    compute: Callable[[Pixels], Activations],
    row_shape: tuple[int, ...],
    description: str,
) -> Activations:
    """The activations of each photo, from the file at `path` or computed into it.

    Args:
        path: final file; its name must contain everything that the rows depend on.
        loaders: one function per row that gives its uint8 (h, w, 3) pixels.
        compute: from uint8 (n, h, w, 3) to float16 (n, *row_shape).
        row_shape: shape of one row.
        description: what the progress bar says.

    Returns:
        A read-only memory map, float16 (len(loaders), *row_shape).

    Raises:
        BuildFolderError: if there is no room for it.
    """
    shape = (len(loaders), *row_shape)
    row_bytes = int(np.prod(row_shape)) * 2
    if not (path.exists() and path.stat().st_size == row_bytes * len(loaders)):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        done = min(part.stat().st_size // row_bytes, len(loaders)) if part.exists() else 0
        _check_room(path.parent, row_bytes * (len(loaders) - done))
        with part.open("ab") as file:
            file.truncate(done * row_bytes)
            for pixels in _chunks(loaders[done:], description):
                file.write(np.ascontiguousarray(compute(pixels), np.float16).tobytes())
                file.flush()
        part.replace(path)
    return np.memmap(path, np.float16, "r", shape=shape)


class Views(Sequence[Activations]):
    """The activations of each view of the training photos, computed when first asked for.

    So fine-tuning begins when the first two views are there, and not after the last.
    """

    def __init__(self, compute: Sequence[Callable[[], Activations]]) -> None:
        self._compute = compute
        self._known: dict[int, Activations] = {}

    def __len__(self) -> int:
        return len(self._compute)

    def __getitem__(self, number: Any) -> Any:
        """float16 (photos, ...) of one view."""
        if number not in self._known:
            self._known[number] = self._compute[number]()
        return self._known[number]


def _chunks(loaders: Sequence[Callable[[], Pixels]], description: str) -> Iterator[Pixels]:
    """Batches of photos, the next one being decoded while the caller computes."""
    starts = range(0, len(loaders), CHUNK)

    def load(start: int) -> Pixels:
        return np.stack([loader() for loader in loaders[start : start + CHUNK]])

    with ThreadPoolExecutor(max_workers=1) as pool:
        futures = [pool.submit(load, start) for start in starts[:2]]
        for i in track(
            range(len(starts)), f"{description:24}", console=Console(stderr=True), transient=False
        ):
            pixels = futures[i % 2].result()
            if i + 2 < len(starts):
                futures[i % 2] = pool.submit(load, starts[i + 2])
            yield pixels


def _check_room(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes + SPARE_BYTES:
        raise BuildFolderError(
            f"{folder}: {free / 2**30:.1f} GiB free, {(needed_bytes + SPARE_BYTES) / 2**30:.1f} "
            "GiB needed for cached activations: make room, choose another BUILD=, or lower VIEWS="
        )


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove caches of other settings, so that the folder stays bounded."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix in (".f16", ".part") and path.with_suffix(".f16").name not in names:
            path.unlink()
