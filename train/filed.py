"""Tables of numbers that are too large for the memory: in a file without a name, read in blocks.

The file is gone with the process, however it ends. Pages of a file that stays mapped count as the
process's memory, so blocks are read, and what is scattered is mapped for that once alone.
"""

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEW = 256
"""Rows that are mapped at a time: each brings 64 KiB of a file that was read into memory."""


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
    folder: Path

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    def __getitem__(self, rows: Any, /) -> Array:
        """A copy; of a slice at most 2 GiB at a time."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step != 1:
                return self[np.arange(start, stop, step)]
            size = self._row_bytes
            data = os.pread(self.file.fileno(), max(0, stop - start) * size, start * size)
            return np.frombuffer(data, self.dtype).reshape(-1, *self.shape[1:])
        return scattered(self.file, self.shape, self.dtype, rows)

    def __setitem__(self, rows: slice, values: Any, /) -> None:
        data = memoryview(np.ascontiguousarray(values, self.dtype).tobytes())
        place = rows.indices(len(self))[0] * self._row_bytes
        try:
            while data:
                written = os.pwrite(self.file.fileno(), data, place)
                data, place = data[written:], place + written
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.folder)) from error


def scattered(
    file: IO[bytes], shape: tuple[int, ...], dtype: npt.DTypeLike, rows: npt.NDArray[np.int64]
) -> Array:
    """Rows of a table in a file that need not lie together, as a copy.

    Args:
        file: the table.
        shape: of the table, which has a row at least if any is asked for.
        dtype: of its numbers.
        rows: (m,), in any order.
    """
    found = np.empty((len(rows), *shape[1:]), dtype)
    for start in range(0, len(rows), FEW):
        some = slice(start, start + FEW)
        found[some] = np.memmap(file, dtype, "r", shape=shape)[rows[some]]
    return found


def table(shape: tuple[int, ...], dtype: npt.DTypeLike, folder: Path | None) -> Table:
    """A table to be filled, in a file of a folder; None: in memory.

    Raises:
        OSError: if there can be no file.
    """
    if folder is None:
        return np.empty(shape, dtype)
    # Open as long as anybody needs it, and without a name that could stay behind.
    file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
    os.truncate(file.fileno(), math.prod(shape) * np.dtype(dtype).itemsize)
    return Filed(file, shape, dtype, folder)
