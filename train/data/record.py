"""Makes the record of the photos, `data.json`, and its text for people."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from device.workstation.photo_files import Source
from device.workstation.shards.index import Shards
from device.workstation.shards.stores import has_file, last_name
from device.workstation.training import LEFT_OUT, SPLIT, DataRecord, DataSet, Part
from device.workstation.wording import number, shown
from train.columns import chosen, encoded, values_of, where
from train.data import folder as folders
from train.data.assignment import SHARES, target_counts
from train.data.blocks import MIN_EVENTS
from train.data.folder import RENDERED_MARK
from train.data.sight.region import UNKNOWN, Sight
from train.data.split import Row

RENDERED = "rendered"
"""`DATA=rendered` selects the rendered set, with or without network."""
SHARES_DIFFER = 0.01
"""A part's share of the photos is worth a line if it differs this much from what single photos,
each an event of its own, would give."""
MOST_LINES = 20
"""Of one kind, that people read."""


def describe(
    source: Source,
    rows: Sequence[Row],
    collected: Set[str] = frozenset(),
    event_notes: Sequence[str] = (),
    *,
    films: Path | None = None,
    sight: Sight = UNKNOWN,
) -> DataRecord:
    """The record of photos that were scanned and split.

    Args:
        source: of the photos.
        rows: their split.
        collected: the paths of devices' photos.
        event_notes: lines on how events and places were found.
        films: where frames of films are kept, if there are any.
        sight: what of the photos is seen.
    """
    of = _Where.of(source)
    labels = sorted(set(values_of(rows, "label")))
    counter = Counter(zip(values_of(rows, "label"), values_of(rows, "part"), strict=True))
    counts = {label: {part: counter[label, part] for part in (*Part, LEFT_OUT)} for label in labels}
    data_set = DataSet(
        kind="rendered" if of.rendered else "photos",
        name=of.name,
        description=_description(of, rows, collected),
        fingerprint=_fingerprint(rows),
        counts=counts,
        events=_different(labels, rows, "group"),
        places=_different(labels, rows, "place"),
        occasion_only=_events_to_come(labels, rows),
        event_notes=tuple(event_notes),
        region=sight.region,
        cut=sight.cut(rows),
        region_note=sight.note,
        correlations={f"{key:g}": count for key, count in sorted(_correlations(rows).items())},
        edited_copies=sum(bool(row.copy_of) for row in rows),
    )
    kept = str(films.resolve()) if films else None
    return DataRecord(of.where, kept, of.index, data_set)


def _fingerprint(rows: Sequence[Row]) -> str:
    """Of what the photos show and of their classes, in whatever order."""
    labels = values_of(rows, "label")
    order = np.lexsort((encoded(labels), encoded(values_of(rows, "sha256"))))
    found, between = hashlib.sha256(), ""
    for row in chosen(rows, order):
        found.update(f"{between}{row.sha256} {row.label}".encode())
        between = "\n"
    return found.hexdigest()


@dataclass(frozen=True)
class _Where:
    """What the record says of the place that photos come from."""

    where: str
    index: str | None
    name: str
    what: str
    rendered: bool = False

    @classmethod
    def of(cls, source: Source) -> "_Where":
        if isinstance(source, Shards):
            name = last_name(source.address)
            rendered = has_file(source.address, RENDERED_MARK)
            return cls(source.address, str(source.index.resolve()), name, "shards", rendered)
        rendered = (source / RENDERED_MARK).exists()
        return cls(str(source.resolve()), None, source.resolve().name, "folder", rendered)


def _description(of: _Where, rows: Sequence[Row], collected: Set[str]) -> str:
    used = chosen(rows, where(part != LEFT_OUT for part in values_of(rows, "part")))
    classes = len(set(values_of(rows, "label")))
    events = len(np.unique(encoded(values_of(used, "group"))))
    occasions = f" from {number(events, 'event')}" if events < len(used) else ""
    fresh = sum(path in collected for path in values_of(used, "path"))
    saved = f", {fresh:,} of them saved by devices" if fresh else ""
    note = " (pictures rendered by this project, no real photos)" if of.rendered else ""
    return (
        f"{len(used):,} photos{occasions} in {classes} classes, {of.what} {of.name!r}{saved}{note}"
    )


def _different(labels: Sequence[str], rows: Sequence[Row], name: str) -> dict[str, dict[str, int]]:
    """By class and part, how many different values the rows have; no value is none."""
    values, which = np.unique(encoded(values_of(rows, name)), return_inverse=True)
    number = {(label, part): i for i, (label, part) in enumerate(product(labels, Part))}
    both = zip(values_of(rows, "label"), values_of(rows, "part"), strict=True)
    places = np.fromiter((number.get(each, -1) for each in both), np.int64, len(rows))
    kept = (places >= 0) & (values != b"")[which]
    found = np.unique(places[kept] * len(values) + which[kept]) // max(1, len(values))
    counts = np.bincount(found, minlength=len(number))
    return {label: {part: int(counts[number[label, part]]) for part in Part} for label in labels}


def _events_to_come(labels: Sequence[str], rows: Sequence[Row]) -> dict[str, int]:
    """Classes with too few events of the user's own photos, and how many more are needed."""
    events: dict[str, set[str]] = defaultdict(set)
    own = _own(rows)
    for label, group in zip(values_of(own, "label"), values_of(own, "group"), strict=True):
        if len(events[label]) < MIN_EVENTS:
            events[label].add(group)
    missing = {label: MIN_EVENTS - len(events[label]) for label in labels}
    return {label: count for label, count in missing.items() if count > 0}


