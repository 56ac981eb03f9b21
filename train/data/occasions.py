"""Events and places of photos: what pictures, clocks and names tell, and what the user says."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from device.workstation.events.listed import Occasion
from train.data.copies import joined

Numbers = npt.NDArray[np.int64]

EVENT_S = 60.0


@dataclass(frozen=True)
class EventSettings:
    """How events and places are found."""

    gap_s: float = EVENT_S
    """Photos of one camera are of one event if no gap between two is longer."""
    listed: Mapping[str, Occasion] = field(default_factory=dict)
    """By path, what the user says; an empty event or place leaves what was found."""
    folders: bool = False
    """Whether the sub-folders of a class are the places."""


@dataclass(frozen=True)
class Taken:
    """What events and places are found by."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Occasions:
    """The events of photos, before those that show one picture are joined, and their places."""

    clocks: Numbers
    """(n,), the same number for photos of one event by their clocks and names."""
    seconds: tuple[float | None, ...]
    """(n,), when they were taken, comparable within an event; None where unknown."""
    said: tuple[str, ...]
    """(n,), the user's name of the event; empty if the photo is not listed."""
    digests: tuple[str, ...]
    """(n,), SHA-256 of the photos."""
    places: tuple[str, ...]
    """(n,), empty where unknown."""
    notes: tuple[str, ...]
    """A line for each thing that the user should know."""

    def events(self, pictures: Numbers) -> list[str]:
        """The event of each photo: the first 12 digits of the smallest SHA-256 of its photos.

        Args:
            pictures: (n,), the same number for photos that show one picture: they are of one event.
        """
        found = joined(pictures, _links(self.clocks))
        if any(self.said):
            found = joined(self._as_said(found), _links(_numbers(self.digests)))
        smallest: dict[int, str] = {}
        for digest, root in zip(self.digests, found.tolist(), strict=True):
            smallest[root] = min(digest, smallest.get(root, digest))
        return [smallest[root][:12] for root in found.tolist()]

    def _as_said(self, found: Numbers) -> Numbers:
        """The listed photos as the user says; others stay with their event if it has one name."""
        names: dict[int, set[str]] = defaultdict(set)
        for name, root in zip(self.said, found.tolist(), strict=True):
            names[root].update({name} - {""})
        keys = [
            (name or next(iter(names[root])), -1) if name or len(names[root]) == 1 else ("", root)
            for name, root in zip(self.said, found.tolist(), strict=True)
        ]
        return _numbers(keys)


def _links(roots: Numbers) -> Numbers:
    """Pairs (2, n) that join what has the same number."""
    return np.stack([np.arange(len(roots)), roots])


def _numbers(keys: Sequence[object]) -> Numbers:
    """(n,), for each key the index of the first equal one."""
    first: dict[object, int] = {}
    return np.array([first.setdefault(key, i) for i, key in enumerate(keys)], np.int64)


def find_occasions(shots: Sequence[Taken], settings: EventSettings) -> Occasions:
    """What clocks, names and the user say of the photos."""
    clocks, places, notes = np.arange(len(shots)), [""] * len(shots), []
    if settings.folders:
        places = [_folder(shot.path) for shot in shots]
    said = [settings.listed.get(shot.path, Occasion("")) for shot in shots]
    named = sum(shot.path in settings.listed for shot in shots)
    if settings.listed and named < len(shots):
        notes.append(
            f"EVENTS: {len(shots) - named:,} of {len(shots):,} photos are not in the list; they "
            "keep the event and the place that were found"
        )
    return Occasions(
        clocks=clocks,
        seconds=(None,) * len(shots),
        said=tuple(each.event for each in said),
        digests=tuple(shot.sha256 for shot in shots),
        places=tuple(each.place or place for each, place in zip(said, places, strict=True)),
        notes=tuple(notes),
    )


def _folder(path: str) -> str:
    """The sub-folder of its class that a photo is in; empty if it is in none."""
    parts = PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else ""
