"""Which photos a bundle was trained on, so that they, and their events, do not judge it."""

import csv
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.field.moments import Moment, events_of, moment_of
from convert.field.photos import TRAINED, TRAINED_EVENT, FieldPhoto
from device.contract import provenance
from device.contract.bundle import Bundle
from device.errors import PhotoError, one_line
from device.workstation.events.listed import Occasion, read_occasions
from device.workstation.photo_files import PhotoFiles
from device.workstation.records import RecordError
from device.workstation.training import DATA, EVENTS, SPLIT, DataRecord, Part
from device.workstation.wording import number

START_BYTES = 2**17
"""A photo's record is in its first 64 KiB."""


@dataclass(frozen=True)
class Trained:
    """The photos that a bundle knows, in whatever part of its split."""

    digests: frozenset[str] = frozenset()
    """SHA-256 of the photos in the training, validation and test part."""
    same_event: frozenset[str] = frozenset()
    """SHA-256 of photos that were left out, but are of an event of those."""
    moments: tuple[Moment, ...] = ()
    """When devices took those that are theirs."""
    places: frozenset[str] = frozenset()
    """Where they were taken; of photos by a device its name, else what the user calls it."""
    problem: str = ""
    """Why it is not known which photos they are; empty if it is."""

    def excludes(self, devices: Iterable[str]) -> bool:
        """Whether it is known that none of the devices took any, or stood where some were taken."""
        known = {moment.device for moment in self.moments} | self.places
        return not self.problem and not known & set(devices)


def read_trained(
    training: Path, bundle: Bundle, advance: Callable[[], None] = lambda: None
) -> Trained:
    """What the training folder says about the photos of a bundle.

    Args:
        training: the folder with `split.csv` and `data.json`.
        bundle: if the folder is of other photos than those of the bundle, it says nothing.
        advance: called after each photo of the split.
    """
    try:
        record = DataRecord.read(training / DATA)
        rows = _rows(training / SPLIT, read_occasions(training / EVENTS))
    except RecordError as error:
        return Trained(problem=str(error))
    except (OSError, csv.Error, KeyError, ValueError) as error:
        return Trained(problem=f"{training / SPLIT} is missing or damaged ({one_line(error)})")
    if record.data.fingerprint != bundle.manifest.get("data", {}).get("fingerprint"):
        return Trained(problem=f"{training} is of other photos than the bundle")
    used = [row for row in rows if row.used]
    moments: list[Moment] = []
    for row in used:
        moments += _moment(record.files, row.path)
        advance()
    digests, events = frozenset(row.sha256 for row in used), {row.occasion.event for row in used}
    mates = frozenset(row.sha256 for row in rows if row.occasion.event in events) - digests
    places = frozenset(row.occasion.place for row in used) - {""}
    return Trained(digests, mates, tuple(moments), places)


@dataclass(frozen=True)
class _Row:
    path: str
    used: bool
    """Whether it is in the training, validation or test part."""
    sha256: str
    occasion: Occasion


def _rows(split: Path, occasions: Mapping[str, Occasion]) -> list[_Row]:
    with split.open(encoding="utf-8", newline="") as file:
        return [
            _Row(row["path"], row["part"] in tuple(Part), row["sha256"], occasions[row["path"]])
            for row in csv.DictReader(file)
        ]


def _moment(files: PhotoFiles, path: str) -> list[Moment]:
    """When a device took a photo; nothing for a photo that no device took, or that is gone."""
    try:
        record = provenance.read(files.start(path, START_BYTES))
    except PhotoError:
        return []
    return [moment_of(record)] if record else []


@dataclass(frozen=True)
class Occasions:
    """The events of photos, and which photos the training data keeps from judging."""

    events: Mapping[str, str]
    """By path, of the photos that have a record."""
    reasons: Mapping[str, str]
    """By path, of the photos that are in the training data or of an event with such photos."""


def occasions(photos: Sequence[FieldPhoto], trained: Trained, event_s: float) -> Occasions:
    """Join photos into events, together with those of the training data.

    Photos that do not judge, too, can show that others are of one event.
    """
    dated = [(photo, moment_of(photo.record)) for photo in photos if photo.record is not None]
    names = events_of([*(moment for _, moment in dated), *trained.moments], event_s)
    events = {photo.path: name for (photo, _), name in zip(dated, names, strict=False)}
    known = trained.digests | trained.same_event
    closed = set(names[len(dated) :])
    closed |= {events[photo.path] for photo, _ in dated if photo.sha256 in known}
    reasons = {path: TRAINED_EVENT for path, event in events.items() if event in closed}
    reasons |= {p.path: TRAINED_EVENT for p in photos if p.sha256 in trained.same_event}
    reasons |= {p.path: TRAINED for p in photos if p.sha256 in trained.digests}
    return Occasions(events, reasons)


def doubts(judging: Sequence[FieldPhoto], trained: Trained, models: Collection[str]) -> list[str]:
    """A line if photos that judge may have trained the bundle.

    Args:
        judging: the photos.
        trained: what is known of the training data.
        models: SHA-256 of the bundle's models. What one of these saved came after the training.
    """
    earlier = [p for p in judging if p.record is not None and p.record.model_sha256 not in models]
    if not trained.problem or not earlier:
        return []
    count = number(len(earlier), "photo")
    return [f"{count} saved under another model may have trained this one: {trained.problem}"]
