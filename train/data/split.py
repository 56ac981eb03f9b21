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
from pathlib import Path

from device.workstation.tables import csv_parts
from device.workstation.training import LEFT_OUT, Part
from device.workstation.wording import number
from train.data.blocks import Block
from train.data.collected import place_collected
from train.data.events.given import check_named
from train.data.events.groups import NEAR_IDENTICAL_CORRELATIONS
from train.data.events.occasions import EventSettings, find_occasions
from train.data.own import Own, split_own
from train.data.photo import Photo
from train.errors import DataError

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
) -> list[Row]:
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
    photos = sorted(photos, key=lambda photo: photo.path)
    settings = settings or EventSettings()
    check_named(settings.listed, {name for p in photos for name in (p.path, p.film)})
    reasons = _reasons_to_leave_out(photos)
    usable = [photo for photo, reason in zip(photos, reasons, strict=True) if not reason]
    good = [photo for photo in usable if not photo.collected]
    _check_classes(photos, good)
    occasions = find_occasions(good, settings)
    for note in occasions.notes:
        tell(note)
    own = split_own(good, occasions, seed)
    rows = list(_own_rows(own))
    for photo, block, event in place_collected(usable, own, settings):
        place = settings.place(photo) or photo.moment.camera
        rows.append(_row(photo, block, event, place=place, seconds=photo.moment.seconds))
    for photo, reason in zip(photos, reasons, strict=True):
        if reason:
            rows.append(_row(photo, Block(LEFT_OUT, reason), photo.sha256[:12]))
    return sorted(rows, key=lambda row: row.path)


def _own_rows(own: Own) -> Iterator[Row]:
    found, copies = own.occasions, own.copies
    thresholds = found.grouping.thresholds.tolist()
    more = (found.places, found.seconds, thresholds)
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
    first: dict[str, str] = {}
    several: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        if not photo.problem:
            label = first.setdefault(photo.sha256, photo.label)
            if label != photo.label:
                several[photo.sha256] |= {label, photo.label}
    said = "the same bytes are in the classes {}"
    reasons = {digest: said.format(", ".join(sorted(both))) for digest, both in several.items()}
    return [photo.problem or reasons.get(photo.sha256, "") for photo in photos]


def _check_classes(photos: Sequence[Photo], good: Sequence[Photo]) -> None:
    labels = sorted({photo.label for photo in photos})
    found = Counter(photo.label for photo in good)
    counts = {label: found[label] for label in labels}
    few: dict[str, set[str]] = defaultdict(set)
    for photo in good:
        if len(few[photo.label]) < MIN_PHOTOS_PER_CLASS:
            few[photo.label].add(photo.sha256)
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
    columns = ("path", "class", "part", "sha256", "group", "reason")
    values = ((r.path, r.label, r.part, r.sha256, r.group, r.reason) for r in rows)
    return csv_parts(columns, values)


def read_csv(path: Path) -> list[Row]:
    """Read `split.csv` back.

    Raises:
        DataError: if it is missing or not in the format of `to_csv`.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                Row(r["path"], r["class"], r["part"], r["sha256"], r["group"], r["reason"])
                for r in csv.DictReader(file)
            ]
    except (OSError, KeyError, csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a readable split ({error}); run `make data` again") from error
    if not rows or any(row.part not in (*Part, LEFT_OUT) for row in rows):
        raise DataError(f"{path}: no rows or unknown parts; run `make data` again")
    return rows


def part(rows: Iterable[Row], name: str) -> list[Row]:
    """The rows of one part, in order."""
    return [row for row in rows if row.part == name]
