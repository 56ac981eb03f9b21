"""What lies in the folder of saved photos, and what goes first."""

import math
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from device.contract.provenance import REVIEW
from device.files import UNFINISHED, replacing

BLOCK_BYTES = 4096
EARLIEST_S = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""A photo from before was saved by a clock that was not set yet: its age is unknown."""
UNDATED_S = 0.0
"""The file's time of what is saved while nobody knows how late it is."""
AHEAD_S = 86400.0
"""A photo from this far in the future was saved by a clock that was wrong."""
NAME = re.compile(rf"({re.escape(UNFINISHED)})?\d{{8}}T\d{{6}}\.\d{{3}}Z-[0-9a-f]{{8}}\.jpg")
"""Only files with such names are ever counted or removed."""


@dataclass(frozen=True)
class Saved:
    """One file in the folder; its name begins with the time that the device's clock had."""

    path: Path
    bytes: int
    """On disk, about."""
    modified_s: float
    """Of an unlabelled one, since when it is known to be there; long ago if that is not known."""
    labelled: bool


def too_old(files: Sequence[Saved], oldest_s: float) -> list[Saved]:
    """Which unlabelled files are known to be from before `oldest_s`."""
    return [f for f in files if not f.labelled and EARLIEST_S <= f.modified_s < oldest_s]


def too_many(files: Sequence[Saved], limit_bytes: int) -> list[Saved]:
    """Which unlabelled files go so that all stay below a limit; none if that is not enough."""
    doubts = [file for file in files if not file.labelled]
    surplus_bytes = sum(f.bytes for f in files) - limit_bytes
    return oldest(doubts, surplus_bytes) if sum(f.bytes for f in doubts) >= surplus_bytes else []


def oldest(doubts: list[Saved], wanted_bytes: int) -> list[Saved]:
    """The files to remove to gain so many bytes, by the time in their names."""
    gone, gained = [], 0
    for file in sorted(doubts, key=lambda f: (f.path.name, f.path)):
        if gained >= wanted_bytes:
            break
        gone.append(file)
        gained += file.bytes
    return gone


def start_ageing(files: Sequence[Saved]) -> None:
    """Let unlabelled photos age from now on that a wrong clock saved."""
    now_s = time.time()
    for file in files:
        if not file.labelled and not EARLIEST_S <= file.modified_s <= now_s + AHEAD_S:
            # Someone may have fetched it meanwhile.
            with suppress(FileNotFoundError):
                os.utime(file.path, (now_s, now_s))


def saved_photos(folder: Path) -> list[Saved]:
    """The photos that this module saved there; what a kill left half written is removed."""
    found = []
    for parent, _, names in os.walk(folder):
        labelled = Path(parent).relative_to(folder).parts[:1] != (REVIEW,)
        for path in (Path(parent, name) for name in names if NAME.fullmatch(name)):
            try:
                if path.name.startswith(UNFINISHED):
                    path.unlink()
                    continue
                state = path.stat()
            except FileNotFoundError:
                # Someone fetched it meanwhile.
                continue
            found.append(Saved(path, size_on_disk(state.st_size), state.st_mtime, labelled))
    return found


def size_on_disk(size_bytes: int) -> int:
    """What a file of this size takes from the disk, bytes."""
    return math.ceil(size_bytes / BLOCK_BYTES) * BLOCK_BYTES


def write_whole(path: Path, data: bytes, *, undated: bool = False) -> None:
    """Write a whole file that survives a power cut, or none; half of one stays hidden."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=True) as part:
        part.write_bytes(data)
        if undated:
            os.utime(part, (UNDATED_S, UNDATED_S))
