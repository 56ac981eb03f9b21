"""Reading visits back: each local day has a folder with a file of lines and the pictures.

    PATH/2026-11-26/visits.jsonl                       one line for each visit that has ended
    PATH/2026-11-26/20261126-071502-3fa2b1.jpg         its picture

Any thread or process may read while another writes: lines and pictures appear whole.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from device.visits.visit import Visit, day_of, from_record

log = logging.getLogger("fieldguide")

LINES = "visits.jsonl"
Stamp = tuple[int, int]
"""Modification time and size of a file."""


class Days:
    """The visits in a folder, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[date, tuple[Stamp, tuple[Visit, ...]]] = {}
        self._damaged: dict[date, int] = {}

    def today(self) -> tuple[Visit, ...]:
        """Today's visits, the newest first, without pictures."""
        return self.of(today())

    def of(self, day: date) -> tuple[Visit, ...]:
        """The visits that began on a local day, the newest first, without pictures."""
        path = folder_of(self._folder, day) / LINES
        try:
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            known = self._read.get(day)
            if known is None or known[0] != stamp:
                known = self._read[day] = (stamp, self._parse(day, path.read_bytes()))
        except OSError:
            return ()
        return known[1]

    def all(self) -> list[date]:
        """The days that have a folder, the newest first."""
        try:
            names = [entry.name for entry in self._folder.iterdir()]
        except OSError:
            return []
        return sorted(filter(None, map(day_of_folder, names)), reverse=True)

    def forget(self) -> None:
        """Keep nothing in memory; what is wanted again is read again."""
        self._read = {}

    def counts(self, most_days: int = 30) -> Mapping[date, Counter[str]]:
        """How many visits of each label, on the newest days with visits, the newest first."""
        counted = {day: Counter(v.label for v in self.of(day)) for day in self.all()[:most_days]}
        self._read = {day: read for day, read in self._read.items() if day in counted}
        return {day: counts for day, counts in counted.items() if counts}

    def picture(self, visit_id: str) -> bytes | None:
        """The JPEG of a visit; None if there is none, or if this is no id."""
        try:
            return picture_path(self._folder, visit_id).read_bytes()
        except (OSError, ValueError):
            return None

    def _parse(self, day: date, data: bytes) -> tuple[Visit, ...]:
        # By id: a kill right after a line was written lets it be written again.
        found: dict[str, Visit] = {}
        damaged = 0
        for line in data.splitlines():
            try:
                visit = from_record(json.loads(line))
            except (ValueError, RecursionError):
                damaged += bool(line.strip())
            else:
                found[visit.id] = visit
        if damaged != self._damaged.get(day, 0):
            self._damaged[day] = damaged
            log.warning("visits: %s: %d damaged lines are passed over", day, damaged)
        return tuple(sorted(found.values(), key=lambda v: v.start_unix_s, reverse=True))


def today() -> date:
    """The local day."""
    now = time.localtime()
    return date(now.tm_year, now.tm_mon, now.tm_mday)


def folder_of(folder: Path, day: date) -> Path:
    """The folder of a day."""
    return folder / day.isoformat()


def day_of_folder(name: str) -> date | None:
    """The day of a folder's name; None if it is none of these folders."""
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    return day if day.isoformat() == name and day.year >= 1970 else None


def picture_path(folder: Path, visit_id: str) -> Path:
    """Where the picture of a visit is.

    Raises:
        ValueError: if this is no id.
    """
    return folder_of(folder, day_of(visit_id)) / f"{visit_id}.jpg"
