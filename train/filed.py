"""Tables of numbers that are too large for the memory: in a file without a name, read in blocks.

The file is gone with the process, however it ends. It is read, never mapped: pages of a mapped file
count as the process's memory, and around each that is touched Linux maps up to a megabyte more.
"""

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEW = 1024
"""Rows that do not lie together are read one by one, so many before they are put together."""
CLOSE = 4
"""So many times as much is read to have rows at once instead of one by one."""


class Table(Protocol):
    """An array, or a file that is read as one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its rows, and the numbers of each."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Those of a slice, or of an array of numbers; nothing that is written to it stays."""

    def __setitem__(self, rows: slice, values: Any, /) -> None: ...


@dataclass(frozen=True)
class Filed:
    """A table in a file."""

    file: IO[bytes]
    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    folder: Path | None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    def __getitem__(self, rows: Any, /) -> Array:
        """A copy; of a slice at most 2 GiB at a time. What lies close together is read at once."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self._read(start, stop) if step == 1 else self[np.arange(start, stop, step)]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for start in range(0, len(rows), FEW):
            found[start : start + FEW] = self._some(rows[start : start + FEW])
        return found

    def _some(self, rows: npt.NDArray[np.signedinteger[Any]]) -> Array:
        first, last = int(rows.min()), int(rows.max())
        if last - first < CLOSE * len(rows):
            return np.asarray(self._read(first, last + 1)[rows - first])
        size, number = self._row_bytes, self.file.fileno()
        data = b"".join([os.pread(number, size, row * size) for row in rows.tolist()])
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])

    def _read(self, start: int, stop: int) -> Array:
        size = self._row_bytes
        data = os.pread(self.file.fileno(), max(0, stop - start) * size, start * size)
        return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])

    def __setitem__(self, rows: slice, values: Any, /) -> None:
        data = np.ascontiguousarray(values, self.dtype).tobytes()
        place = rows.indices(len(self))[0] * self._row_bytes
        _write(self.file, memoryview(data), place, self.folder)


def _write(file: IO[bytes], data: memoryview, place: int, folder: Path | None) -> None:
    """Write at a place of a file.

    Raises:
        OSError: with the folder's name, which says more than the number of a file without one.
    """
    try:
        while data:
            written = os.pwrite(file.fileno(), data, place)
            data, place = data[written:], place + written
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


class Growing:
    """A table in a file that more rows are added to."""

    def __init__(self, folder: Path | None, dtype: npt.DTypeLike, *width: int) -> None:
        """Begin without any row, and without a file until there is one.

        Args:
            folder: of the file; None: the system's folder for such files.
            dtype: of the numbers.
            width: the shape of each row.
        """
        self.folder = folder
        self._file: IO[bytes] | None = None
        self._shape, self._dtype = (0, *width), np.dtype(dtype)

    def __len__(self) -> int:
        return self._shape[0]

    def append(self, rows: Array) -> None:
        """Put more rows behind.

        Raises:
            OSError: if they cannot be written.
        """
        self._file = self._file or _nameless(self.folder)
        data = memoryview(np.ascontiguousarray(rows, self._dtype).tobytes())
        size = math.prod(self._shape[1:]) * self._dtype.itemsize
        _write(self._file, data, len(self) * size, self.folder)
        self._shape = (len(self) + len(rows), *self._shape[1:])

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> Array:
        """A copy of some."""
        if self._file is None:
            return np.empty(self._shape, self._dtype)[rows]
        return Filed(self._file, self._shape, self._dtype, self.folder)[rows]

    def bytes(self, begin: int, end: int) -> bytes:
        """Those of a table of bytes."""
        return os.pread(self._file.fileno(), end - begin, begin) if self._file else b""


class Pieces:
    """Pieces of bytes of any length in files, to which more are added."""

    def __init__(self, folder: Path | None) -> None:
        """Begin without any, as `Growing`."""
        self._bytes, self._bounds = Growing(folder, np.uint8), Growing(folder, np.int64, 2)

    def append(self, pieces: Sequence[bytes]) -> None:
        """Put more behind.

        Raises:
            OSError: if they cannot be written.
        """
        bounds = len(self._bytes) + np.cumsum([0, *map(len, pieces)])
        self._bounds.append(np.stack([bounds[:-1], bounds[1:]], axis=1))
        self._bytes.append(np.frombuffer(b"".join(pieces), np.uint8))

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> list[bytes]:
        """Some of them; what lies close together is read at once."""
        bounds = self._bounds[rows]
        if not len(bounds):
            return []
        begin, end = int(bounds.min()), int(bounds.max())
        if end - begin > CLOSE * int((bounds[:, 1] - bounds[:, 0]).sum()):
            return [self._bytes.bytes(start, stop) for start, stop in bounds.tolist()]
        data = self._bytes.bytes(begin, end)
        return [data[start:stop] for start, stop in (bounds - begin).tolist()]


def table(shape: tuple[int, ...], dtype: npt.DTypeLike, folder: Path | None) -> Table:
    """A table to be filled, in a file of a folder; None: in memory.

    Raises:
        OSError: if there can be no file.
    """
    if folder is None:
        return np.empty(shape, dtype)
    file = _nameless(folder)
    os.truncate(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
    return Filed(file, shape, dtype, folder)


def _nameless(folder: Path | None) -> IO[bytes]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    # Open as long as anybody needs it, and without a name that could stay behind.
    return tempfile.TemporaryFile(dir=folder, buffering=0)
