"""Reading a data folder: its classes with their photos and films, and the files that are skipped.

No file that a user put there is skipped without a line that says so. A likely mistake stops the run
with an error that says what to do.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePath

from device.contract.folders import SkipReason, is_film, is_photo, is_system, photos_below
from device.contract.formats import PHOTO_SUFFIXES
from device.contract.names import look_alike_key, look_alikes, name_problem
from device.contract.provenance import OTHER, REVIEW, is_other
from device.workstation.wording import shown
from train.errors import DataError

RENDERED_MARK = "RENDERED.txt"
"""A file that marks a folder of pictures that the project rendered itself."""
PART = re.compile(
    "train|training|trn|val|valid|validation|dev|eval|evaluation|test|testing|tst|holdout|predict"
    "|prediction|unlabell?ed"
)
"""A word in the names of folders that hold a part of a data set, not a class, as in exports."""
BESIDE = re.compile(
    r"\.(csv|docx?|html?|ini|json|log|lst|md|names|pdf|py|tsv|txt|xlsx?|xml|ya?ml|zip)",
    re.IGNORECASE,
)
"""Suffixes of files that describe photos. A folder with only such files is not a lost class."""
MEANT = (SkipReason.RAW, SkipReason.FILM)
"""What is no photo and yet makes a folder a class."""
OTHER_CLASSES = ("other", "others", "none")
"""Names of classes that may be meant as `OTHER`."""
SHOWN = 3
"""Names listed in one line."""


@dataclass(frozen=True)
class Contents:
    """The files of a data folder."""

    photos: tuple[tuple[Path, str], ...]
    """Each with its class, or `OTHER`."""
    raw: tuple[tuple[Path, str], ...]
    """Cameras' raw pictures, likewise; they are not read."""
    films: tuple[tuple[Path, str], ...]
    """Likewise."""
    notes: tuple[str, ...]
    """A line for each kind of file that was skipped."""


def read_folder(folder: Path) -> Contents:
    """Find the photos and films of every class folder.

    Raises:
        DataError: if there are none, if the folders are not classes or cannot be told apart, or if
            one cannot be read or holds only pictures in formats that are not read.
    """
    passed: dict[SkipReason, list[Path]] = defaultdict(list)
    photos: list[tuple[Path, str]] = []
    empty: list[Path] = []
    folders = _class_folders(folder, passed)
    for entry in folders:
        found_before = len(photos) + _count(passed, *MEANT)
        before = {why: len(passed[why]) for why in (SkipReason.OTHER, SkipReason.BROKEN_LINK)}
        below = photos_below(
            entry, on_unreadable=_refuse, on_skipped=lambda path, why: passed[why].append(path)
        )
        photos += ((path, class_of(entry.name)) for path in below)
        if len(photos) + _count(passed, *MEANT) == found_before:
            if not is_other(entry.name):
                check_empty(entry.name, *(passed[why][count:] for why, count in before.items()))
            empty.append(entry)
    raw, films = (
        tuple((path, class_of(path.relative_to(folder).parts[0])) for path in passed.pop(why, ()))
        for why in MEANT
    )
    loose = [
        path
        for path in passed[SkipReason.OTHER]
        if path.parent == folder and (is_photo(path) or is_film(path))
    ]
    of_classes = [each for each in (*photos, *raw, *films) if each[1] != OTHER]
    if not of_classes:
        raise _nothing(folder, bool(loose))
    check_names(label for _, label in of_classes)
    layout = [path.relative_to(folder) for path, _ in of_classes]
    check_layout(layout, lambda inner: str(folder / inner))
    passed[SkipReason.OTHER] = [path for path in passed[SkipReason.OTHER] if path not in set(loose)]
    notes = [
        *_notes(folder, passed),
        *_note(folder, loose, "photos or films in no class folder"),
        *_note(folder, empty, "folders without photos or films"),
        *(note for entry in folders for note in name_notes(entry.name)),
    ]
    return Contents(tuple(photos), raw, films, tuple(notes))


def class_of(name: str) -> str:
    """The class of a folder directly below the data folder, or `OTHER`."""
    return OTHER if is_other(name) else name


def name_notes(name: str) -> list[str]:
    """A line on a folder that may be meant otherwise."""
    if is_other(name) and name != OTHER:
        return [f"{name!r} is read as {OTHER!r}: pictures that show none of the classes"]
    if look_alike_key(name) in OTHER_CLASSES:
        return [
            f"{name!r} is a class like any other; if its pictures show none of the classes, call "
            f"it {OTHER!r}"
        ]
    return []


def _count(passed: dict[SkipReason, list[Path]], *reasons: SkipReason) -> int:
    return sum(len(passed[why]) for why in reasons)


def _class_folders(folder: Path, passed: dict[SkipReason, list[Path]]) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        # Unsorted photos from devices are not trained on (`train.curate.review`).
        if path.name in (REVIEW, RENDERED_MARK):
            continue
        if is_system(path.name):
            passed[SkipReason.SYSTEM].append(path)
        elif path.name.startswith("."):
            passed[SkipReason.HIDDEN].append(path)
        elif path.is_dir():
            found.append(path)
        elif path.exists():
            passed[SkipReason.OTHER].append(path)
        elif path.suffix:
            passed[SkipReason.BROKEN_LINK].append(path)
        else:
            raise _gone(path.name, path)
    return found


