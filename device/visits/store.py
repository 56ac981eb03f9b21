"""Writing visits: by day, whole or not at all, in limited space.

The visit that goes on is in `GOING`, so that one that a kill cuts short is not lost. Layout and
reading are in `device.visits.days`.
"""

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from device import clock, files
from device.errors import one_line
from device.visits.days import LINES, Days, day_of_folder, folder_of, picture_path, today
from device.visits.visit import ID, Visit, from_record

log = logging.getLogger("fieldguide")

GOING = "going.json"
MB = 1_000_000
SHRINK_TO = 0.95
"""A folder above its limit is reduced to this share of it, so that this happens rarely."""
DAY_S = 86400.0


@dataclass(frozen=True)
class Stored:
    """One file of a day's folder."""

    path: Path
    day: date
    bytes: int
    """On the disk."""
    modified_s: float


class VisitStore:
    """Writes to a folder; for one thread."""

    def __init__(self, folder: Path, max_mb: int, max_age_days: float) -> None:
        """Prepare; no file is touched.

        Args:
            folder: will be made with the first visit.
            max_mb: limit of all files together, in million bytes.
            max_age_days: older days are removed, if a time server has set the clock.
        """
        self._folder, self._max_bytes, self._max_age_days = folder, max_mb * MB, max_age_days
        self._used_bytes: int | None = None

    def keep(self, visit: Visit) -> None:
        """Note what is known of a visit that goes on, in case of a kill.

        Args:
            visit: as it would be if nothing more was heard of it.

        Raises:
            OSError: if it cannot be written.
        """
        left = self._noted()
        if left is not None and left.id != visit.id:
            # Its end was never told: visits were switched off meanwhile.
            self.add(left)
        self._keep_picture(visit)
        data = json.dumps(visit.record()).encode()
        files.write_bytes(self._folder / GOING, data, durable=True)

    def add(self, visit: Visit) -> None:
        """Add a visit that has ended.

        Raises:
            OSError: if it cannot be written.
        """
        line = json.dumps(visit.record()).encode() + b"\n"
        self._keep_picture(visit)
        self._make_room(len(line))
        _append(folder_of(self._folder, visit.day) / LINES, line)
        left = self._noted()
        if left is not None and left.id == visit.id:
            (self._folder / GOING).unlink(missing_ok=True)

    def cut_short(self) -> Visit | None:
        """The visit that went on when the last process ended, as far as it is known.

        It stays noted until it is added.
        """
        visit = self._noted()
        if visit is None or all(v.id != visit.id for v in Days(self._folder).of(visit.day)):
            return visit
        with suppress(OSError):
            (self._folder / GOING).unlink()
        return None

    def settle(self) -> None:
        """Add the visit that goes on as if it had ended: its end will be told, but not to this.

        Raises:
            OSError: if it cannot be written.
        """
        left = self.cut_short()
        if left is not None:
            self.add(left)

    def _noted(self) -> Visit | None:
        path = self._folder / GOING
        try:
            return _ended(from_record(json.loads(path.read_bytes())))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.warning("visits: %s: not readable, forgotten: %s", path, one_line(error))
            with suppress(OSError):
                path.unlink()
            return None

    def tidy(self, wanted_bytes: int = 0) -> None:
        """Remove days that are too old, then the oldest pictures until below the limit.

        Args:
            wanted_bytes: room for so many more.

        Raises:
            OSError: if something cannot be removed.
        """
        if not self._folder.is_dir():
            return
        stored = _stored(self._folder)
        if clock.is_synchronized():
            _start_ageing(stored)
            oldest_s = time.time() - self._max_age_days * DAY_S
            old = [f for f in stored if clock.EARLIEST_S <= _newest_s(f) < oldest_s]
            stored = _without(stored, old)
        used_bytes = sum(file.bytes for file in stored)
        if used_bytes + wanted_bytes > self._max_bytes:
            kept_bytes = int(self._max_bytes * SHRINK_TO) - wanted_bytes
            gone = _first_to_go(stored, used_bytes - kept_bytes)
            log.info("visits: removed %d files, above max_mb", len(gone))
            stored = _without(stored, gone)
        self._used_bytes = sum(file.bytes for file in stored)

    def _make_room(self, wanted_bytes: int) -> None:
        wanted_bytes = files.size_on_disk(wanted_bytes)
        if self._used_bytes is None or self._used_bytes + wanted_bytes > self._max_bytes:
            self.tidy(wanted_bytes)
        self._used_bytes = (self._used_bytes or 0) + wanted_bytes

    def _keep_picture(self, visit: Visit) -> None:
        path = picture_path(self._folder, visit.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        if visit.picture is not None:
            self._make_room(len(visit.picture))
            files.write_bytes(path, visit.picture, durable=True)


def _ended(visit: Visit) -> Visit:
    """Raises ValueError: a visit is noted as if it had ended, and would else go on for ever."""
    if visit.end_unix_s is None:
        raise ValueError("it has no end")
    return visit


def _append(path: Path, line: bytes) -> None:
    """Append a line that survives a power cut; after half a line of an earlier one, below it."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(file).st_size
        is_torn = size and os.pread(file, 1, size - 1) != b"\n"
        files.append(file, b"\n" + line if is_torn else line)
        os.fsync(file)
    finally:
        os.close(file)


def _stored(folder: Path) -> list[Stored]:
    """Our own files, by day; removes unfinished ones left by a kill."""
    found = []
    for entry in folder.iterdir():
        day = day_of_folder(entry.name)
        for path in entry.iterdir() if day and entry.is_dir() else ():
            if path.name.startswith(files.UNFINISHED):
                path.unlink(missing_ok=True)
            elif day and (
                path.name == LINES or (path.suffix == ".jpg" and ID.fullmatch(path.stem))
            ):
                state = path.stat()
                size_bytes = files.size_on_disk(state.st_size)
                found.append(Stored(path, day, size_bytes, state.st_mtime))
    return found


def _newest_s(file: Stored) -> float:
    """The newest Unix time at which a file may have been written."""
    day_s = datetime(file.day.year, file.day.month, file.day.day).timestamp()
    return day_s + DAY_S if _is_plausible(day_s) else file.modified_s


def _is_plausible(unix_s: float) -> bool:
    return clock.EARLIEST_S <= unix_s <= time.time() + clock.AHEAD_S


def _start_ageing(stored: list[Stored]) -> None:
    """Date files that were written with a wrong clock to now, so that they age."""
    for file in stored:
        if not _is_plausible(_newest_s(file)):
            os.utime(file.path)


def _first_to_go(stored: list[Stored], wanted_bytes: int) -> list[Stored]:
    """The oldest pictures; where these are not enough, the lines of the oldest days but today's."""
    gone: list[Stored] = []
    gained = 0
    lines = [file for file in stored if file.path.name == LINES and file.day != today()]
    pictures = [file for file in stored if file.path.name != LINES]
    for files_of_a_kind in (pictures, lines):
        for file in sorted(files_of_a_kind, key=lambda f: (f.day, f.path.name)):
            if gained >= wanted_bytes:
                return gone
            gone.append(file)
            gained += file.bytes
    return gone


def _without(stored: list[Stored], gone: list[Stored]) -> list[Stored]:
    """Remove files, and the folders that this leaves empty; returns the others."""
    for file in gone:
        file.path.unlink(missing_ok=True)
    for folder in {file.path.parent for file in gone}:
        with suppress(OSError):
            folder.rmdir()
    removed = set(gone)
    return [file for file in stored if file not in removed]
