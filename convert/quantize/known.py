"""The directions along which the int8 model's features of the training photos lie.

If the user's own strangers teach, there is one more direction: that which tells them from the
training photos. The photos of one event are alike, so together they count as one photo.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from convert.artifacts.features import FeaturesOf
from convert.artifacts.training import LabelledPhoto, Training
from device.contract.statistics import MAX_BYTES, OUTSIDE_WEIGHT, FeatureStatistics
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
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
RIDGE = 0.01
"""Of features whose squares add up to 1 (decision 11 of convert)."""
OUTSIDE_UNIT = 0.6
"""What lies outside is measured in this part of its spread on validation photos. So it weighs
`OUTSIDE_WEIGHT` / 0.6, 2.5 times the logit (decision 13 of convert), and bundles say so: those made
before keep their weight on any device."""
LEAST_SPREAD = 1e-3
"""Photos that are all alike must not make the smallest difference count."""


@dataclass(frozen=True)
class Seen:
    """The features of some photos."""

    features: Floats
    """float32 (photos, features)."""
    events: Sequence[str]
    """Of each photo."""


def known_features(
    training: Training, model: bytes, advance: Callable[[], None] = lambda: None
) -> FeatureStatistics:
    """Run the int8 model on all that teaches what is known; `advance` is called after each photo.

    Raises:
        InputError: if a photo is missing or has changed since the split.
    """
    task = FeaturesOf(training.without_photos(), model)

    def of(photos: Sequence[LabelledPhoto]) -> Seen:
        rows = list(done(Work.of(task, photos, "features"), advance))
        return Seen(np.stack(rows), [photo.event for photo in photos])

    known = of(training.photos[Part.TRAIN])
    statistics = feature_statistics(known.features, known.events, len(training.labels))
    strangers = training.strangers.get(Part.TRAIN, ())
    if not strangers:
        return statistics
    return taught(statistics, known, of(strangers), of(training.photos[Part.VAL]))


def photos_seen(training: Training) -> int:
    """How often `known_features` calls `advance`."""
    strangers = len(training.strangers.get(Part.TRAIN, ()))
    judged = len(training.photos[Part.VAL]) if strangers else 0
    return len(training.photos[Part.TRAIN]) + strangers + judged


def feature_statistics(features: Floats, events: Sequence[str], classes: int) -> FeatureStatistics:
    """The leading directions of features of length 1; what is usual is found in verification.

    Args:
        features: float32 (photos, features).
        events: of each photo.
        classes: number of labels.
    """
    rows = of_length_one(features)
    weights = event_weights(events)
    most = min(_most(rows.shape[1], classes), len(set(events)) // EVENTS_PER_DIRECTION)
    directions = _directions((rows * weights[:, np.newaxis]).T @ rows, max(most, 1))
    return FeatureStatistics.unscaled(directions, classes)


def taught(
    statistics: FeatureStatistics, known: Seen, strangers: Seen, validation: Seen
) -> FeatureStatistics:
    """The statistics with what tells strangers from known photos.

    It is a ridge regression on features of length 1, in which both sides weigh the same. Its values
    are brought to such units that one step of them, by the spread of validation photos, counts as
    much as one of the logit.

    Args:
        statistics: with the directions.
        known: the training photos.
        strangers: those that teach.
        validation: known photos that trained nothing.
    """
    direction = _between(known, strangers)
    beside = np.array([statistics.outside(row) for row in validation.features])
    like = of_length_one(validation.features) @ direction
    spread = max(_spread(like), LEAST_SPREAD)
    step = OUTSIDE_UNIT * max(_spread(beside), LEAST_SPREAD) / OUTSIDE_WEIGHT
    halves = (step / spread * direction).astype(np.float16)
    return replace(statistics, taught=np.asarray(halves, np.float32))


def _between(known: Seen, strangers: Seen) -> Doubles:
    """float64 (features,): along it strangers are above, and known photos below."""
    rows = of_length_one(np.concatenate([known.features, strangers.features]))
    sides = [event_weights(side.events) for side in (known, strangers)]
    weights = np.concatenate([side / side.sum() / 2 for side in sides])
    signs = np.repeat([-1.0, 1.0], [len(side) for side in sides])
    # Both sides weigh the same, so the signs have no mean to take away.
    centred = (rows - weights @ rows) * weights[:, np.newaxis]
    moments = centred.T @ rows + RIDGE * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(moments, centred.T @ signs), np.float64)


def _spread(values: Doubles) -> float:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(high - low)


def of_length_one(features: Floats) -> Doubles:
    """float64 (photos, features), each row of length 1, or 0 where there is nothing."""
    rows = features.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))


def _most(features: int, classes: int) -> int:
    """How many directions fit into the file."""
    free = MAX_BYTES - OVERHEAD_BYTES - 16 * classes
    # One is for what strangers teach.
    return int(np.clip(free // (2 * features) - 1, 1, MOST_DIRECTIONS))


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
