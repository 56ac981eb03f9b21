"""Rows of Parquet files: pictures are read by the row group that they are in."""

import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import Any

from device.errors import PhotoError, one_line
from device.workstation.shards.columns import columns_of
from device.workstation.shards.stores import StoreError, explained, open_file

GROUPS = 4
"""Row groups that a process keeps: photos that are read one after another are often of one."""
FILES = 8
"""Parquet files that a process keeps open."""

_lock = threading.Lock()
"""Readers of Parquet are not for several threads."""


class Rows:
    """A Parquet file that stays open."""

    def __init__(self, shard: str) -> None:
        """Open it; raises StoreError."""
        self._shard = shard
        with _whole(shard):
            from pyarrow import parquet

            self._file = parquet.ParquetFile(open_file(shard))
            self.columns = columns_of(self._file.schema_arrow, shard)
            groups = self._file.metadata
            sizes = (groups.row_group(n).num_rows for n in range(groups.num_row_groups))
            self.starts = [*accumulate(sizes, initial=0)]
            """The first row of each group, and the number of all."""

    def column(self, group: int, name: str) -> Any:
        """A column of one row group, as an array of Arrow; raises StoreError."""
        with _whole(self._shard):
            array = self._file.read_row_group(group, columns=[name]).column(0).combine_chunks()
            for within in name.split(".")[1:]:
                array = array.field(within)
            return array


@contextmanager
def _whole(shard: str) -> Iterator[None]:
    """What Arrow says of a damaged file becomes a StoreError; so does all that stores raise."""
    with explained(shard):
        from pyarrow import ArrowException

        try:
            yield
        except ArrowException as error:
            raise StoreError(
                f"{shard}: no whole Parquet file ({one_line(error)}): copy or make it again, or "
                "remove it"
            ) from error


def picture_of_row(shard: str, row: int) -> bytes:
    """The picture in a row of a Parquet file.

    Raises:
        PhotoError: if the row has none.
        StoreError: if the file cannot be read, or has no such row.
    """
    with _lock:
        starts = _rows(shard).starts
        group = bisect_right(starts, row) - 1
        if group >= len(starts) - 1:
            raise StoreError(f"{shard}: has no row {row:,} any more: run `make data` again")
        found = _pictures(shard, group)[row - starts[group]].as_py()
    if found is None:
        raise PhotoError("its row holds no bytes")
    return bytes(found)


@lru_cache(maxsize=FILES)
def _rows(shard: str) -> Rows:
    return Rows(shard)


@lru_cache(maxsize=GROUPS)
def _pictures(shard: str, group: int) -> Any:
    rows = _rows(shard)
    return rows.column(group, rows.columns.pictures)
