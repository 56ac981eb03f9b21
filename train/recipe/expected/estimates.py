"""From the photos of a training to what to expect at the same places, and at new ones."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device.workstation.expected import NewPlaces, SamePlaces
from device.workstation.training import Part
from train.data.split import Row
from train.recipe.expected import new_places, same_places
from train.recipe.expected.held_out import Flags, Sample, Views
from train.recipe.photos import Photos

FRAMES = (3, 2, 1)
"""Photos of an event that are looked at: as many as the most photos allow."""
MAX_PHOTOS = 800
"""So many take about a minute on two cores."""


class Pictures(Protocol):
    """Gives features of the network before it was trained."""

    def features(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
        """Of photos, (n, channels) of length 1."""

    def views(self, rows: Sequence[Row]) -> Views | None:
        """Of the same photos before other backgrounds; None if training shows no such views."""


@dataclass(frozen=True)
class Expected:
    """Estimates beside the test part; each None where it cannot be told, or says nothing more."""

    same_places: SamePlaces | None
    new_places: NewPlaces | None


@dataclass(frozen=True)
class _Seen:
    """One photo."""

    row: Row
    part: Part
    number: int
    """Its position in its part."""
    event: str
    place: str
    """Empty if unknown."""


def expected(photos: Photos, hits: Mapping[Part, Flags], pictures: Pictures, seed: int) -> Expected:
    """What to expect of a trained network, beside its test part.

    Args:
        photos: of all parts.
        hits: for validation and test, which photos the network classifies rightly.
        pictures: gives features of the network before it was trained; asked only if needed.
        seed: of what is drawn at random.
    """
    everything = _all(photos)
    more = same_places.says_more(
        photos.events(Part.TEST), ((one.row.label, one.event) for one in everything)
    )
    known = [one for one in everything if one.place]
    elsewhere = len({one.place for one in known}) >= new_places.MIN_PLACES
    seen = _chosen(everything if more else known)
    if not more and not elsewhere:
        return Expected(None, None)
    sample = _sample(seen, photos.labels, pictures, views=elsewhere)
    teach = np.array([one.part == Part.TRAIN for one in seen])
    right = np.array([bool(hits[one.part][one.number]) for one in seen if one.part != Part.TRAIN])
    placed = sample.places != ""
    return Expected(
        same_places.estimate(sample, teach, right, photos.labels, seed) if more else None,
        new_places.estimate(sample.only(placed), teach[placed], right[placed[~teach]], seed)
        if elsewhere
        else None,
    )


def _sample(
    seen: Sequence[_Seen], labels: Sequence[str], pictures: Pictures, *, views: bool
) -> Sample:
    rows = [one.row for one in seen]
    features = pictures.features(rows)
    shown = pictures.views(rows) if views else None
    return Sample(
        features=features,
        labels=np.array([labels.index(row.label) for row in rows], np.int64),
        events=np.array([one.event for one in seen]),
        places=np.array([one.place for one in seen]),
        views=shown or Views.none(features.shape[1]),
    )


def _all(photos: Photos) -> list[_Seen]:
    return [
        _Seen(row, part, number, event, place)
        for part in Part
        for number, (row, event, place) in enumerate(
            zip(photos.rows[part], photos.events(part), photos.places(part), strict=True)
        )
    ]


def _chosen(seen: Sequence[_Seen]) -> list[_Seen]:
    """A few photos of every event, the same ones in every run; of very many events, a part."""
    of_event: dict[tuple[str, Part], list[_Seen]] = defaultdict(list)
    for one in sorted(seen, key=lambda one: one.row.sha256):
        of_event[one.event, one.part].append(one)
    for frames in FRAMES:
        chosen = [one for group in of_event.values() for one in group[:frames]]
        if len(chosen) <= MAX_PHOTOS:
            break
    return chosen[:MAX_PHOTOS]
