"""The split: photos are assigned to training, validation and test by their content.

Pure functions from photo records to rows. The same photos give the same rows, whatever their order
or file names. Photos that show nearly the same picture, or are edited copies of each other, form a
*group*, and a group is never divided between parts.
"""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from device.workstation.tables import csv_text
from device.workstation.training import LEFT_OUT, Part
from train.data.copies import copies_of
from train.data.groups import NEAR_IDENTICAL_CORRELATIONS, Grouping
from train.data.groups import group as group_photos
from train.errors import DataError

SHARES = dict(zip(Part, (0.70, 0.15, 0.15), strict=True))

THUMBNAIL_PX = 16
FEW_COPIES = 0.02
"""Share of the photos in groups with edited copies, up to which copies count as few."""
MIN_PHOTOS_PER_CLASS = len(Part)
"""A class needs one photo to train on, one to validate with and one to test on."""


@dataclass(frozen=True)
class Photo:
    """One file of the data folder, with what the split needs to know of it."""

    path: str
    """Relative to the data folder, with forward slashes."""
    label: str
    sha256: str
    thumbnail: npt.NDArray[np.float32] | None = None
    """Zero mean, unit length, from `thumbnail`; None if the file is not a usable photo."""
    detail: npt.NDArray[np.uint8] | None = None
    """From `copies.detail`; edited copies are searched for if all usable photos have it."""
    problem: str = ""
    """Why it cannot be used; empty for a good photo."""
    collected: bool = False
    """Whether a device saved it: such photos are trained on, never used to judge a model."""


@dataclass(frozen=True)
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


def thumbnail(image: Image.Image) -> npt.NDArray[np.float32]:
    """A tiny version of a picture, for comparison.

    Returns:
        float32 (768,): each colour channel without its mean, all three together of length 1.
        The dot product of two thumbnails is their correlation. Recompression, resizing and
        small changes of light keep it near 1. A flat colour gives zeros, similar to nothing.
    """
    # Pillow's reduce runs first: a triangle filter on 12 megapixels would take 20 times as long.
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = image.resize(size, Image.Resampling.BOX, reducing_gap=2.0)
    values = np.asarray(small, np.float32)
    # Each channel's mean is removed: different yellow flowers share a colour, not the picture.
    values = (values - values.mean(axis=(0, 1))).ravel()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 else np.zeros_like(values)


def assign(photos: Iterable[Photo], seed: int = 0) -> list[Row]:
    """Put every photo into a part.

    Photos that devices saved do not affect the others. A model's doubts chose them, so they are
    only trained on; those that show nearly the same picture as a validation or test photo are left
    out.

    Args:
        photos: in any order.
        seed: another seed gives another, equally balanced split.

    Returns:
        One row per photo, sorted by path.

    Raises:
        DataError: if fewer than two classes are left, or one is too small.
    """
    photos = sorted(photos, key=lambda photo: photo.path)
    reasons = _reasons_to_leave_out(photos)
    usable = [photo for photo, reason in zip(photos, reasons, strict=True) if not reason]
    good = [photo for photo in usable if not photo.collected]
    _check_classes(photos, good)
    groups, found = _groups(good)
    part_of = _parts(good, groups, found, seed)
    _check_parts(good, [part_of[group] for group in groups])
    held_out = [i for i, group in enumerate(groups) if part_of[group] != Part.TRAIN]
    fresh = [photo for photo in usable if photo.collected]
    leaks = _leaks(fresh, [good[i] for i in held_out], found.thresholds[held_out])
    names = {photo.path: i for i, photo in enumerate(good)}
    copies = {max(c.first, c.second): min(c.first, c.second) for c in found.copies}
    rows = []
    for photo, problem in zip(photos, reasons, strict=True):
        reason = problem or leaks.get(photo.path, "")
        number = names.get(photo.path)
        group = photo.sha256[:12] if number is None else groups[number]
        part = LEFT_OUT if reason else Part.TRAIN if photo.collected else part_of[group]
        row = Row(photo.path, photo.label, part, photo.sha256, group, reason, photo.collected)
        if number is not None:
            other = good[copies[number]].path if number in copies else ""
            row = replace(row, correlation=float(found.thresholds[number]), copy_of=other)
        rows.append(row)
    return rows


def _leaks(
    fresh: Sequence[Photo], held_out: Sequence[Photo], thresholds: npt.NDArray[np.float64]
) -> dict[str, str]:
    """By path, why a device's photo must be left out: it shows the same as a held-out photo."""
    if not fresh:
        return {}
    new, old = _thumbnails(fresh), _thumbnails(held_out)
    said = "a device's photo, {} the held-out {}"
    leaks = {}
    for photo, row in zip(fresh, new, strict=True):
        # How far above the threshold of each held-out photo.
        above = old @ row - thresholds
        if above.max() >= 0:
            path = held_out[int(above.argmax())].path
            leaks[photo.path] = said.format("nearly the same as", path)
    new_details, old_details = _details(fresh), _details(held_out)
    if new_details is not None and old_details is not None:
        for copy in copies_of(new_details, old_details):
            path = held_out[copy.second].path
            leaks.setdefault(fresh[copy.first].path, said.format("an edited copy of", path))
    return leaks


def _thumbnails(photos: Sequence[Photo]) -> npt.NDArray[np.float32]:
    return np.stack([photo.thumbnail for photo in photos if photo.thumbnail is not None])


