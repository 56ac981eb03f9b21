"""What a shard holds, member by member: photos, labels, and what is passed over."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from device.contract.folders import is_raw, is_system
from device.contract.formats import (
    FILM_SUFFIXES,
    PHOTO_SUFFIXES,
    PICTURES_IN_A_ROW,
    is_film_start,
    is_photo_start,
)

START_BYTES = 64
"""They tell what a file without a known suffix is."""
MOST_LABEL_BYTES = 2**16
LABEL_SUFFIXES = ("cls", "json", "txt")
"""Members that say what the photos of their key show; an earlier one counts more."""
JSON_LABELS = ("label", "class", "class_name", "cls")


class Holds(StrEnum):
    """What an entry is; the value describes one or several that are no photos."""

    PHOTO = "photos"
    RAW = "of cameras' raw formats, which are not read: convert them to JPEG"
    FILM = "films, which are read from a folder on a disk only"
    SYSTEM = "of the system or the drive"
    HIDDEN = "hidden"
    OUTSIDE = "with names that lead out of their shard"
    LINK = "links and the like, which are no files"
    TWICE = "with a name that the shard has already"
    OTHER = "no photos"


@dataclass(frozen=True)
class Entry:
    """One member of a shard, one row, or one file of a bucket."""

    name: str
    """Without anything that leads elsewhere, but for `Holds.OUTSIDE`."""
    holds: Holds
    first: int = 0
    """Its first byte, or its row."""
    count: int = 0
    """Its bytes; 0 for a row."""
    label: str | None = None
    """What the shard says that it shows; None if it does not."""


def plain_name(name: str) -> str | None:
    """A member's name without `./` and the like; None if it leads out of the shard."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if name.startswith("/") or ".." in parts or not parts else "/".join(parts)


def key_of(name: str) -> tuple[str, str]:
    """The key of a member and its suffix without a dot: parted at the first dot of the last name.

    Members of one key belong together: that is WebDataset's rule.
    """
    folder, slash, last = name.rpartition("/")
    stem, _, suffix = last.partition(".")
    return f"{folder}{slash}{stem}", suffix


def what_is(name: str, start: Callable[[], bytes]) -> Holds:
    """What a file is, by the rule for files of a folder.

    Args:
        name: plain.
        start: gives its first bytes; called only if its name does not tell.
    """
    parts = name.split("/")
    if any(is_system(part) for part in parts):
        return Holds.SYSTEM
    if any(part.startswith(".") for part in parts):
        return Holds.HIDDEN
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return Holds.PHOTO
    if is_raw(Path(name)):
        return Holds.RAW
    if suffix in FILM_SUFFIXES or suffix in PICTURES_IN_A_ROW:
        return Holds.FILM
    data = start()
    if is_photo_start(data):
        return Holds.PHOTO
    return Holds.FILM if is_film_start(data) else Holds.OTHER


def label_in(suffix: str, data: bytes) -> str | None:
    """What a member with one of `LABEL_SUFFIXES` says that photos show; None if it says nothing."""
    # What is no text is refused later, as the name of a class.
    text = data.decode("utf-8", "surrogateescape").strip()
    if suffix != "json":
        return text or None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = [found.get(key) for key in JSON_LABELS] if isinstance(found, dict) else []
    return next((text for text in map(label_of, values) if text), None)


def label_of(value: object) -> str | None:
    """A label as text: a name, or a number from 0; None for anything else."""
    if isinstance(value, str):
        return value.strip() or None
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number and value >= 0 else None  # type: ignore[operator]
