"""Where photos are cut: `cuts.csv`, one line per photo that is not shown whole."""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from device.contract.arrays import Box
from device.workstation.records import RecordError
from device.workstation.tables import csv_text

COLUMNS = ("path", "left", "upper", "right", "lower", "doubt")


def to_csv(cuts: Mapping[str, Box], doubts: Mapping[str, str] = MappingProxyType({})) -> str:
    """The text of `cuts.csv`.

    Args:
        cuts: by path, in pixels of what `device.contract.photos.decode_frame` gives.
        doubts: by path, why a box may be a bad one.
    """
    lines = ((path, *map(str, box), doubts.get(path, "")) for path, box in cuts.items())
    return csv_text(COLUMNS, lines)


def read_cuts(path: Path) -> dict[str, Box]:
    """Read `cuts.csv` back; the boxes by photo.

    Raises:
        RecordError: if it is missing or damaged.
    """
    return {name: box for name, box, _ in _lines(path)}


def read_doubts(path: Path) -> dict[str, str]:
    """Read from `cuts.csv` which boxes are in doubt, and why; by photo.

    Raises:
        RecordError: as `read_cuts`.
    """
    return {name: doubt for name, _, doubt in _lines(path) if doubt}


def _lines(path: Path) -> list[tuple[str, Box, str]]:
    again = f"remove {path.parent / 'split.csv'} and run `make data`"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            if tuple(next(lines, ())) != COLUMNS:
                raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
            return [(name, box_of(numbers), doubt) for name, *numbers, doubt in lines]
    except FileNotFoundError as error:
        raise RecordError(f"{path} is missing; {again}") from error
    except (OSError, csv.Error, ValueError) as error:
        raise RecordError(f"{path}: damaged ({error}); {again}") from error


def box_of(numbers: list[str]) -> Box:
    """A box from the cells of its line.

    Raises:
        ValueError: if they are none.
    """
    left, upper, right, lower = map(int, numbers)
    if not (0 <= left < right and 0 <= upper < lower):
        raise ValueError(f"{','.join(numbers)} is no box")
    return left, upper, right, lower
