"""The folder of saved photos: what is in it, and which photos to remove first."""

import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from device.clock import AHEAD_S, EARLIEST_S
from device.contract.provenance import REVIEW
from device.files import UNFINISHED, replacing, size_on_disk

UNDATED_S = 0.0
"""The modification time of photos saved while the clock is not set."""
RANDOM_END, WORLD_END = "-random.jpg", "-world.jpg"
"""How the names of photos of random moments end, and of those of an alarm of the world."""
NAME = re.compile(
    rf"({re.escape(UNFINISHED)})?\d{{8}}T\d{{6}}\.\d{{3}}Z-[0-9a-f]{{8}}(-random|-world)?\.jpg"
)
"""Only files with such names are ever counted or removed."""


@dataclass(frozen=True)
class Saved:
    """One file in the folder; its name begins with the time by the device's clock."""

    path: Path
    bytes: int
    """Approximate size on disk."""
    modified_s: float
    """For an unlabelled photo, since when it has been there; long ago if that is unknown."""
    labelled: bool
    random: bool = False
    """Whether it shows a random moment, and is not labelled yet."""
    world: bool = False
    """Whether it is of an alarm of the world, and is not labelled yet."""


def too_old(files: Sequence[Saved], oldest_s: float) -> list[Saved]:
    """The unlabelled files that are known to be older than `oldest_s`."""
    return [f for f in files if not f.labelled and EARLIEST_S <= f.modified_s < oldest_s]


def too_many(
    files: Sequence[Saved], limit_bytes: int, *, spare_random: bool = False
) -> list[Saved]:
    """The unlabelled files to remove to get below a limit; none if that would not be enough.

    Args:
        files: all files of the folder.
        limit_bytes: of all of them together.
        spare_random: whether those of random moments must stay.
    """
    surplus_bytes = sum(f.bytes for f in files) - limit_bytes
    return first_to_go(files, surplus_bytes, spare_random=spare_random)


def too_many_random(files: Sequence[Saved], limit_bytes: int) -> list[Saved]:
    """The oldest photos of random moments, as many as are above their own limit."""
    kept = [file for file in files if file.random]
    return _oldest(kept, sum(f.bytes for f in kept) - limit_bytes)


def first_to_go(
    files: Sequence[Saved], wanted_bytes: int, *, spare_random: bool = False
) -> list[Saved]:
    """The unlabelled files to remove to free this many bytes; none if they are not enough.

    Doubtful ones go first, then those of an alarm of the world, and last those of random moments;
    of each the oldest first.
    """
    loose = [f for f in files if not f.labelled and not (f.random and spare_random)]
    return _oldest(loose, wanted_bytes) if sum(f.bytes for f in loose) >= wanted_bytes else []


def _oldest(files: list[Saved], wanted_bytes: int) -> list[Saved]:
    gone, gained = [], 0
    for file in sorted(files, key=lambda f: (f.random, f.world, f.path.name, f.path)):
        if gained >= wanted_bytes:
            break
        gone.append(file)
        gained += file.bytes
    return gone


def start_ageing(files: Sequence[Saved]) -> None:
    """Date unlabelled photos that were saved with a wrong clock to now, so that they age."""
    now_s = time.time()
    for file in files:
        if not file.labelled and not EARLIEST_S <= file.modified_s <= now_s + AHEAD_S:
            # Somebody may have moved it by now.
            with suppress(FileNotFoundError):
                os.utime(file.path, (now_s, now_s))


def saved_photos(folder: Path) -> list[Saved]:
    """The photos that this module saved there; removes unfinished ones left by a kill."""
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
                # Somebody has moved it.
                continue
            random = not labelled and path.name.endswith(RANDOM_END)
            world = not labelled and path.name.endswith(WORLD_END)
            size_bytes = size_on_disk(state.st_size)
            found.append(Saved(path, size_bytes, state.st_mtime, labelled, random, world))
    return found


def write_whole(path: Path, data: bytes, *, undated: bool = False) -> None:
    """Write a whole file that survives a power cut, or none; an unfinished one stays hidden."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=True) as part:
        part.write_bytes(data)
        if undated:
            os.utime(part, (UNDATED_S, UNDATED_S))
