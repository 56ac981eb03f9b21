"""The split: photos are assigned to training, validation and test by their content.

Pure functions from photo records to rows. The same photos give the same rows, whatever their order
or file names. Photos that were taken on one occasion, show nearly the same picture, or are edited
copies of each other, are of one *event*. An event is never divided between parts, unless its class
has only one or two (`train.data.blocks`).
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from device.workstation.tables import csv_parts
from device.workstation.training import LEFT_OUT, Part
from device.workstation.wording import number
from train.columns import (
    Column,
    Digests,
    Fields,
    Floats,
    Known,
    Many,
    Texts,
    chosen,
    folder_of,
    gathered,
    in_order,
    values_of,
    where,
)
from train.data.blocks import Block
from train.data.collected import place_collected
from train.data.events.given import check_named
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS
from train.data.events.occasions import EventSettings, find_occasions, same_bytes
from train.data.own import Own, split_own
from train.data.photo import Photo
from train.errors import DataError

COLUMNS = ("path", "class", "part", "sha256", "group", "reason")
"""Of `split.csv`."""
MIN_PHOTOS_PER_CLASS = len(Part)
"""A class needs one photo to train on, one to validate with and one to test on."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `split.csv`."""

    path: str
    label: str
    part: str
    """train, val, test or left_out."""
    sha256: str
    group: str
    """The photo's event: the first 12 digits of the smallest SHA-256 among the event's photos."""
    reason: str
    """Why it was left out; empty otherwise."""
    collected: bool = field(default=False, compare=False)
    """Whether a device saved it. This field and those below are not in the file."""
    correlation: float = field(default=NEAR_IDENTICAL_CORRELATIONS[0], compare=False)
    """Correlation from which another thumbnail counts as the same picture as this one."""
    copy_of: str = field(default="", compare=False)
    """Path of the photo of its group that it is an edited copy of."""
    place: str = field(default="", compare=False)
    """Where its camera stood; empty if unknown."""
    seconds: float | None = field(default=None, compare=False)
    """When it was taken, comparable within an event; None if no clock tells."""


def _ignore(note: str) -> None:
    """Nobody is told."""


def assign(
    photos: Iterable[Photo],
    seed: int = 0,
    settings: EventSettings | None = None,
    tell: Callable[[str], None] = _ignore,
) -> Sequence[Row]:
    """Put every photo into a part.

    Photos that devices saved do not affect the others. A model's doubts chose them, so they are
    only trained on; those that show nearly the same picture as a validation or test photo, or are
    of the same event, are left out.

    Args:
        photos: in any order.
        seed: another seed gives another, equally balanced split.
        settings: how events and places are found; None: as without any setting.
        tell: gets a line for each thing that the user should know of how they were found.

    Returns:
        One row per photo, sorted by path.

    Raises:
        DataError: if fewer than two classes are left, one is too small, or the user's list names
            photos that are not there.
    """
    photos = in_order(photos, "path")
    settings = settings or EventSettings()
    check_named(settings.listed, chain(values_of(photos, "path"), values_of(photos, "film")))
    reasons = _reasons_to_leave_out(photos)
    usable = chosen(photos, where(not reason for reason in reasons))
    good = chosen(usable, where(not each for each in values_of(usable, "collected")))
    _check_classes(photos, good)
    occasions = find_occasions(good, settings)
    for note in occasions.notes:
        tell(note)
    own = split_own(good, occasions, seed)
    placed = _collected_rows(place_collected(usable, own, settings), settings)
    return rows_together(_in_turn(photos, reasons, _own_rows(own), placed), photos)


def _in_turn(
    photos: Sequence[Photo], reasons: Sequence[str], own: Iterator[Row], placed: Iterator[Row]
) -> Iterator[Row]:
    """The row of each photo: left out for a reason, of the user's own, or of a device's."""
    for photo, reason in zip(photos, reasons, strict=True):
        if reason:
            yield _row(photo, Block(LEFT_OUT, reason), photo.sha256[:12])
        else:
            yield next(placed if photo.collected else own)


def rows_together(
    rows: Iterable[Row], photos: Sequence[Photo] = (), folder: Path | None = None
) -> Sequence[Row]:
    """All of them: many in files, but for what photos have already.

    Args:
        rows: which need not be in memory.
        photos: of the rows, in their order.
        folder: for the files; None: that of the photos, or the system's for such files.

    Raises:
        OSError: if they cannot be written.
    """
    folder = folder or folder_of(photos)
    unlike: dict[str, Column] = {"path": Texts(folder), "sha256": Digests(folder)}
    if isinstance(photos, Many):
        unlike = {name: Known(photos.field(name)) for name in unlike}
    more: dict[str, Column] = {"group": Texts(folder), "seconds": Floats(folder)}
    return gathered(rows, Fields(Row, {**unlike, **more}, folder))


