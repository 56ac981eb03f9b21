"""Which strangers teach what is unknown, and which judge it: each event does one of both.

The classes come first: a stranger never moves a photo of a class, nor causes a new training of the
network. It goes where photos of its event went, and is left out if it shows what a photo of a class
shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from device.contract import provenance
from device.contract.provenance import OTHER, is_other
from device.errors import PhotoError
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import LEFT_OUT, Part
from train.columns import chosen, values_of, where
from train.data.assignment import parts_of_events
from train.data.collected import nearly_the_same
from train.data.events.given import check_named
from train.data.events.occasions import EventSettings, Occasions, find_occasions
from train.data.photo import Photo
from train.data.split import Row

LEAST_EVENTS = 15
"""With fewer events all judge that can: too few would teach, and almost none would be left to judge
(decision 11 of convert)."""
START_BYTES = 2**17
"""A photo's record is in its first 64 KiB."""
CHOSEN = "a device's photo, chosen by what its model said of it, so it cannot judge"
TRAINED = "of the same event as a training photo, so it cannot judge"


@dataclass(frozen=True)
class Placed:
    """The strangers, and the photos of classes where they were taken."""

    rows: tuple[Row, ...]
    """Of the strangers, by path: train (they teach), test (they judge), or left_out."""
    known: tuple[Row, ...]
    """Those of the split, with their places as they were found beside the strangers."""


def parted(photos: Sequence[Photo]) -> tuple[Sequence[Photo], Sequence[Photo]]:
    """The photos of classes, and the strangers."""
    labels = values_of(photos, "label")
    known, strange = (
        where((label == OTHER) == other for label in labels) for other in (False, True)
    )
    return chosen(photos, known), chosen(photos, strange)


def of_classes(settings: EventSettings) -> EventSettings:
    """The settings with what the user's list says of photos of classes."""
    return _listing(settings, strangers=False)


def _listing(settings: EventSettings, *, strangers: bool) -> EventSettings:
    kept = {
        name: said
        for name, said in settings.listed.items()
        if is_other(name.partition("/")[0]) == strangers
    }
    return replace(settings, listed=kept)


def place(
    known: Sequence[Photo],
    split: Sequence[Row],
    strangers: Sequence[Photo],
    files: PhotoFiles,
    settings: EventSettings,
    seed: int = 0,
) -> Placed:
    """Put every stranger into a part.

    Args:
        known: the photos of classes.
        split: theirs.
        strangers: in any order.
        files: finds the photos.
        settings: how events and places are found.
        seed: of the split.

    Raises:
        DataError: if the user's list names strangers that are not there.
    """
    names = {name for photo in strangers for name in (photo.path, photo.film)}
    check_named(_listing(settings, strangers=True).listed, names)
    strangers = sorted(strangers, key=lambda photo: photo.path)
    usable = [photo for photo in strangers if not photo.problem]
    if not usable:
        return Placed(tuple(_row(photo, LEFT_OUT, photo.problem) for photo in strangers), ())
    part_of = {row.path: row.part for row in split}
    used = [photo for photo in known if part_of[photo.path] != LEFT_OUT]
    beside = _Beside(used, usable, find_occasions([*used, *usable], settings), part_of)
    reasons = beside.copies()
    chosen = {photo.path for photo in usable if photo.collected and not _is_random(files, photo)}
    parts = beside.parts(reasons, chosen, seed)
    rows = [_placed(photo, beside, reasons, parts) for photo in strangers]
    places = dict(zip((photo.path for photo in used), beside.found.places, strict=False))
    return Placed(
        tuple(rows),
        tuple(replace(row, place=places.get(row.path) or row.place) for row in split),
    )


