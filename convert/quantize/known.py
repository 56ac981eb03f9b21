"""What the int8 model's features of the training photos look like, class by class.

The photos of one event are alike, so together they count as one photo.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from convert.artifacts.training import Training
from device.contract.statistics import MAX_BYTES, FeatureStatistics
from device.inference.classifier import Classifier
from device.inference.outputs import FEATURES
from device.workstation.training import Part

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

MOST_DIRECTIONS = 64
OVERHEAD_BYTES = 2_000
"""Of the archive: names, shapes, checksums."""
LEAST_VARIANCE = 1e-8
"""So that no direction is too long for its 16-bit numbers."""


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
    return feature_statistics(
        np.stack(rows),
        [photo.label for photo in photos],
        [photo.event for photo in photos],
        step=classifier.tensor_records()["outputs"][FEATURES]["scale"],
    )


def feature_statistics(
    features: Floats, labels: Sequence[int], events: Sequence[str], step: float
) -> FeatureStatistics:
    """Class means and the leading directions of the covariance within classes.

    Args:
        features: float32 (photos, features).
        labels: of each photo, 0 to classes - 1, each at least once.
        events: of each photo.
        step: of the features' quantization. Differences below it are no differences, so its noise
            is added to the variance of each direction: classes of equal photos have one, too.
    """
    truth, rows = np.asarray(labels), features.astype(np.float64)
    weights = _weights(labels, events)
    classes = int(truth.max()) + 1
    means = np.stack([_mean(rows[truth == c], weights[truth == c]) for c in range(classes)])
    off = rows - means[truth]
    freedom = max(weights.sum() - classes, 1.0)
    covariance = (off * weights[:, np.newaxis]).T @ off / freedom
    noise = max(step**2 / 12, LEAST_VARIANCE)
    directions = _directions(covariance, noise, _most(features.shape[1], classes))
    center = means.mean(axis=0).astype(np.float32)
    return FeatureStatistics(
        mean=((means - center) @ directions).astype(np.float32),
        directions=directions,
        center=center,
    )


def _weights(labels: Sequence[int], events: Sequence[str]) -> Doubles:
    """For each photo, one divided by how many its event has of this class."""
    keys = list(zip(labels, events, strict=True))
    sizes = Counter(keys)
    return np.array([1 / sizes[key] for key in keys])


def _mean(rows: Doubles, weights: Doubles) -> Doubles:
    return np.asarray(np.average(rows, axis=0, weights=weights))


def _most(features: int, classes: int) -> int:
    """How many directions fit into the file."""
    free = MAX_BYTES - OVERHEAD_BYTES - 4 * features
    return int(np.clip(free // (2 * features + 4 * classes), 1, MOST_DIRECTIONS))


def _directions(covariance: Doubles, noise: float, most: int) -> Floats:
    """float32 (features, d), each number one that 16 bits hold."""
    variances, vectors = np.linalg.eigh(covariance)
    # The largest first; at least one.
    count = int(np.clip((variances > noise).sum(), 1, most))
    leading, spread = vectors[:, ::-1][:, :count], variances[::-1][:count].clip(0) + noise
    # The sign of an eigenvector is arbitrary, and not the same on all machines.
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(count)]
    scaled = leading * np.sign(largest) / np.sqrt(spread)
    return np.asarray(scaled.astype(np.float16), np.float32)