def _collected_rows(
    placed: Iterable[tuple[Photo, Block, str]], settings: EventSettings
) -> Iterator[Row]:
    for photo, block, event in placed:
        place = settings.place(photo) or photo.moment.camera
        yield _row(photo, block, event, place=place, seconds=photo.moment.seconds)


def _own_rows(own: Own) -> Iterator[Row]:
    found, copies = own.occasions, own.copies
    more = (found.places, found.seconds, map(float, found.grouping.thresholds))
    for photo, block, event, place, seconds, correlation in zip(
        own.photos, own.blocks, found.events, *more, strict=True
    ):
        copy_of = copies.get(photo.path, "")
        yield _row(photo, block, event, correlation, copy_of, place, seconds)


def _row(
    photo: Photo,
    block: Block,
    event: str,
    correlation: float = NEAR_IDENTICAL_CORRELATIONS[0],
    copy_of: str = "",
    place: str = "",
    seconds: float | None = None,
) -> Row:
    return Row(
        path=photo.path,
        label=photo.label,
        part=block.part,
        sha256=photo.sha256,
        group=event,
        reason=block.reason,
        collected=photo.collected,
        correlation=correlation,
        copy_of=copy_of,
        place=place,
        seconds=seconds,
    )


def _reasons_to_leave_out(photos: Sequence[Photo]) -> list[str]:
    several: dict[str, set[str]] = defaultdict(set)
    good = chosen(photos, where(not each for each in values_of(photos, "problem")))
    first = same_bytes(good)
    for i in np.flatnonzero(first != np.arange(len(good))).tolist():
        several[good[i].sha256] |= {good[i].label, good[int(first[i])].label}
    said = "the same bytes are in the classes {}"
    reasons = {
        digest: said.format(", ".join(sorted(labels)))
        for digest, labels in several.items()
        if len(labels) > 1
    }
    problems, digests = values_of(photos, "problem"), values_of(photos, "sha256")
    both = zip(problems, digests, strict=True)
    return [problem or reasons.get(digest, "") for problem, digest in both]


def _check_classes(photos: Sequence[Photo], good: Sequence[Photo]) -> None:
    labels = sorted(set(values_of(photos, "label")))
    found = Counter(values_of(good, "label"))
    counts = {label: found[label] for label in labels}
    few: dict[str, set[str]] = defaultdict(set)
    for label, digest in zip(values_of(good, "label"), values_of(good, "sha256"), strict=True):
        if len(few[label]) < MIN_PHOTOS_PER_CLASS:
            few[label].add(digest)
    for label, count in counts.items():
        different = len(few[label])
        if different < MIN_PHOTOS_PER_CLASS <= count:
            raise DataError(
                f"the {count} usable photos of class {label!r} are copies of {different}; at least "
                f"{MIN_PHOTOS_PER_CLASS} different ones are needed: add different photos"
            )
        if count < MIN_PHOTOS_PER_CLASS:
            bad = [photo for photo in photos if photo.label == label and photo.problem]
            first = f" ({len(bad)} are not: {bad[0].path}: {bad[0].problem})" if bad else ""
            raise DataError(
                f"class {label!r} has {number(count, 'usable photo')}{first}; at least "
                f"{MIN_PHOTOS_PER_CLASS} are needed (one each to train, choose and test; photos "
                "that devices saved do not count): add photos or remove the folder"
            )
    if len(counts) < 2:
        raise DataError(
            f"{len(counts)} class with usable photos; at least 2 folders of photos are needed"
        )


def to_csv(rows: Iterable[Row]) -> str:
    """The text of `split.csv`: one line per photo, with a header."""
    return "".join(parts_of_csv(rows))


def parts_of_csv(rows: Iterable[Row]) -> Iterator[str]:
    """The same in parts."""
    values = ((r.path, r.label, r.part, r.sha256, r.group, r.reason) for r in rows)
    return csv_parts(COLUMNS, values)


def read_csv(path: Path) -> Sequence[Row]:
    """Read `split.csv` back.

    Raises:
        DataError: if it is missing or not in the format of `to_csv`.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            read = (
                Row(r["path"], r["class"], r["part"], r["sha256"], r["group"], r["reason"])
                for r in csv.DictReader(file)
            )
            rows = rows_together(read, folder=path.parent)
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable split ({error}); run `make data` again") from error
    if not rows or not {*values_of(rows, "part")} <= {*Part, LEFT_OUT}:
        raise DataError(f"{path}: no rows or unknown parts; run `make data` again")
    return rows


def part(rows: Sequence[Row], name: str) -> Sequence[Row]:
    """The rows of one part, in order."""
    return chosen(rows, where(each == name for each in values_of(rows, "part")))