@dataclass(frozen=True)
class _Beside:
    """Strangers beside the photos of classes that are in a part."""

    known: Sequence[Photo]
    strangers: Sequence[Photo]
    found: Occasions
    """Of the former, then of the latter."""
    part_of: Mapping[str, str]
    """Of the former, by path."""

    @cached_property
    def occasions(self) -> dict[str, tuple[str, str]]:
        """By path, the event and the place of a stranger."""
        first = len(self.known)
        both = zip(self.found.events[first:], self.found.places[first:], strict=True)
        return dict(zip((photo.path for photo in self.strangers), both, strict=True))

    def copies(self) -> dict[str, str]:
        """By path, why strangers are left out: they show the same as a photo of a class."""
        first, grouping = len(self.known), self.found.grouping
        alike = nearly_the_same(self.strangers, self.known, grouping.thresholds[:first])
        # Before a fixed camera all pictures are alike: there no copies were looked for.
        ends = [sorted((copy.first, copy.second)) for copy in grouping.copies]
        edited = {
            self.strangers[b - first].path: self.known[a].path for a, b in ends if a < first <= b
        }
        known = {photo.sha256: photo.path for photo in reversed(self.known)}
        same = {
            photo.path: known[photo.sha256] for photo in self.strangers if photo.sha256 in known
        }
        return {
            path: f"{what} {other}, which counts for its class"
            for what, found in (
                ("an edited copy of", edited),
                ("nearly the same as", alike),
                ("the same bytes as", same),
            )
            for path, other in found.items()
        }

    def parts(
        self, left_out: Mapping[str, str], chosen: set[str], seed: int
    ) -> dict[str, tuple[str, str]]:
        """By event, the part of its strangers, and the reason if they are left out.

        Args:
            left_out: by path, those that are in no part.
            chosen: paths of those that may not judge.
            seed: of the split.
        """
        own = self.found.events[len(self.known) :]
        events = [
            event
            for photo, event in zip(self.strangers, own, strict=True)
            if photo.path not in left_out
        ]
        cannot = self._trained() | {
            event: CHOSEN
            for photo, event in zip(self.strangers, own, strict=True)
            if photo.path in chosen
        }
        if len(set(events)) < LEAST_EVENTS:
            return {
                event: (LEFT_OUT, cannot[event]) if event in cannot else (Part.TEST, "")
                for event in events
            }
        fixed = {event: Part.TRAIN if event in cannot else Part.TEST for event in self._shared()}
        fixed |= dict.fromkeys(cannot, Part.TRAIN)
        parts = parts_of_events([OTHER] * len(events), events, seed, fixed).of(events)
        return {
            event: (part if part == Part.TRAIN else Part.TEST, "")
            for event, part in zip(events, parts, strict=True)
        }

    def _trained(self) -> dict[str, str]:
        """Events of training photos, and what that means."""
        return {
            event: TRAINED
            for photo, event in zip(self.known, self.found.events, strict=False)
            if self.part_of[photo.path] == Part.TRAIN
        }

    def _shared(self) -> set[str]:
        """Events of photos of classes."""
        return set(self.found.events[: len(self.known)])


def _placed(
    photo: Photo,
    beside: _Beside,
    reasons: Mapping[str, str],
    parts: Mapping[str, tuple[str, str]],
) -> Row:
    if photo.problem:
        return _row(photo, LEFT_OUT, photo.problem)
    event, where = beside.occasions[photo.path]
    if photo.path in reasons:
        return _row(photo, LEFT_OUT, reasons[photo.path], event, where)
    part, reason = parts[event]
    return _row(photo, part, reason, event, where)


def _row(photo: Photo, part: str, reason: str, event: str = "", where: str = "") -> Row:
    event = event or photo.sha256[:12]
    return Row(photo.path, OTHER, part, photo.sha256, event, reason, photo.collected, place=where)


def _is_random(files: PhotoFiles, photo: Photo) -> bool:
    try:
        record = provenance.read(files.start(photo.path, START_BYTES))
    except PhotoError:
        # Whoever needs its pixels says so.
        return False
    return record is not None and record.is_random
