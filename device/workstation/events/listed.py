"""The list of events and places: `events.csv`, one line per photo."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device.workstation.records import RecordError
from device.workstation.tables import csv_parts

COLUMNS = ("path", "event", "place")
MANY, BLOCK = 20_000, 4096
"""So many photos are not in a dictionary; lines that are read at a time then."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and where a photo was taken, as names that are equal for equal occasions."""

    event: str
    """A visit, a burst or a film: its photos are right or wrong together."""
    place: str = ""
    """Where the camera stood; empty if unknown."""


def to_csv(occasions: Mapping[str, Occasion]) -> str:
    """The text of `events.csv`; `occasions` are by path."""
    rows = occasions.items()
    return "".join(parts_of_csv((path, each.event, each.place) for path, each in rows))


def parts_of_csv(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The text in parts, from the path, event and place of each photo."""
    return csv_parts(COLUMNS, rows)


class Listed(Mapping[str, Occasion]):
    """Occasions of very many photos: some 100 bytes each, where a dictionary takes 300."""

    def __init__(self, cells: npt.NDArray[Any]) -> None:
        """Sort them.

        Args:
            cells: (n, 3) texts, as `COLUMNS`; no path comes twice.
        """
        self._cells = cells
        hashes = np.fromiter(map(hash, self), np.int64, len(cells))
        self._order = np.argsort(hashes)
        self._hashes = hashes[self._order]

    @property
    def unique(self) -> bool:
        """Whether no two paths have one hash: they may be one path."""
        return bool(np.diff(self._hashes).all())

    def __len__(self) -> int:
        return len(self._cells)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self._cells[start : start + BLOCK, 0].tolist()

    def __getitem__(self, path: str) -> Occasion:
        place = int(np.searchsorted(self._hashes, hash(path)))
        if place < len(self):
            name, *occasion = self._cells[self._order[place]].tolist()
            if name == path:
                return Occasion(*occasion)
        raise KeyError(path)


def read_occasions(path: Path) -> Mapping[str, Occasion]:
    """Read `events.csv` back; the occasions by photo.

    Raises:
        RecordError: if it is missing or damaged.
    """
    again = f"remove {path.parent / 'split.csv'} and run `make data`"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines, parts = _lines(csv.DictReader(file, strict=True)), []
            while some := list(islice(lines, BLOCK)):
                parts.append(np.array(some, np.dtypes.StringDType()))
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; {again}") from error
    except (OSError, KeyError, csv.Error, ValueError) as error:
        raise RecordError(f"{path}: damaged ({error}); {again}") from error
    cells = np.concatenate([np.empty((0, len(COLUMNS)), np.dtypes.StringDType()), *parts])
    if len(cells) >= MANY and (listed := Listed(cells)).unique:
        return listed
    return {name: Occasion(event, place) for name, event, place in cells.tolist()}


def _lines(file: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str, str]]:
    for line in file:
        if None in (*line, *line.values()):
            raise ValueError(f"a line has not {len(COLUMNS)} cells")
        yield line["path"], line["event"], line["place"]
