"""Events and places as the split uses them: what was found, and what the user says instead."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from device.workstation.events.clocks import EVENT_S, judged, shortly_after
from device.workstation.events.listed import Occasion
from device.workstation.wording import number, shown
from train.columns import Floats, Texts, chosen, first_equal, folder_of, gathered, values_of
from train.data.events.copies import joined
from train.data.events.finding import find_events
from train.data.events.groups import Grouping
from train.data.folder import SHOWN
from train.data.photo import Photo, details, thumbnails

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EventSettings:
    """How events and places are found."""

    gap_s: float = EVENT_S
    """Photos of one camera with at most this many seconds between them are of one event."""
    listed: Mapping[str, Occasion] = field(default_factory=dict)
    """By path, what the user says; an empty event or place leaves what was found. The path of a
    film stands for all its frames."""
    folders: bool = False
    """Whether the sub-folders of a class are the places."""

    def said(self, photo: Photo) -> Occasion | None:
        """What the user's list says of a photo; None if nothing."""
        return self.listed.get(photo.path) or self.listed.get(photo.film)

    def place(self, photo: Photo) -> str:
        """What the user says of a photo's place; empty if nothing."""
        said = self.said(photo)
        return (said.place if said else "") or self._folder(photo)

    def places(self, photos: Sequence[Photo]) -> list[str]:
        """The same of each photo."""
        if not self.listed and not self.folders:
            return [""] * len(photos)
        return [self.place(photo) for photo in photos]

    def _folder(self, photo: Photo) -> str:
        parts = PurePosixPath(photo.film or photo.path).parts if self.folders else ()
        return parts[1] if len(parts) > 2 else ""


@dataclass(frozen=True)
class Occasions:
    """Of the user's own photos."""

    grouping: Grouping
    """Its roots are events as they were found."""
    events: Sequence[str]
    """(n,), each photo's event: the first 12 digits of the smallest SHA-256 of its photos."""
    plain: Sequence[str]
    """(n,), the same without regard to edited copies."""
    seconds: Sequence[float | None]
    """(n,), when they were taken, comparable within an event; None where unknown."""
    places: tuple[str, ...]
    """(n,), empty where unknown."""
    notes: tuple[str, ...]
    """A line for each thing that the user should know."""


def find_occasions(photos: Sequence[Photo], settings: EventSettings) -> Occasions:
    """Find the events and places of usable photos."""
    said = settings.places(photos)
    found = find_events(
        values_of(photos, "path"),
        values_of(photos, "moment"),
        (thumbnails(photos), details(photos)),
        same_bytes(photos),
        places=said,
        reels=_reels(photos),
        event_s=settings.gap_s,
    )
    return Occasions(
        grouping=found.grouping,
        events=_named(photos, found.grouping.roots, settings),
        plain=_named(photos, found.grouping.plain, settings),
        seconds=gathered(map(_known, map(float, found.seconds)), Floats(folder_of(photos))),
        places=tuple(said) if settings.folders else found.places,
        notes=(
            *(f"no evidence of events: {note}" for note in found.notes),
            *_coverage(photos, settings),
            *(_of_folders(said) if settings.folders else ()),
        ),
    )


def _known(seconds: float) -> float | None:
    return None if np.isnan(seconds) else seconds


def _reels(photos: Sequence[Photo]) -> list[str]:
    """The film that each photo is a frame of, or that telephones took with it (a live photo).

    Nothing if there is no film.
    """
    films = {_stem(film): film for film in values_of(photos, "film") if film}
    if not films:
        return []
    return [photo.film or films.get(_stem(photo.path), "") for photo in photos]


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def joined_by_clock(
    photos: Sequence[Photo], known: Numbers, settings: EventSettings
) -> Sequence[str]:
    """The event of each photo by the clock of its camera and the user's list alone.

    Args:
        photos: usable ones.
        known: (n,), the same number for photos that are known to be of one event.
        settings: how events are found.
    """
    paths = values_of(photos, "path")
    clocks = judged(paths, values_of(photos, "moment"))
    nowhere = np.full(len(photos), -1, np.int64)
    pairs = shortly_after(paths, clocks, nowhere, settings.gap_s)
    return _named(photos, joined(known, pairs), settings)


def _named(photos: Sequence[Photo], found: Numbers, settings: EventSettings) -> Sequence[str]:
    """The events with the user's word, each named after the smallest SHA-256 of its photos."""
    if settings.listed:
        found = _as_said([settings.said(photo) for photo in photos], found)
        found = joined(found, np.stack([np.arange(len(photos)), same_bytes(photos)]))
    names = (each[:12].encode("utf-8", "surrogateescape") for each in values_of(photos, "sha256"))
    digests = np.fromiter(names, "S12", len(photos))
    order = np.lexsort((digests, found))
    _, first, which = np.unique(found[order], return_index=True, return_inverse=True)
    event = np.empty_like(which)
    event[order] = which
    # One text for all photos of an event.
    texts = (each.decode() for each in digests[order[first]].tolist())
    smallest = gathered(texts, Texts(folder_of(photos)))
    return chosen(smallest, event)


def same_bytes(photos: Sequence[Photo]) -> Numbers:
    """(n,), for each photo the first one with the same bytes."""
    return first_equal(values_of(photos, "sha256"))


def _as_said(said: Sequence[Occasion | None], found: Numbers) -> Numbers:
    """Listed photos as the user says; the others of an event go with them if they have one name."""
    names = [each.event if each else "" for each in said]
    of_event: dict[int, set[str]] = defaultdict(set)
    for name, root in zip(names, found.tolist(), strict=True):
        of_event[root].update({name} - {""})
    return _numbers(
        [
            (name or "".join(of_event[root]), -1) if name or len(of_event[root]) == 1 else root
            for name, root in zip(names, found.tolist(), strict=True)
        ]
    )


def _numbers(keys: Sequence[object]) -> Numbers:
    """(n,), for each key the index of the first equal one."""
    first: dict[object, int] = {}
    return np.array([first.setdefault(key, i) for i, key in enumerate(keys)], np.int64)


def _coverage(photos: Sequence[Photo], settings: EventSettings) -> list[str]:
    """A line if the user's list does not name all photos."""
    if not settings.listed:
        return []
    missing = sum(settings.said(photo) is None for photo in photos)
    if not missing:
        return []
    return [
        f"EVENTS: {missing:,} of {len(photos):,} photos are not in the list; they keep the event "
        "and the place that were found"
    ]


def _of_folders(places: Sequence[str]) -> list[str]:
    """A line on the places that sub-folders give, and on photos without one."""
    names, loose = sorted({*places} - {""}), places.count("")
    if not names:
        return ["PLACE=folder: no class has sub-folders, so no place is known"]
    few = ", ".join([*map(shown, names[:SHOWN]), *(["..."] if len(names) > SHOWN else [])])
    line = f"PLACE=folder: {number(len(names), 'place')} ({few})"
    photos = "1 photo lies" if loose == 1 else f"{loose:,} photos lie"
    rest = f"; {photos} in no sub-folder of their class, so their place is not known"
    return [line + rest if loose else line]
