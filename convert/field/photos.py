"""The sorted photos of a folder: what each shows, how it was chosen, and which do not judge.

Nothing is dropped without a word: whatever does not judge has a reason.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.errors import InputError
from convert.field.record import LeftOut
from device.contract import provenance
from device.contract.folders import SkipReason, photos_below
from device.contract.names import settled
from device.contract.photos import read_photo
from device.contract.provenance import LABELLED, OTHER, WORLD, Provenance, is_other
from device.errors import PhotoError
from device.workstation.wording import number, shown

DAMAGED = "damaged or unreadable"
LOOSE = "in no class folder"
UNSORTED = "not sorted yet"
FOREIGN = f"in folders that are no classes of the bundle (what shows no class goes into {OTHER})"
CONTRADICTORY = "the same bytes in several folders, of which at most one is right"
COPY = "copies of another photo, byte by byte"
NO_RECORD = "without the record that a device writes: nothing says how they were chosen"
DOUBTFUL = "saved because the model was unsure, so they say nothing about how often it is right"
CHOSEN = "chosen by a person at the device, so they say nothing about how often it is right"
NOT_RANDOM = "saved for a reason that is not known here"
NO_PROBABILITY = "random, but with a probability that is missing or no number from 0 to 1"
ZERO = "random, but with a probability of 0 or nearly 0, at which no photo is taken"
TRAINED = "already in the training data of this bundle"
TRAINED_EVENT = "of an event from which other photos are in the training data of this bundle"

LEAST_PROBABILITY = 1e-12
"""One second in 30,000 years. With less, one photo would outweigh all others together."""

_REASONS = {
    "changed": DOUBTFUL,
    "unknown": DOUBTFUL,
    "uncertain": DOUBTFUL,
    WORLD: DOUBTFUL,
    LABELLED: CHOSEN,
}


@dataclass(frozen=True)
class FieldPhoto:
    """One photo of the folder, not yet classified."""

    file: Path
    path: str
    """Relative to the folder, as text that any file can hold."""
    folder: str
    """Its class folder; empty if it is in none."""
    sha256: str
    record: Provenance | None
    problem: str = ""
    """Why it cannot be read; empty if it can."""


_WANTED = (
    "it must hold sorted photos from devices (`make field` reads no shards and no addresses: copy "
    "the photos into a folder)"
)


def list_photos(folder: Path) -> tuple[list[Path], list[str]]:
    """The photo files below a folder, and a line for each kind of file that is skipped.

    Raises:
        InputError: if it is no folder, or has no photos.
    """
    if not folder.is_dir():
        raise InputError(f"DATA={folder}: no such folder; {_WANTED}")
    passed: dict[SkipReason, list[Path]] = defaultdict(list)
    unreadable: list[str] = []
    paths = list(
        photos_below(
            folder,
            on_unreadable=lambda e: unreadable.append(f"{shown(e.filename)}: {e.strerror}"),
            on_skipped=lambda path, why: passed[why].append(path),
        )
    )
    if not paths:
        raise InputError(f"{folder}: no photos; {_WANTED}")
    notes = [_note(folder, passed[why], why.value) for why in SkipReason if passed[why]]
    return paths, [*notes, *(f"a folder that cannot be read: {each}" for each in unreadable)]


def _note(folder: Path, paths: Sequence[Path], what: str) -> str:
    names = tuple(readable(path.relative_to(folder)) for path in paths)
    return LeftOut(what, len(names), names).line()


def read_photos(
    folder: Path, paths: Iterable[Path], advance: Callable[[], None] = lambda: None
) -> list[FieldPhoto]:
    """Read the photos' bytes and records; `advance` is called after each."""
    found = []
    for path in paths:
        found.append(_read(folder, path))
        advance()
    return found


def _read(folder: Path, path: Path) -> FieldPhoto:
    name = readable(path.relative_to(folder))
    top = name.partition("/")[0] if "/" in name else ""
    try:
        data = read_photo(path)
    except PhotoError as error:
        return FieldPhoto(path, name, top, "", None, str(error))
    return FieldPhoto(path, name, top, hashlib.sha256(data).hexdigest(), provenance.read(data))


def readable(path: Path) -> str:
    """A path as text; bytes of a name that are no text are written out."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def shown_class(photo: FieldPhoto, labels: Sequence[str]) -> str:
    """What a photo was sorted as: a class of the bundle, `OTHER`, or empty if neither."""
    if is_other(photo.folder):
        return OTHER
    spelled = settled(photo.folder, labels)
    return spelled if spelled in labels else ""


def reasons(photos: Sequence[FieldPhoto], labels: Sequence[str]) -> dict[str, str]:
    """For each photo that does not judge, by path, the reason; training data does not count here.

    Of several copies that could judge, the first one does.
    """
    classes: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        if not photo.problem and shown_class(photo, labels):
            classes[photo.sha256].add(shown_class(photo, labels))
    found, seen = {}, set()
    for photo in photos:
        reason = _of_its_own(photo, labels)
        if not reason and len(classes[photo.sha256]) > 1:
            reason = CONTRADICTORY
        elif not reason and photo.sha256 in seen:
            reason = COPY
        elif not reason:
            seen.add(photo.sha256)
        if reason:
            found[photo.path] = reason
    return found


def _of_its_own(photo: FieldPhoto, labels: Sequence[str]) -> str:
    """Why a photo does not judge, whatever the others are."""
    if photo.problem:
        return DAMAGED
    if not photo.folder:
        return LOOSE
    if not shown_class(photo, labels):
        return UNSORTED if photo.folder.startswith("_") else FOREIGN
    if photo.record is None:
        return NO_RECORD
    if not photo.record.is_random:
        return _REASONS.get(photo.record.reason, NOT_RANDOM)
    if photo.record.probability is None:
        return NO_PROBABILITY
    return "" if photo.record.probability >= LEAST_PROBABILITY else ZERO


def left_out(why: Mapping[str, str]) -> tuple[LeftOut, ...]:
    """The photos that do not judge, by reason; the most frequent reason first."""
    counts = Counter(why.values())
    return tuple(_of_reason(why, reason, n) for reason, n in counts.most_common())


def _of_reason(why: Mapping[str, str], reason: str, n: int) -> LeftOut:
    return LeftOut(reason, n, tuple(path for path, other in why.items() if other == reason))


def missing_ones(photos: Sequence[FieldPhoto], why: Mapping[str, str]) -> list[str]:
    """A line if photos of random moments wait to be sorted, which could make the figures wrong."""
    unsorted = [p for p in photos if why.get(p.path) in (UNSORTED, LOOSE, FOREIGN)]
    random = sum(p.record is not None and p.record.is_random for p in unsorted)
    line = (
        f"{number(random, 'photo')} of random moments not sorted into classes: sort all of them: "
        "if the difficult ones are missing, the figures are too good"
    )
    return [line] if random else []
