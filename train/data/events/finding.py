"""Events: which photos were taken on one occasion, as clocks, names and pictures tell together.

Photos are of one event if they nearly show one picture; if one camera took them shortly after one
another; or if their names count frames of one film. Before the background of a fixed camera all
pictures are alike, so there the clock decides, and where no clock can be relied on, the subject.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.moments import Moment
from device.workstation.events.clocks import (
    EVENT_S,
    HOUR_S,
    Clocks,
    judged,
    numbered,
    shortly_after,
)
from device.workstation.events.films import films, next_numbers
from device.workstation.wording import number, shown
from train.data.events.copies import joined
from train.data.events.groups import Grouping, Known, group
from train.data.events.places import Floats, Numbers, Places, by_background
from train.data.events.subjects import same_subjects
from train.data.looks import AnyThumbnails, Details, blocks

FILM_LIKENESS = 0.4
"""Median correlation of two consecutive frames from which names that count frames are believed."""
SHOWN = 3


@dataclass(frozen=True)
class Events:
    """What was found, in the order of the photos."""

    grouping: Grouping
    """Its `roots` are the events."""
    places: tuple[str, ...]
    """Where each photo was taken; empty if unknown."""
    seconds: npt.NDArray[np.float64]
    """(n,), by the camera's clock; NaN if it is unknown or no evidence."""
    notes: tuple[str, ...]
    """Lines for people: what is no evidence, and why."""


def find_events(
    paths: Sequence[str],
    moments: Sequence[Moment],
    pictures: tuple[AnyThumbnails, Details | None],
    same_bytes: Sequence[int] | Numbers,
    *,
    places: Sequence[str] = (),
    reels: Sequence[str] = (),
    event_s: float = EVENT_S,
) -> Events:
    """Find events and places.

    Args:
        paths: (n,), relative to the data folder, with forward slashes; the first part is the class.
        moments: (n,), what each photo says of its camera and time.
        pictures: thumbnails, float32 (n, 768), and details, uint8 (n, 32, 32, 3); without
            details there are neither edited copies nor places.
        same_bytes: (n,), for each photo the first one with the same bytes.
        places: (n,), what the user says of places, empty if nothing; or nothing at all.
        reels: (n,), the film that each photo is a frame of, empty if of none; or nothing at all.
        event_s: photos of one camera with at most this many seconds between them are one event.
    """
    thumbnails, details = pictures
    seen = _no_places(len(paths)) if details is None else by_background(thumbnails, details)
    said = places or [""] * len(paths)
    clocks = judged(paths, moments)
    where = _place_numbers(seen, said)
    films_pairs, notes = _of_films(paths, clocks, where, thumbnails)
    pairs = [shortly_after(paths, clocks, where, event_s), films_pairs, _of_reels(reels)]
    fixed = seen.place
    if details is not None and len(seen.backgrounds):
        known = joined(np.arange(len(paths)), np.concatenate(pairs, axis=1))
        follows = np.array(next_numbers(paths), np.int64).reshape(-1, 2).T
        subjects = same_subjects(details, seen, _Possible.of(paths, clocks), known, follows)
        fixed = np.where(subjects.seen | (clocks.camera >= 0), seen.place, -1)
        pairs.append(subjects.pairs)
    more = Known(np.concatenate(pairs, axis=1), fixed)
    return Events(
        grouping=group(thumbnails, details, same_bytes, more),
        places=_names(seen, said, moments),
        seconds=clocks.seconds,
        notes=(*clocks.notes, *notes, *_damaged(paths, moments)),
    )


def _no_places(photos: int) -> Places:
    return Places(np.full(photos, -1, np.int64), np.empty((0, 32, 32, 3), np.float32))


@dataclass(frozen=True)
class _Possible:
    """Which photos that show the same subject can be of one event."""

    labels: Numbers
    clocks: Clocks

    @classmethod
    def of(cls, paths: Sequence[str], clocks: Clocks) -> "_Possible":
        return cls(numbered(path.partition("/")[0] for path in paths), clocks)

    def __call__(self, first: Numbers, second: Numbers) -> npt.NDArray[np.bool_]:
        same = self.labels[first] == self.labels[second]
        return np.asarray(same & ~self.far(first, second))

    def far(self, first: Numbers, second: Numbers) -> npt.NDArray[np.bool_]:
        """Whether one clock puts two photos more than an hour apart."""
        camera, seconds = self.clocks.camera, self.clocks.seconds
        one = (camera[first] == camera[second]) & (camera[first] >= 0)
        return np.asarray(one & (np.abs(seconds[first] - seconds[second]) > HOUR_S))


