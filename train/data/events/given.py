"""What the user says of events and places: `EVENTS=file.csv`, in the format of `events.csv`."""

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from device.workstation.events.listed import COLUMNS, Occasion
from device.workstation.wording import shown
from train.data.events.occasions import EventSettings
from train.data.folder import SHOWN
from train.errors import DataError

_FORMAT = f"expected one line for each photo, after the header {','.join(COLUMNS)}"


def event_settings(
    event_s: str, events: Path | None, place: Literal["auto", "folder"]
) -> EventSettings:
    """The settings of a command line.

    Args:
        event_s: seconds as the user wrote them.
        events: the user's list; None: there is none.
        place: whether places are found, or are the sub-folders of the classes.

    Raises:
        DataError: if the seconds are no number of 0 or more, or as `read_given` does.
    """
    try:
        gap_s = float(event_s)
    except ValueError:
        gap_s = -1
    if not 0 <= gap_s < math.inf:
        raise DataError(f"EVENT_S={event_s}: give seconds, 0 or more, as in EVENT_S=60")
    return EventSettings(gap_s, read_given(events) if events else {}, place == "folder")


def read_given(path: Path) -> dict[str, Occasion]:
    """Read the user's list; by path, what it says. An empty event or place says nothing.

    Raises:
        DataError: in one line, if it cannot be read, has other columns, or gives one photo two
            events or two places.
    """
    given: dict[str, Occasion] = {}
    for number, (name, event, place) in _lines(path):
        said = Occasion(event.strip(), place.strip())
        if given.setdefault(name, said) != said:
            raise DataError(
                f"EVENTS={path}: line {number} gives {shown(name)} another event or place than "
                "a line before; a photo has one of each"
            )
    if not given:
        raise DataError(f"EVENTS={path}: it lists no photos; {_FORMAT}")
    return given


def _lines(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """Path, event and place, with the number of the line where they end."""
    text = _text(path)
    # Where a comma is a decimal point, spreadsheets separate by semicolons.
    header_line = text.partition("\n")[0]
    separator = next((each for each in ";\t" if header_line.count(each) == 2), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            found = ",".join(header) or "nothing"
            raise DataError(f"EVENTS={path}: its columns are {shown(found)}; {_FORMAT}")
        order = [header.index(name) for name in COLUMNS]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(COLUMNS):
                raise DataError(
                    f"EVENTS={path}: line {reader.line_num} has {len(cells)} cells instead of "
                    f"{len(COLUMNS)}; {_FORMAT}"
                )
            name, event, place = (cells[i] for i in order)
            if not name:
                raise DataError(f"EVENTS={path}: line {reader.line_num} names no photo; {_FORMAT}")
            yield reader.line_num, (name, event, place)
    except csv.Error as error:
        raise DataError(f"EVENTS={path}: line {reader.line_num}: {error}; {_FORMAT}") from error


def _text(path: Path) -> str:
    try:
        # Spreadsheets write a byte order mark.
        return Path(os.path.expanduser(path)).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"EVENTS={path}: it is not UTF-8 text: save it as CSV in UTF-8; {_FORMAT}"
        ) from error
    except OSError as error:
        raise DataError(f"EVENTS={path}: {error.strerror}; {_FORMAT}") from error


def check_named(given: Mapping[str, Occasion], paths: Iterable[str]) -> None:
    """Refuse a list that names photos which are not in the data folder.

    Raises:
        DataError: naming some of them.
    """
    unknown = set(given)
    unknown.difference_update(paths)
    strangers = [shown(name) for name in given if name in unknown]
    if strangers:
        names = ", ".join([*strangers[:SHOWN], *(["..."] if len(strangers) > SHOWN else [])])
        photos = "1 photo that is" if len(strangers) == 1 else f"{len(strangers):,} photos that are"
        raise DataError(
            f"EVENTS: it names {photos} not in the data folder ({names}); give the paths as in "
            "events.csv, such as robin/12.jpg"
        )
