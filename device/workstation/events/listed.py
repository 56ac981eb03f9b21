"""The list of events and places: `events.csv`, one line per photo."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from device.workstation.records import RecordError
from device.workstation.tables import csv_parts

COLUMNS = ("path", "event", "place")


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


def read_occasions(path: Path) -> dict[str, Occasion]:
    """Read `events.csv` back; the occasions by photo.

    Raises:
        RecordError: if it is missing or damaged.
    """
    again = f"remove {path.parent / 'split.csv'} and run `make data`"
    try:
        found = {}
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, strict=True):
                if None in (*line, *line.values()):
                    raise ValueError(f"a line has not {len(COLUMNS)} cells")
                found[line["path"]] = Occasion(line["event"], line["place"])
        return found
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; {again}") from error
    except (OSError, KeyError, csv.Error, ValueError) as error:
        raise RecordError(f"{path}: damaged ({error}); {again}") from error
