"""Very many records as columns in files: of each 4 bytes are in memory, as objects some hundred.

They are read like a list, and a record is made whenever one is asked for. Few records stay a list.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from train.filed import Growing, Pieces

Numbers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.signedinteger[Any]]
Value = TypeVar("Value")

MANY = 20_000
"""So many records are not held as objects."""
BLOCK = 4096
"""Records that are objects at a time."""
DIGEST_BYTES = 32
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Column(Protocol):
    """The values of one field."""

    @property
    def folder(self) -> Path | None:
        """Of the file that they are in; None: the system's for such files."""

    def add(self, values: Sequence[Any]) -> None:
        """Put more of them behind."""

    def values(self, rows: slice | Rows) -> list[Any]:
        """Those of some rows."""


class Few:
    """Values of which few differ: any that can be keys of a dictionary."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._cells = folder, Growing(folder, np.int32)
        self._number = dict[Any, int]()
        self._known: list[Any] = []

    def add(self, values: Sequence[Any]) -> None:
        """As `Column`."""
        number = self._number
        codes = (number.setdefault(value, len(number)) for value in values)
        self._cells.append(np.fromiter(codes, np.int32, len(values)))

    def values(self, rows: slice | Rows) -> list[Any]:
        """As `Column`."""
        if len(self._known) < len(self._number):
            self._known = list(self._number)
        if len(self._known) == 1:
            # All are the same, as most fields are that few photos have.
            return self._known * len(np.empty(len(self._cells), np.bool_)[rows])
        return [self._known[code] for code in self._cells[rows].tolist()]


class Texts:
    """Texts of which most differ."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._pieces = folder, Pieces(folder)

    def add(self, values: Sequence[str]) -> None:
        """As `Column`."""
        self._pieces.append([text.encode("utf-8", "surrogatepass") for text in values])

    def values(self, rows: slice | Rows) -> list[str]:
        """As `Column`."""
        return [piece.decode("utf-8", "surrogatepass") for piece in self._pieces[rows]]


class Digests:
    """SHA-256, as texts of 64 digits: 32 bytes of each are kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._cells = folder, Growing(folder, np.uint8, DIGEST_BYTES)
        self._others = dict[int, str]()
        """Texts that are no such digest, by their places."""

    def add(self, values: Sequence[str]) -> None:
        """As `Column`."""
        kept = [_raw(text) for text in values]
        for place, raw in enumerate(kept):
            if raw is None:
                self._others[len(self._cells) + place] = values[place]
        data = b"".join(raw or bytes(DIGEST_BYTES) for raw in kept)
        self._cells.append(np.frombuffer(data, np.uint8).reshape(-1, DIGEST_BYTES))

    def values(self, rows: slice | Rows) -> list[str]:
        """As `Column`."""
        digits, size = self._cells[rows].tobytes().hex(), 2 * DIGEST_BYTES
        found = [digits[start : start + size] for start in range(0, len(digits), size)]
        if self._others:
            places = np.arange(len(self._cells))[rows].tolist()
            found = [self._others.get(i, text) for i, text in zip(places, found, strict=True)]
        return found


def _raw(text: str) -> bytes | None:
    """The bytes of a digest; None if a text is none."""
    return bytes.fromhex(text) if _DIGEST.fullmatch(text) else None


class Floats:
    """Numbers, or None."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self._cells = folder, Growing(folder, np.float64)

    def add(self, values: Sequence[float | None]) -> None:
        """As `Column`."""
        self._cells.append(np.array([np.nan if each is None else each for each in values]))

    def values(self, rows: slice | Rows) -> list[float | None]:
        """As `Column`."""
        return [None if each != each else each for each in self._cells[rows].tolist()]


class Known:
    """Values that are there before the records that have them."""

    def __init__(self, values: "Many[Any]") -> None:
        self._values, self.folder = values, values.folder

    def add(self, values: Sequence[Any]) -> None:
        """As `Column`; they are there."""

    def values(self, rows: slice | Rows) -> list[Any]:
        """As `Column`."""
        return self._values.values(rows)


class Fields:
    """Records of a dataclass, field by field."""

    def __init__(self, kind: Any, unlike: Mapping[str, Column], folder: Path | None) -> None:
        """Begin without any.

        Args:
            kind: the dataclass.
            unlike: columns of the fields in which most records differ.
            folder: for the files of the others; None: the system's for such files.
        """
        self.kind, self.folder = kind, folder
        self.columns = {each.name: unlike.get(each.name) or Few(folder) for each in fields(kind)}

    def add(self, values: Sequence[Any]) -> None:
        """As `Column`."""
        for name, column in self.columns.items():
            column.add([getattr(each, name) for each in values])

    def values(self, rows: slice | Rows) -> list[Any]:
        """As `Column`."""
        columns = (column.values(rows) for column in self.columns.values())
        return list(map(self.kind, *columns))