def _refuse(error: OSError) -> None:
    raise DataError(
        f"{shown(error.filename)}: {error.strerror or error}; make it readable, or remove it"
    ) from error


def _nothing(folder: Path, loose: bool) -> DataError:
    hint = "its photos are not sorted into folders" if loose else "it holds no photos"
    return DataError(
        f"{folder}: {hint}. Expected one folder per class, each with photos "
        f"({', '.join(sorted(PHOTO_SUFFIXES))}) or films"
    )


def check_empty(name: str, files: Sequence[PurePath], links: Sequence[PurePath] = ()) -> None:
    """Refuse a folder whose files are unsupported or missing: it was probably meant as a class."""
    if links:
        raise _gone(name, links[0])
    odd = [path for path in files if not BESIDE.fullmatch(path.suffix)]
    if odd:
        raise DataError(
            f"class folder {name!r} has no photos, only {_suffixes(odd)}: convert them to "
            "JPEG, or remove the folder"
        )


def _gone(label: str, link: PurePath) -> DataError:
    return DataError(
        f"class {label!r} has no photos: {shown(str(link))} is a link that leads nowhere (a disk "
        "that is not there?): remove it, or restore its target"
    )


def check_names(labels: Iterable[str], what: str = "class folder") -> None:
    """Refuse names that no class can have, and such as look alike.

    Args:
        labels: names of classes.
        what: what has these names, for people.

    Raises:
        DataError: naming one, or some that look alike.
    """
    names = sorted(set(labels))
    for alike in look_alikes(names):
        both = " and ".join(map(repr, alike))
        raise DataError(f"{what}s {both} look alike: put their photos into one of them")
    for name in names:
        problem = name_problem(name)
        if problem:
            raise DataError(f"{what} {name!r} {problem}: rename it")


def check_layout(photos: Sequence[PurePath], named: Callable[[PurePath], str]) -> None:
    """Refuse folders that are parts of a data set, and class folders one level too deep.

    Args:
        photos: their paths in the data folder.
        named: how `DATA=` calls a folder in it.

    Raises:
        DataError: naming the folders.
    """
    tops = {path.parts[0] for path in photos}
    # Once for all folders: with many classes, each with each photo would take hours.
    below: dict[tuple[str, ...], set[tuple[str, bool]]] = defaultdict(set)
    for path in photos:
        for depth in (0, 1):
            rest = path.parts[depth:]
            if len(rest) > 1:
                below[path.parts[:depth]].add((rest[0], len(rest) > 2))
    for holder in sorted(below):
        parts = _part_folders(below[holder])
        if parts:
            raise DataError(
                f"{named(PurePath(*holder))}: its folders are parts ({', '.join(parts)}), not "
                "classes; put the class folders directly below DATA, with all their photos: "
                "`make data` makes the split"
            )
    deep = {path.parts[1] for path in photos if len(path.parts) > 2}
    if len(tops) == 1 and deep and all(len(path.parts) > 2 for path in photos):
        (top,) = tops
        raise DataError(
            f"{named(PurePath())}: its only class would be {top!r}, which holds folders "
            f"({_few(sorted(deep))}): if they are the classes, give DATA={named(PurePath(top))}"
        )


def _part_folders(folders: Set[tuple[str, bool]]) -> list[str]:
    """Names of folders that are parts of a data set: two or more, one of which contains folders.

    Args:
        folders: names, each with whether it contains folders.
    """
    named = sorted({name for name, _ in folders if _is_part(name)})
    deep = {name for name, contains in folders if contains}
    return named if len(named) > 1 and deep & set(named) else []


def _is_part(name: str) -> bool:
    return any(PART.fullmatch(word) for word in re.findall("[a-z]+", name.lower()))


def _notes(folder: Path, passed: dict[SkipReason, list[Path]]) -> list[str]:
    return [line for why in SkipReason for line in _note(folder, passed.get(why, []), why.value)]


def _note(folder: Path, paths: Sequence[Path], what: str) -> list[str]:
    if not paths:
        return []
    # A folder beside the class folders may be meant as a class: each of them is named.
    tops = {path: None for path in paths if path.parent == folder and path.is_dir()}
    rest = [path for path in paths if path not in tops]
    few = rest[: max(0, SHOWN - len(tops))]
    names = [shown(path.relative_to(folder).as_posix()) for path in (*tops, *few)]
    more = ["..."] if len(few) < len(rest) else []
    return [f"skipped, {what}: {len(paths):,} ({', '.join([*names, *more])})"]


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], *(["..."] if len(names) > SHOWN else [])])


def _suffixes(paths: Iterable[PurePath]) -> str:
    counts = Counter(path.suffix.lower() or "without suffix" for path in paths)
    return ", ".join(f"{count:,} {shown(suffix)}" for suffix, count in counts.most_common())