def _of_films(
    paths: Sequence[str], clocks: Clocks, places: Numbers, thumbnails: AnyThumbnails
) -> tuple[Numbers, list[str]]:
    """Pairs (2, m) of consecutive frames, and lines on names that are not believed."""
    by_family = defaultdict(list)
    for film in films(paths):
        frames = np.array(film.members)
        by_family[film.family].append(np.stack([frames[:-1], frames[1:]]))
    possible = _Possible.of(paths, clocks)
    kept, notes = [np.empty((2, 0), np.int64)], []
    for family, parts in sorted(by_family.items()):
        first, second = pairs = np.concatenate(parts, axis=1)
        likeness = np.median(_likeness(thumbnails, pairs))
        if likeness < FILM_LIKENESS:
            photos = number(len(np.unique(pairs)), "photo")
            notes.append(
                f"names as {family!r} are numbered, but the pictures are no frames of a film: "
                + photos
            )
            continue
        elsewhere = (places[first] != places[second]) & (places[pairs] >= 0).all(axis=0)
        kept.append(pairs[:, ~elsewhere & ~possible.far(first, second)])
    return np.concatenate(kept, axis=1), notes


def _likeness(thumbnails: AnyThumbnails, pairs: Numbers) -> Floats:
    """(m,), the correlations of pairs (2, m)."""
    parts = (pairs[:, part] for part in blocks(pairs.shape[1]))
    found = [np.einsum("ij,ij->i", thumbnails[a], thumbnails[b]) for a, b in parts]
    return np.concatenate([np.empty(0, np.float32), *found])


def _of_reels(reels: Sequence[str]) -> Numbers:
    """Pairs (2, m) of frames of one film, one after the other."""
    last: dict[str, int] = {}
    pairs = []
    for i, reel in enumerate(reels):
        if reel:
            pairs.append((last.get(reel, i), i))
            last[reel] = i
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _place_numbers(seen: Places, said: Sequence[str]) -> Numbers:
    """(n,), the user's places and those found as numbers; -1: unknown."""
    index = {name: i + len(seen.backgrounds) for i, name in enumerate(sorted({*said} - {""}))}
    return np.array(
        [index.get(name, place) for name, place in zip(said, seen.place.tolist(), strict=True)],
        np.int64,
    )


def _names(seen: Places, said: Sequence[str], moments: Sequence[Moment]) -> tuple[str, ...]:
    """The place of each photo: the user's, else its fixed camera, else its background."""
    cameras = _fixed_cameras(seen, moments)
    return tuple(
        name
        or (moment.camera if moment.camera in cameras else "")
        or (f"background {place + 1}" if place >= 0 else "")
        for name, moment, place in zip(said, moments, seen.place.tolist(), strict=True)
    )


def _fixed_cameras(seen: Places, moments: Sequence[Moment]) -> set[str]:
    """Cameras that stand still: those of which most photos share a background.

    A camera that was moved to another place has several backgrounds, which are its places.
    """
    of_camera = defaultdict(list)
    for moment, place in zip(moments, seen.place.tolist(), strict=True):
        if moment.unique:
            of_camera[moment.camera].append(place)
    fixed = set()
    for camera, places in of_camera.items():
        known = [place for place in places if place >= 0]
        if len(set(known)) == 1 and 2 * len(known) > len(places):
            fixed.add(camera)
    return fixed


def _damaged(paths: Sequence[str], moments: Sequence[Moment]) -> list[str]:
    by_problem = defaultdict(list)
    for path, moment in zip(paths, moments, strict=True):
        if moment.problem:
            by_problem[moment.problem].append(path)
    return [
        f"Exif that is {problem}, so without a time: {number(len(names), 'photo')} "
        f"({', '.join([*map(shown, names[:SHOWN]), *(['...'] if len(names) > SHOWN else [])])})"
        for problem, names in sorted(by_problem.items())
    ]
