"""The index of shards: where the photo of a path in `split.csv` is. `make data` writes it.

It is an SQLite file, because a million photos fit into no dictionary that is read in a moment.
"""

import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from device.errors import PhotoError
from device.workstation.shards.spots import Kind, Spot
from device.workstation.shards.stores import StoreError, joined

INDEX = "shards.sqlite"
"""Of the index, in `build/train`."""
_LOOK_UP = (
    "SELECT shards.name, shards.kind, photos.first, photos.count, shards.version FROM photos"
    " JOIN shards ON shards.id = photos.shard WHERE photos.path = ?"
)
_open = threading.local()
"""Connections of this thread, by file."""


@dataclass(frozen=True)
class Shards:
    """The photos of an address, or of a path, that are no files of a folder."""

    address: str
    """Of the folder of shards, or of the only one."""
    index: Path

    def spot(self, path: str) -> Spot:
        """Where a photo is, by its path in `split.csv`.

        Raises:
            PhotoError: if it is in none of the shards.
            StoreError: if the index is missing or damaged.
        """
        return self._found(path)[0]

    def state(self, path: str) -> str:
        """Another text if the shard of a photo is written again; empty of a photo in none.

        Raises:
            StoreError: as `spot`.
        """
        try:
            return " ".join(map(str, self._found(path)))
        except PhotoError:
            return ""

    def _found(self, path: str) -> tuple[Spot, str]:
        """Where a photo is, and the version of its shard; raises as `spot`."""
        try:
            found = self._connection().execute(_LOOK_UP, (path,)).fetchone()
        except UnicodeEncodeError:
            found = None
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self.index}: missing or damaged ({error}); remove it and run `make data`"
            ) from error
        if found is None:
            raise PhotoError("it is in none of the shards")
        name, kind, first, count, version = found
        name = path if kind == Kind.FILE else name
        shard = joined(self.address, name) if name else self.address
        return Spot(shard, Kind(kind), first, count), version

    def _connection(self) -> sqlite3.Connection:
        # No connection may cross a fork, nor outlive its file.
        key = (str(self.index), os.getpid(), os.stat(self.index).st_ino)
        known: dict[tuple[str, int, int], sqlite3.Connection] = _open.__dict__.setdefault(
            "known", {}
        )
        if key not in known:
            for other in known.values():
                with suppress(sqlite3.Error):
                    other.close()
            known.clear()
            known[key] = sqlite3.connect(f"{self.index.resolve().as_uri()}?mode=ro", uri=True)
        return known[key]
