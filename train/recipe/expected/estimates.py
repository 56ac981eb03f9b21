"""From the photos of a training to what to expect at new places."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device.workstation.training import NewPlaces, Part
from train.data.split import Row
from train.recipe.expected.held_out import Flags, Sample, Views
from train.recipe.expected.new_places import MIN_PLACES, estimate
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
class _Seen:
    """One photo of a known place."""

    row: Row
    part: Part
    number: int
    """Its position in its part."""
    event: str
    place: str


def new_places(
    photos: Photos, hits: Mapping[Part, Flags], pictures: Pictures, seed: int
) -> NewPlaces | None:
    """What to expect of a trained network at places that have no photo in the data.

    Args:
        photos: of all parts.
        hits: for validation and test, which photos the network classifies rightly.
        pictures: gives features of the network before it was trained.
        seed: of what is drawn at random.

    Returns:
        None with fewer than three known places; then nothing is computed.
    """
    seen = _chosen(_known(photos))
    if len({one.place for one in seen}) < MIN_PLACES:
        return None
    rows = [one.row for one in seen]
    features = pictures.features(rows)
    sample = Sample(
        features=features,
        labels=np.array([photos.labels.index(row.label) for row in rows], np.int64),
        events=np.array([one.event for one in seen]),
        places=np.array([one.place for one in seen]),
        views=pictures.views(rows) or Views.none(features.shape[1]),
    )
    teach = np.array([one.part == Part.TRAIN for one in seen])
    right = [bool(hits[one.part][one.number]) for one in seen if one.part != Part.TRAIN]
    return estimate(sample, teach, np.array(right, bool), seed)


def _known(photos: Photos) -> list[_Seen]:
    """The photos whose place is known."""
    return [
        _Seen(row, part, number, event, place)
        for part in Part
        for number, (row, event, place) in enumerate(
            zip(photos.rows[part], photos.events(part), photos.places(part), strict=True)
        )
        if place
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
