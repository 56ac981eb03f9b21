"""Which files of a folder are photos or films: one rule for training and the device."""

import os
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path

from device.contract.formats import (
    FILM_SUFFIXES,
    PHOTO_SUFFIXES,
    PICTURES_IN_A_ROW,
    is_film_start,
    is_photo_start,
)

_RAW = re.compile(
    r"\.(3fr|arw|cr[23w]|dcr|dng|erf|iiq|k25|kdc|mef|mos|mrw|nef|nrw|orf|pef|ptx|raf|raw|rw[2l]"
    r"|sr[2fw]|x3f)",
    re.IGNORECASE,
)
"""Suffixes of cameras' raw pictures: many begin like a TIFF, but we could read only a preview."""

_SYSTEM = re.compile(
    r"@eadir|#recycle|#snapshot|@recycle|@recently-snapshot|\.@__thumb|synophoto_thumb.*"
    r"|.*@syno(eastream|resource)|\$recycle\.bin|system volume information|lost\+found"
    r"|(eh)?thumbs(_vista)?\.db|desktop\.ini|.*:zone\.identifier|__macosx|\._.*|\.ds_store|icon\r"
    r"|\.appledouble|\.fseventsd|\.spotlight-.*|network trash folder|temporary items|\.trash.*"
    r"|\.thumbnails|\.directory|\.nomedia|\.?picasa(originals|\.ini)|@(tmp|sharebin)|@?__thumb"
    r"|recycler|recycle bin( - .*)?|trashbox|found\.\d{3}|:2e.*|\.dtrash|captureone|thmbnl"
    r"|.*\.(thm|lrdata|lrcat-data|cocatalog)",
    re.IGNORECASE | re.DOTALL,
)
"""What systems, network drives and photo programs put among photos for themselves."""
_LIBRARY = re.compile(r".*\.(migrated)?(photos?|ap)library", re.IGNORECASE | re.DOTALL)
"""Photos, iPhoto, Aperture: originals, edited ones and thumbnails under names of their own."""
_THUMBNAILS = re.compile(r"_?(thumb(nail)?|preview)s?", re.IGNORECASE)
_OF_THUMBNAIL = re.compile(r"^(tn|thumb)[_-]|[_-](tn|thumb|thumbnail|small|preview)$")
_START_BYTES = 64


class SkipReason(Enum):
    """Why something in a folder is skipped. The value describes one or several of them."""

    SYSTEM = "of the system or the drive"
    THUMBNAILS = "with thumbnails of the photos beside them"
    LIBRARY = "of photo programs, which keep several versions of a photo: export the photos"
    HIDDEN = "hidden"
    RAW = "of cameras' raw formats, which are not read: convert them to JPEG"
    FILM = "films"
    OTHER = "no photos"
    BROKEN_LINK = "links that lead nowhere"
    ALREADY_READ = "links to folders above them, or read already"


OnSkipped = Callable[[Path, SkipReason], object]


def is_system(name: str) -> bool:
    """Whether a file or folder with this name belongs to the system or a network drive."""
    return _SYSTEM.fullmatch(name) is not None


def is_raw(path: Path) -> bool:
    """Whether a file is a camera's raw picture, by its suffix."""
    return _RAW.fullmatch(path.suffix) is not None


def is_photo(path: Path) -> bool:
    """Whether a file counts as a photo: by its suffix, or by its bytes if the suffix is unknown."""
    if path.suffix.lower() in PHOTO_SUFFIXES:
        return True
    if path.suffix.lower() in PICTURES_IN_A_ROW or is_raw(path):
        return False
    return is_photo_start(_start(path))


def is_film(path: Path) -> bool:
    """Whether a file that is no photo counts as a film: by its suffix, or by its bytes."""
    return path.suffix.lower() in FILM_SUFFIXES or is_film_start(_start(path))


def _start(path: Path) -> bytes:
    """How a file begins; empty for what is no file, or cannot be read."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                return file.read(_START_BYTES)
    except OSError:
        pass
    return b""


def photos_below(
    folder: Path,
    *,
    on_unreadable: Callable[[OSError], object] | None = None,
    on_skipped: OnSkipped | None = None,
) -> Iterator[Path]:
    """Photo files in a folder and its subfolders, by name; those behind links come last.

    Links to folders are followed: each folder once, and never one that contains `folder`.

    Args:
        folder: where to look.
        on_unreadable: called for each folder that cannot be read; without it the error is raised.
        on_skipped: called for what is skipped, with the reason.
    """
    seen = _ancestors(folder)
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        try:
            where = _identity(path)
            if where in seen:
                _report_skipped(on_skipped, path, SkipReason.ALREADY_READ)
                continue
            seen.add(where)
            waiting += reversed(_entries(path, on_skipped))
        except OSError as error:
            if on_unreadable is None:
                raise
            on_unreadable(error)


def _entries(
    folder: Path, on_skipped: Callable[[Path, SkipReason], object] | None
) -> list[tuple[Path, bool]]:
    """Photos and subfolders (True), linked folders last; reports everything else."""
    found: list[tuple[Path, bool]] = []
    linked: list[tuple[Path, bool]] = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        why = _skip_reason(entry, path)
        if why:
            _report_skipped(on_skipped, path, why)
        elif entry.is_dir():
            (linked if entry.is_symlink() else found).append((path, True))
        else:
            found.append((path, False))
    return found + linked


def _skip_reason(entry: os.DirEntry[str], path: Path) -> SkipReason | None:
    if is_system(entry.name):
        return SkipReason.SYSTEM
    if _LIBRARY.fullmatch(entry.name):
        return SkipReason.LIBRARY
    if _THUMBNAILS.fullmatch(entry.name) and entry.is_dir() and _repeats_its_folder(path):
        return SkipReason.THUMBNAILS
    if entry.name.startswith("."):
        return SkipReason.HIDDEN
    if entry.is_symlink() and not os.path.exists(path):
        return SkipReason.BROKEN_LINK
    if entry.is_dir() or (entry.is_file() and is_photo(path)):
        return None
    if is_raw(path):
        return SkipReason.RAW
    return SkipReason.FILM if entry.is_file() and is_film(path) else SkipReason.OTHER


def _repeats_its_folder(path: Path) -> bool:
    """Whether all files in a folder are named after files beside the folder."""
    try:
        beside = {Path(name).stem.lower() for name in os.listdir(path.parent)}
        names = [Path(name).stem.lower() for name in os.listdir(path) if not is_system(name)]
    except OSError:
        # That is reported when the folder itself is read; the photos beside it can be.
        return False
    return bool(names) and all(_OF_THUMBNAIL.sub("", name) in beside for name in names)


def _report_skipped(
    on_skipped: Callable[[Path, SkipReason], object] | None, path: Path, why: SkipReason
) -> None:
    if on_skipped is not None:
        on_skipped(path, why)


def _ancestors(folder: Path) -> set[tuple[int, int]]:
    """The folders that contain a folder, by its path as given and by its real path."""
    named = folder.absolute()
    found = set()
    for path in {*named.parents, *Path(os.path.realpath(named)).parents}:
        try:
            found.add(_identity(path))
        except OSError:
            # A folder that may not be read cannot be reached through a link either.
            continue
    return found


def _identity(path: Path) -> tuple[int, int]:
    """The same for all names of one folder."""
    state = os.stat(path)
    return state.st_dev, state.st_ino