def _own(rows: Sequence[Row]) -> Sequence[Row]:
    """The user's own photos that are used."""
    both = zip(values_of(rows, "part"), values_of(rows, "collected"), strict=True)
    return chosen(rows, where(part != LEFT_OUT and not collected for part, collected in both))


def _correlations(rows: Sequence[Row]) -> Counter[float]:
    return Counter(values_of(_own(rows), "correlation"))


def table(data_set: DataSet, rows: Sequence[Row]) -> str:
    """The photos and events by class and part, and the photos left out, as text."""
    columns = (*Part, LEFT_OUT)
    width = max(15, *(len(label) for label in data_set.counts))
    lines = [f"{'photos (events)':{width}}" + "".join(f"{column:>15}" for column in columns)]
    for label, parts in data_set.counts.items():
        cells = [f"{parts[part]:,} ({data_set.events[label][part]:,})" for part in Part]
        cells.append(f"{parts[LEFT_OUT]:,}")
        lines.append(f"{label:{width}}" + "".join(f"{cell:>15}" for cell in cells))
    lines += _shares_notes(rows) + _unjudged_notes(data_set)
    lines += _occasion_notes(data_set) + _grouping_notes(data_set, rows)
    return "\n".join(lines + left_out_notes(rows))


def left_out_notes(rows: Sequence[Row], file: str = SPLIT) -> list[str]:
    """A line for each photo that was left out; one for all if they are many for one reason.

    Args:
        rows: of all photos.
        file: that lists them, for a line in place of very many.
    """
    by_reason = defaultdict(list)
    for row in chosen(rows, where(part == LEFT_OUT for part in values_of(rows, "part"))):
        by_reason[row.reason].append(shown(row.path))
    lines = []
    for reason, paths in by_reason.items():
        if len(paths) > folders.SHOWN:
            few = ", ".join(paths[: folders.SHOWN])
            lines.append(f"left out: {number(len(paths), 'photo')} ({few}, ...): {reason}")
        else:
            lines += [f"left out: {path}: {reason}" for path in paths]
    more = [f"... and {len(lines) - MOST_LINES} more, see {file}"]
    return lines if len(lines) <= MOST_LINES else lines[:MOST_LINES] + more


def _shares_notes(rows: Sequence[Row]) -> list[str]:
    """A line if the parts have other shares than single photos would give."""
    own = _own(rows)
    sizes, counts = Counter[str](values_of(own, "label")), Counter[str](values_of(own, "part"))
    photos = counts.total()
    expected = Counter[Part]()
    for size in sizes.values():
        expected.update({part: int(count) for part, count in target_counts(size).items()})
    if all(abs(counts[part] - expected[part]) <= SHARES_DIFFER * photos for part in Part):
        return []
    usual = "/".join(f"{share:.0%}".removesuffix("%") for share in SHARES.values())
    shares = ", ".join(f"{part} {counts[part] / photos:.0%}" for part in Part)
    return [f"{shares} instead of {usual}: events are large, and none is divided to fit"]


def _unjudged_notes(data_set: DataSet) -> list[str]:
    """A line for each class that shares so many events with others that a part got none."""
    return [
        f"no {part} photos of {label!r}: it shares its events with other classes; photograph it "
        "alone, too"
        for label, parts in data_set.counts.items()
        for part in (Part.VAL, Part.TEST)
        if not parts[part]
    ]


def _occasion_notes(data_set: DataSet) -> list[str]:
    """A line for each class that was photographed on one or two occasions."""
    return [
        f"few events: {label!r} has {number(MIN_EVENTS - missing, 'event')}: its figures hold "
        f"for {'this occasion' if missing > 1 else 'these occasions'} only; photograph it on at "
        f"least {number(missing, 'more occasion')}"
        for label, missing in data_set.occasion_only.items()
    ]


def _grouping_notes(data_set: DataSet, rows: Sequence[Row]) -> list[str]:
    """Lines on photos that were not grouped like most."""
    lines = []
    usual, *stricter = data_set.correlations.items() or [("", 0)]
    for correlation, count in stricter:
        lines.append(
            f"all alike, as from a fixed camera: {count:,} photos; they count as one picture from "
            f"a correlation of {correlation}, all others from {usual[0]}"
        )
    edited = chosen(rows, where(map(bool, values_of(rows, "copy_of"))))
    lines += [
        f"edited copy, kept in one part: {shown(row.path)} of {shown(row.copy_of)}"
        for row in edited[:MOST_LINES]
    ]
    if len(edited) > MOST_LINES:
        lines.append(f"... and {len(edited) - MOST_LINES} more, see the groups in {SPLIT}")
    return lines
