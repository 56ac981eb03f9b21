"""Brings the index of shards up to date: a shard is read once, and again if it is written again."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from device.workstation.shards.index import Shards
from device.workstation.shards.spots import Kind
from device.workstation.shards.stores import PARQUET, Stored, joined
from train.data.shards.entries import Entry, Holds
from train.data.shards.parquet import entries_of_parquet
from train.data.shards.tar import entries_of_tar
from train.errors import BuildFolderError
from train.stamps import code_digest

CODE = (
    *("train/data/shards/*.py", "device/workstation/shards/*.py"),
    *(f"device/contract/{name}.py" for name in ("folders", "formats")),
)
"""The code that decides what an index says of a shard."""
_TABLES = """
CREATE TABLE made (of TEXT);
CREATE TABLE shards (id INTEGER PRIMARY KEY, name TEXT UNIQUE, kind TEXT, version TEXT);
CREATE TABLE entries (shard INTEGER, name BLOB, holds TEXT, first INTEGER, count INTEGER,
  label BLOB);
CREATE INDEX of_shard ON entries (shard);
CREATE TABLE photos (path TEXT PRIMARY KEY, shard INTEGER, first INTEGER, count INTEGER)
  WITHOUT ROWID;
"""
# Names of files need not be text, which SQLite's text has to be.
_TEXT = ("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Found:
    """An entry, and the shard that it is in."""

    shard: int
    """Its number in the index."""
    shard_name: str
    """Empty for the only one."""
    entry: Entry


class Index:
    """An index that is being written; what it says of photos changes as a whole, or not at all."""

    def __init__(self, shards: Shards, database: sqlite3.Connection) -> None:
        """Of `shards`; made by `writing`."""
        self._shards = shards
        self._database = database

    def read(self, stored: Sequence[Stored], console: Console) -> None:
        """Read the shards that are new or were written again; forget those that are gone.

        Args:
            stored: the shards; the only one has no name.
            console: for a bar.

        Raises:
            StoreError: naming a shard that cannot be read. Those before it stay known.
        """
        known = dict(self._database.execute("SELECT name, version FROM shards"))
        versions = {each.name: each.version for each in stored}
        for name in known.keys() - versions.keys():
            self._forget(name)
        new = [each for each in stored if known.get(each.name) != each.version]
        for each in track(
            new, f"{'reading shards':24}", console=console, disable=not new, transient=True
        ):
            self._add(each)

    def _add(self, each: Stored) -> None:
        address = self._shards.address
        where = joined(address, each.name) if each.name else address
        is_rows = where.lower().endswith(PARQUET)
        entries = entries_of_parquet(where) if is_rows else entries_of_tar(where)
        kind = Kind.ROW if is_rows else Kind.RANGE
        self._replace(each.name, kind, each.version, entries)

    def replace_files(self, entries: Iterable[Entry], version: str) -> None:
        """Of a bucket that holds photos themselves: each is a file of its own."""
        self._replace("", Kind.FILE, version, entries)

    def _replace(self, name: str, kind: Kind, version: str, entries: Iterable[Entry]) -> None:
        with self._database:
            self._forget(name)
            shard = self._database.execute(
                "INSERT INTO shards (name, kind, version) VALUES (?, ?, ?)", (name, kind, version)
            ).lastrowid
            self._database.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
                ((shard, *_columns(each)) for each in entries),
            )

    def _forget(self, name: str) -> None:
        which = "(SELECT id FROM shards WHERE name = ?)"
        self._database.execute(f"DELETE FROM entries WHERE shard IN {which}", (name,))
        self._database.execute("DELETE FROM shards WHERE name = ?", (name,))

    def entries(self) -> Iterator[Found]:
        """All entries, shard by shard in the order of their names, as they follow one another."""
        rows = self._database.execute(
            "SELECT shards.id, shards.name, entries.name, holds, first, count, label FROM entries"
            " JOIN shards ON shards.id = entries.shard ORDER BY shards.name, entries.rowid"
        )
        for shard, shard_name, name, holds, first, count, label in rows:
            said = label.decode(*_TEXT) if label is not None else None
            entry = Entry(name.decode(*_TEXT), Holds[holds], first, count, said)
            yield Found(shard, shard_name, entry)

    def names(self) -> list[str]:
        """Of all shards, in order."""
        return [name for (name,) in self._database.execute("SELECT name FROM shards ORDER BY name")]

    def place(self, photos: Iterable[tuple[str, Found]]) -> None:
        """Say where the photos of these paths are, and forget all others."""
        with self._database:
            self._database.execute("DELETE FROM photos")
            self._database.executemany(
                "INSERT INTO photos VALUES (?, ?, ?, ?)",
                ((path, f.shard, f.entry.first, f.entry.count) for path, f in photos),
            )


def _columns(entry: Entry) -> tuple[object, ...]:
    label = entry.label.encode(*_TEXT) if entry.label is not None else None
    return entry.name.encode(*_TEXT), entry.holds.name, entry.first, entry.count, label


@contextmanager
def writing(shards: Shards) -> Iterator[Index]:
    """The index of shards, to be written; one of other shards or other code is begun anew.

    Raises:
        BuildFolderError: if it cannot be written.
    """
    shards.index.parent.mkdir(parents=True, exist_ok=True)
    of = f"{shards.address} {code_digest(CODE)}"
    try:
        if not _is_of(shards.index, of):
            shards.index.unlink(missing_ok=True)
        database = sqlite3.connect(shards.index)
        try:
            if not database.execute("SELECT * FROM sqlite_master").fetchone():
                database.executescript(_TABLES)
                database.execute("INSERT INTO made VALUES (?)", (of,))
                database.commit()
            yield Index(shards, database)
        finally:
            database.close()
    except (sqlite3.Error, OSError) as error:
        raise BuildFolderError(f"{shards.index}: {error}") from error


def _is_of(path: Path, of: str) -> bool:
    """Whether an index can be gone on with; one that is damaged cannot."""
    if not path.exists():
        return False
    try:
        database = sqlite3.connect(path)
        try:
            database.execute("SELECT count(*) FROM photos").fetchone()
            return bool(database.execute("SELECT of FROM made").fetchone() == (of,))
        finally:
            database.close()
    except sqlite3.Error:
        return False