class Many(Sequence[Value]):
    """Some rows of a column, in any order, read like a list."""

    def __init__(self, column: Column, rows: Rows) -> None:
        """See them.

        Args:
            column: that has them.
            rows: (n,).
        """
        self._column, self._rows = column, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Value]:
        for start in range(0, len(self), BLOCK):
            yield from self.values(slice(start, start + BLOCK))

    def __reversed__(self) -> Iterator[Value]:
        for start in reversed(range(0, len(self), BLOCK)):
            yield from reversed(self.values(slice(start, start + BLOCK)))

    @overload
    def __getitem__(self, rows: int) -> Value: ...
    @overload
    def __getitem__(self, rows: slice) -> "Many[Value]": ...
    def __getitem__(self, rows: int | slice) -> "Value | Many[Value]":
        if isinstance(rows, slice):
            return Many(self._column, self._rows[rows])
        return self.values(np.array([rows]))[0]

    def __repr__(self) -> str:
        return repr(list(self))

    @property
    def folder(self) -> Path | None:
        """Of the files that they are in; None: the system's for such files."""
        return self._column.folder

    def values(self, rows: slice | Rows) -> list[Value]:
        """Some of them as objects."""
        return self._column.values(self._rows[rows])

    def texts(self) -> npt.NDArray[Any]:
        """(n,), texts as NumPy's own strings."""
        found = np.empty(len(self), np.dtypes.StringDType())
        for start in range(0, len(self), BLOCK):
            found[start : start + BLOCK] = self.values(slice(start, start + BLOCK))
        return found

    def chosen(self, rows: Rows) -> "Many[Value]":
        """Those of some rows, in their order."""
        return Many(self._column, self._rows[rows])

    def field(self, name: str) -> "Many[Any]":
        """One field of each record."""
        if not isinstance(self._column, Fields):
            raise TypeError(f"{self._column} has no fields")
        return Many(self._column.columns[name], self._rows)


def gathered(records: Iterable[Value], column: Column) -> Sequence[Value]:
    """All records: few as a list, many in a column.

    Args:
        records: which need not be in memory.
        column: without any yet.
    """
    source = iter(records)
    first = list(islice(source, MANY))
    if len(first) < MANY:
        return first
    count, source = 0, chain(first, source)
    while some := list(islice(source, BLOCK)):
        column.add(some)
        count += len(some)
    # Half as large as numbers usually are: each view of some records has its own.
    return Many(column, np.arange(count, dtype=np.int32))


def folder_of(records: Sequence[Any]) -> Path | None:
    """The folder of the files that they are in; None if they are in memory."""
    return records.folder if isinstance(records, Many) else None


def chosen(records: Sequence[Value], rows: Rows) -> Sequence[Value]:
    """Those of some rows, in their order."""
    if isinstance(records, Many):
        return records.chosen(rows)
    return [records[row] for row in rows.tolist()]


def in_order(records: Iterable[Value], name: str) -> Sequence[Value]:
    """All of them in the order of one field, a text; equal ones stay as they were."""
    records = records if isinstance(records, Sequence) else list(records)
    if all(one <= other for one, other in pairwise(values_of(records, name))):
        return records
    keys = values_of(records, name)
    if isinstance(keys, Many):
        # In the same order; as objects they would take a hundred bytes each.
        return chosen(records, np.argsort(keys.texts(), kind="stable"))
    return chosen(records, np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64))


def where(flags: Iterable[bool]) -> Numbers:
    """Which of some are true."""
    return np.flatnonzero(np.fromiter(flags, np.bool_))


def first_equal(texts: Sequence[str]) -> Numbers:
    """(n,), for each text the first equal one: a few bytes of each are in memory."""
    keys = np.fromiter(map(hash, texts), np.int64, len(texts))
    _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    first, seen = np.arange(len(texts)), dict[str, int]()
    again = np.flatnonzero(counts[which] > 1)
    for i, text in zip(again.tolist(), chosen(texts, again), strict=True):
        first[i] = seen.setdefault(text, i)
    return first


def encoded(texts: Sequence[str]) -> npt.NDArray[np.bytes_]:
    """(n,), in whose order the texts are: they take few bytes each, and a set a hundred."""
    longest = max((len(each) for each in _bytes(texts)), default=0) or 1
    return np.fromiter(_bytes(texts), f"S{longest}", len(texts))


def _bytes(texts: Iterable[str]) -> Iterator[bytes]:
    return (text.encode("utf-8", "surrogateescape") for text in texts)


def values_of(records: Sequence[Any], name: str) -> Sequence[Any]:
    """One field of each record."""
    if isinstance(records, Many):
        return records.field(name)
    return [getattr(record, name) for record in records]
