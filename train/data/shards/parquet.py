"""The rows of a Parquet file: what each is called and what it shows, without their pictures."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from device.workstation.shards.rows import Rows
from train.data.shards.entries import Entry, Holds, label_of, plain_name


def entries_of_parquet(shard: str) -> list[Entry]:
    """The photos of a file, in order; one without a name is called by its row.

    Raises:
        StoreError: if it cannot be read, is damaged, or its columns cannot be told.
    """
    rows = Rows(shard)
    stem = PurePosixPath(shard).stem
    found: list[Entry] = []
    taken: set[str] = set()
    for row, (label, path) in enumerate(_labels_and_paths(rows)):
        name = _name(path)
        if name is None or name in taken:
            suffix = PurePosixPath(name).suffix if name else ""
            name = f"{stem}/{row:06d}{suffix}"
        taken.add(name)
        found.append(Entry(name, Holds.PHOTO, row, label=_named(label, rows)))
    return found


def _labels_and_paths(rows: Rows) -> Iterator[tuple[object, object]]:
    columns = rows.columns
    for group in range(len(rows.starts) - 1):
        labels = rows.column(group, columns.labels).to_pylist()
        paths = rows.column(group, columns.paths).to_pylist() if columns.paths else ()
        yield from zip(labels, paths or [None] * len(labels), strict=True)


def _name(path: object) -> str | None:
    """The name that a row gives its picture; of a path on somebody's disk only the last part."""
    if not isinstance(path, str) or not path:
        return None
    return plain_name(path) or plain_name(path.replace("..", "").rpartition("/")[2])


def _named(label: object, rows: Rows) -> str | None:
    if isinstance(label, list) and len(label) == 1:
        (label,) = label
    text = label_of(label)
    names: Any = rows.columns.names
    if text is None or not names or not isinstance(label, int):
        return text
    return names[label] if label < len(names) else None