def _details(photos: Sequence[Photo]) -> npt.NDArray[np.uint8] | None:
    details = [photo.detail for photo in photos if photo.detail is not None]
    return np.stack(details) if len(details) == len(photos) else None


def _reasons_to_leave_out(photos: Sequence[Photo]) -> list[str]:
    labels = defaultdict(set)
    for photo in photos:
        if not photo.problem:
            labels[photo.sha256].add(photo.label)
    return [
        photo.problem
        or (
            f"the same bytes are in the classes {', '.join(sorted(labels[photo.sha256]))}"
            if len(labels[photo.sha256]) > 1
            else ""
        )
        for photo in photos
    ]


def _check_classes(photos: Sequence[Photo], good: Sequence[Photo]) -> None:
    labels = sorted({photo.label for photo in photos})
    counts = {label: sum(photo.label == label for photo in good) for label in labels}
    for label, count in counts.items():
        if count < MIN_PHOTOS_PER_CLASS:
            bad = [photo for photo in photos if photo.label == label and photo.problem]
            first = f" ({len(bad)} are not: {bad[0].path}: {bad[0].problem})" if bad else ""
            raise DataError(
                f"class {label!r} has {count} usable photos{first}; at least "
                f"{MIN_PHOTOS_PER_CLASS} are needed (one each to train, choose and test; photos "
                "that devices saved do not count): add photos or remove the folder"
            )
    if len(counts) < 2:
        raise DataError(
            f"{len(counts)} class with usable photos; at least 2 folders of photos are needed"
        )


def _check_parts(photos: Sequence[Photo], parts: Sequence[str]) -> None:
    learned = {photo.label for photo, name in zip(photos, parts, strict=True) if name == Part.TRAIN}
    missing = sorted({photo.label for photo in photos} - learned)
    if missing or not set(Part) <= set(parts):
        raise DataError(
            "the photos cannot be split into train, val and test: too few, or all nearly the same "
            f"picture{f' (class {missing[0]!r})' if missing else ''}: add different photos"
        )


def _parts(
    photos: Sequence[Photo], groups: Sequence[str], found: Grouping, seed: int
) -> dict[str, str]:
    """The part of each group.

    If there are few edited copies, the split is made without regard to them, and they join the part
    of the photo that their group is named after. So they do not move any other photo.
    """
    of_copies = {found.roots[copy.first] for copy in found.copies}
    if np.isin(found.roots, list(of_copies)).mean() <= FEW_COPIES:
        part_of = _parts_of_groups(photos, _names(photos, found.plain), seed)
        places = {(photo.label, part_of[g]) for photo, g in zip(photos, groups, strict=True)}
        if len(places) == len(Part) * len({photo.label for photo in photos}):
            return part_of
    return _parts_of_groups(photos, groups, seed)


def _groups(photos: Sequence[Photo]) -> tuple[list[str], Grouping]:
    """For each photo the name of its group, and how it was found."""
    first_of: dict[str, int] = {}
    same_bytes = [first_of.setdefault(photo.sha256, i) for i, photo in enumerate(photos)]
    found = group_photos(_thumbnails(photos), _details(photos), same_bytes)
    return _names(photos, found.roots), found


def _names(photos: Sequence[Photo], roots: npt.NDArray[np.int64]) -> list[str]:
    smallest: dict[int, str] = {}
    for photo, root in zip(photos, roots.tolist(), strict=True):
        smallest[root] = min(photo.sha256, smallest.get(root, photo.sha256))
    return [smallest[root][:12] for root in roots.tolist()]


def _parts_of_groups(photos: Sequence[Photo], groups: Sequence[str], seed: int) -> dict[str, str]:
    """Stratified assignment: each group goes to the part where its class lacks the most photos.

    Groups are ordered by hash, so the result depends only on content and seed. Large groups come
    first, while every part still has room for them.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for photo, group in zip(photos, groups, strict=True):
        members[group].append(photo.label)
    by_label: dict[str, list[str]] = defaultdict(list)
    for group, labels in members.items():
        by_label[max(sorted(set(labels)), key=labels.count)].append(group)
    part_of: dict[str, str] = {}
    for label in sorted(by_label):
        remaining = _target_counts(sum(len(members[group]) for group in by_label[label]))
        order = sorted(by_label[label], key=lambda g: (-len(members[g]), _hash_order(g, seed)))
        for group in order:
            size = len(members[group])
            part = max(
                Part, key=lambda p: (_room_for(remaining[p], size), _shortfall(remaining[p], p))
            )
            part_of[group] = part
            remaining[part] -= size
    return part_of


def _room_for(remaining: float, size: int) -> float:
    """1 if a group fills at most half of a part, else less: a burst must not be a whole part."""
    return 1.0 if size == 1 else min(1.0, remaining / (2 * size))


def _shortfall(remaining: float, part: Part) -> tuple[float, bool]:
    return remaining / SHARES[part], part == Part.TRAIN


def _target_counts(count: int) -> dict[Part, float]:
    held_out = {part: max(1, round(count * share)) for part, share in SHARES.items()}
    return {**held_out, Part.TRAIN: count - held_out[Part.VAL] - held_out[Part.TEST]}


def _hash_order(group: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()


def to_csv(rows: Iterable[Row]) -> str:
    """The text of `split.csv`: one line per photo, with a header."""
    columns = ("path", "class", "part", "sha256", "group", "reason")
    values = ((r.path, r.label, r.part, r.sha256, r.group, r.reason) for r in rows)
    return csv_text(columns, values)


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
