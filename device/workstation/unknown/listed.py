"""The user's own strangers: `strangers.csv`, one line per photo of the folder `_other`."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from device.contract.arrays import Box
from device.workstation.cuts import box_of
from device.workstation.records import RecordError
from device.workstation.tables import csv_text

COLUMNS = ("path", "part", "sha256", "event", "left", "upper", "right", "lower", "reason")


@dataclass(frozen=True)
class Stranger:
    """One photo that shows none of the classes."""

    path: str
    """Relative to the data folder."""
    part: str
    """train if it teaches what is unknown, test if it judges that, or left_out."""
    sha256: str
    event: str
    """Photos of one event are turned away or named together."""
    box: Box | None = None
    """Where it is cut, in pixels of `decode_frame`'s picture; None for a photo that stays whole."""
    reason: str = ""
    """Why it was left out; empty otherwise."""


def to_csv(strangers: Iterable[Stranger]) -> str:
    """The text of `strangers.csv`."""
    return csv_text(COLUMNS, map(_cells, strangers))


def _cells(one: Stranger) -> tuple[str, ...]:
    box = tuple(map(str, one.box)) if one.box else ("",) * 4
    return (one.path, one.part, one.sha256, one.event, *box, one.reason)


def read_strangers(path: Path) -> tuple[Stranger, ...]:
    """Read `strangers.csv` back.

    Raises:
        RecordError: if it is missing or damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            if tuple(next(lines, ())) != COLUMNS:
                raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
            return tuple(_stranger(cells) for cells in lines)
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; run `make data` first") from error
    except (OSError, csv.Error, ValueError) as error:
        raise RecordError(f"{path}: damaged ({error}); remove it and run `make data`") from error


def _stranger(cells: list[str]) -> Stranger:
    path, part, sha256, event, *numbers, reason = cells
    return Stranger(path, part, sha256, event, box_of(numbers) if any(numbers) else None, reason)
