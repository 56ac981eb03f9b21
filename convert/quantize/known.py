"""The directions along which the int8 model's features of the training photos lie.

The photos of one event are alike, so together they count as one photo.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from convert.artifacts.training import Training
from device.contract.statistics import MAX_BYTES, FeatureStatistics
from device.inference.classifier import Classifier
from device.workstation.training import Part
from device.workstation.weights import event_weights

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

MOST_DIRECTIONS = 48
EVENTS_PER_DIRECTION = 4
"""More directions than events divided by this would just be the photos themselves."""
OVERHEAD_BYTES = 2_000
"""Of the archive: names, shapes, checksums."""
LEAST_SHARE = 1e-6
"""A direction has at least this share of the features' square."""


def known_features(
    training: Training, model: bytes, advance: Callable[[], None] = lambda: None
) -> FeatureStatistics:
    """Run the int8 model on all training photos; `advance` is called after each.

    Raises:
        InputError: if a photo is missing or has changed since the split.
    """
    classifier = Classifier(model, training.labels, training.preprocessing)
    photos, rows = training.photos[Part.TRAIN], []
    for photo in photos:
        classifier.set_input(training.pixels(photo))
        classifier.invoke()
        rows.append(classifier.features())
        advance()
    events = [photo.event for photo in photos]
    return feature_statistics(np.stack(rows), events, len(training.labels))


def feature_statistics(features: Floats, events: Sequence[str], classes: int) -> FeatureStatistics:
    """The leading directions of features of length 1; what is usual is found in verification.

    Args:
        features: float32 (photos, features).
        events: of each photo.
        classes: number of labels.
    """
    rows = features.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    weights = event_weights(events)
    most = min(_most(rows.shape[1], classes), len(set(events)) // EVENTS_PER_DIRECTION)
    directions = _directions((rows * weights[:, np.newaxis]).T @ rows, max(most, 1))
    return FeatureStatistics.unscaled(directions, classes)


def _most(features: int, classes: int) -> int:
    """How many directions fit into the file."""
    free = MAX_BYTES - OVERHEAD_BYTES - 16 * classes
    return int(np.clip(free // (2 * features), 1, MOST_DIRECTIONS))


def _directions(moments: Doubles, most: int) -> Floats:
    """float32 (features, d), each number one that 16 bits hold."""
    squares, vectors = np.linalg.eigh(moments)
    # The largest first; at least one.
    count = int(np.clip((squares > LEAST_SHARE * squares.sum()).sum(), 1, most))
    leading = vectors[:, ::-1][:, :count]
    # The sign of an eigenvector is arbitrary, and not the same on all machines.
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(count)]
    halves = (leading * np.sign(largest)).astype(np.float16)
    return np.asarray(halves, np.float32)
