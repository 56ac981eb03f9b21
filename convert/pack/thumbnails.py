"""Chooses the training photos whose thumbnails travel in the bundle, and makes them small.

Of each class those come first that together resemble its other photos most: each next one is the
photo that brings the class's photos, on the average, nearest to one that was chosen (greedy
facility location). An outlier brings no other photo nearer, so few photos cover much.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from convert.artifacts.training import LabelledPhoto, Training, in_turn
from device.contract.arrays import Pixels
from device.contract.statistics import FeatureStatistics
from device.contract.thumbnails.record import MAX_BYTES, Thumbnails, placed
from device.inference.classifier import Classifier
from device.workstation.training import Part
from device.workstation.weights import event_weights

Places = Mapping[LabelledPhoto, npt.NDArray[np.float32]]

SIDES_PX = (96, 64, 48)
"""Smaller ones where `FEW` of each class would not fit."""
FEW = 3
QUALITY = 50
MOST_CANDIDATES = 1_500
"""Of a class, drawn by content: comparing all pairs of more would take long."""
MOST_OF_A_CLASS = 60
"""More do not fit, even of one class."""
OVERHEAD_BYTES = 1_500
"""Of the archive: names, shapes, checksums."""
NUMBERS_BYTES = 8 + 4
"""Of each picture: where it ends, its class."""


def thumbnails(
    training: Training, classifier: Classifier, statistics: FeatureStatistics
) -> Thumbnails:
    """As many pictures as the file may hold, of all classes in turn; the same inputs give the same.

    They are of training photos of a class, show what the network sees of these, and hold pixels
    alone: no Exif, no names.

    Raises:
        InputError: if a photo is missing or has changed since the split.
    """
    places = _places(training, classifier, statistics)
    ranks = [ranked(of_class, places) for of_class in _by_class(places)]
    chosen = in_turn([photo for rank in ranks for photo in rank])
    for side_px in SIDES_PX:
        pictures = _fitting(training, chosen, side_px, statistics.directions.shape[1])
        if _has_few_of_each(chosen, len(pictures)):
            break
    kept = chosen[: len(pictures)]
    rows = np.stack([places[photo] for photo in kept])
    labels = tuple(photo.label for photo in kept)
    return Thumbnails(tuple(pictures), labels, rows, statistics.directions)


def ranked(photos: Sequence[LabelledPhoto], places: Places) -> list[LabelledPhoto]:
    """Photos of one class, those first that resemble most of the others.

    Args:
        photos: those of an event count together as one.
        places: float32 (d,) of each, of length 1.
    """
    candidates = sorted(photos, key=lambda photo: (photo.sha256, photo.path))[:MOST_CANDIDATES]
    rows = np.stack([places[photo] for photo in candidates]).astype(np.float64)
    # Rounded: the last bits of a product are not the same on all machines.
    alike = np.round(rows @ rows.T, 6)
    weights = event_weights([photo.event for photo in candidates])
    nearest, left, order = np.full(len(rows), -1.0), np.ones(len(rows), bool), []
    for _ in range(min(len(rows), MOST_OF_A_CLASS)):
        gain = np.where(left, np.round(np.maximum(alike, nearest) @ weights, 6), -np.inf)
        best = int(gain.argmax())
        order.append(candidates[best])
        nearest, left[best] = np.maximum(nearest, alike[best]), False
    return order


def small(pixels: Pixels, side_px: int) -> bytes:
    """A WebP of at most so many pixels a side.

    Args:
        pixels: uint8 (h, w, 3), R, G, B.
        side_px: of the result.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=QUALITY, method=6)
    return data.getvalue()


def _places(training: Training, classifier: Classifier, statistics: FeatureStatistics) -> Places:
    found = {}
    for photo in training.photos[Part.TRAIN]:
        classifier.set_input(training.pixels(photo))
        classifier.invoke()
        place = placed(classifier.features(), statistics.directions)
        # As the file will hold it.
        found[photo] = place.astype(np.float16).astype(np.float32)
    return found


def _by_class(photos: Iterable[LabelledPhoto]) -> Iterator[list[LabelledPhoto]]:
    listed = list(photos)
    for label in sorted({photo.label for photo in listed}):
        yield [photo for photo in listed if photo.label == label]


def _fitting(
    training: Training, chosen: Sequence[LabelledPhoto], side_px: int, directions: int
) -> list[bytes]:
    """The pictures of as many photos, from the first, as fit into the file."""
    free, pictures = MAX_BYTES - OVERHEAD_BYTES, list[bytes]()
    for photo in chosen:
        picture = small(training.pixels(photo), side_px)
        free -= len(picture) + NUMBERS_BYTES + 2 * directions
        if free < 0:
            break
        pictures.append(picture)
    return pictures


def _has_few_of_each(chosen: Sequence[LabelledPhoto], count: int) -> bool:
    kept, all_of = (Counter(p.label for p in photos) for photos in (chosen[:count], chosen))
    return all(kept[label] >= min(FEW, n) for label, n in all_of.items())
