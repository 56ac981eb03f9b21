"""Each class in turn as the stranger to the others, from features that are there anyway.

The last layer is fitted again without the class, on the int8 model's features of training photos,
and directions and limits are found again without it. Then the class's held-out photos are judged
beside those of the others. The network's features have seen the class, so this says how well the
rest tells a kind that the features know: an upper bound for kinds that were never shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from convert.artifacts.features import FeaturesOf
from convert.artifacts.training import (
    LabelledPhoto,
    Training,
    one_class_after_another,
    turns,
)
from convert.quantize.known import feature_statistics
from convert.verify.confidence import Scaled, choose_limit, distances, scale
from convert.verify.models import Models
from convert.verify.statistics import Labels
from convert.verify.strangers import Judge, Known
from device.contract.statistics import Doubles
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
from device.workstation.shares import share_by_event
from device.workstation.training import Part
from device.workstation.unknown.strangers import LeftOutClass

MOST_PHOTOS = 1_000
"""Training photos that the last layer is fitted to again, of all classes and events in turn."""
MOST_CLASSES = 10
"""Of more classes, those with the most held-out photos are left out."""
LEAST_CLASSES = 3
"""Without one of fewer there is nothing to tell apart."""
DECAY, STEPS = 1e-3, 60
"""Of the fit: weight decay, and steps at most."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """What the int8 model sees in some photos."""

    truth: Labels
    """int64 (n,)."""
    features: Floats
    """float32 (n, features)."""
    events: npt.NDArray[np.str_]

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Shown":
        """Some of them."""
        return Shown(self.truth[chosen], self.features[chosen], self.events[chosen])

    def followed_by(self, other: "Shown") -> "Shown":
        """Both."""
        return Shown(
            np.concatenate([self.truth, other.truth]),
            np.concatenate([self.features, other.features]),
            np.concatenate([self.events, other.events]),
        )

    def without(self, label: int) -> "Shown":
        """Those of other classes, which are numbered anew."""
        kept = self.where(self.truth != label)
        return Shown(kept.truth - (kept.truth > label), kept.features, kept.events)


@dataclass(frozen=True)
class Head:
    """A last layer."""

    weights: Doubles
    """float64 (features, classes)."""
    bias: Doubles

    def logits(self, features: Floats) -> Doubles:
        """float64 (n, classes)."""
        return np.asarray(features @ self.weights + self.bias, np.float64)


def taught_by(training: Training) -> list[LabelledPhoto]:
    """The training photos that last layers are fitted to."""
    photos = one_class_after_another(training.photos[Part.TRAIN])
    turn = turns([photo.event for photo in photos])
    return [photos[i] for i in sorted(range(len(photos)), key=turn.__getitem__)][:MOST_PHOTOS]


def steps(training: Training) -> int:
    """How often `show` calls `advance`."""
    return len(taught_by(training)) if len(training.labels) >= LEAST_CLASSES else 0


def show(models: Models, advance: Callable[[], None]) -> Shown | None:
    """What int8 sees in training photos; None where no class can be left out.

    Args:
        models: the models and their photos.
        advance: called after each photo.

    Raises:
        InputError: if a photo is missing or has changed since the split.
    """
    if not steps(models.training):
        return None
    photos = taught_by(models.training)
    task = FeaturesOf(models.training.without_photos(), models.exported.int8_model)
    rows = list(done(Work.of(task, photos, "features"), advance))
    return Shown(
        np.array([photo.label for photo in photos], np.int64),
        np.stack(rows),
        np.array([photo.event for photo in photos]),
    )


def leave_out(
    labels: Sequence[str],
    taught: Shown,
    validation: Shown,
    test: Shown,
    label_smoothing: float,
) -> tuple[LeftOutClass, ...]:
    """Each class as the stranger to the others, in the order of the labels.

    Args:
        labels: the classes' names.
        taught: training photos.
        validation: photos that choose the limits, if they are of other classes.
        test: photos that judge. Of the left-out class the validation photos judge, too.
        label_smoothing: of the recipe that the network was trained by, 0..1.

    Returns:
        A row for each class that is left out; none for a class without held-out photos, or if too
        few validation photos of the others are left to choose limits.
    """
    counts = np.bincount(np.concatenate([validation.truth, test.truth]), minlength=len(labels))
    most = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    found = []
    for label in sorted(int(one) for one in most if counts[one]):
        row = _left_out(labels, label, (taught, validation, test), label_smoothing)
        found += [row] if row else []
    return tuple(found)


def _left_out(
    labels: Sequence[str], label: int, parts: tuple[Shown, Shown, Shown], label_smoothing: float
) -> LeftOutClass | None:
    classes = len(labels) - 1
    learned, limiting, known = (part.without(label) for part in parts)
    if not len(known.truth) or not len(learned.truth):
        return None
    both = parts[1].followed_by(parts[2])
    strange = both.where(both.truth == label)
    head = fit(learned, classes, label_smoothing)
    statistics = feature_statistics(learned.features, learned.events.tolist(), classes)

    def measured(part: Shown) -> tuple[Labels, Doubles, Doubles]:
        logits = head.logits(part.features)
        rows = zip(logits.astype(np.float32), part.features, strict=True)
        found = np.stack([statistics.measured(*row) for row in rows])
        return logits.argmax(axis=1), found, np.exp(log_softmax(logits, axis=1)).max(axis=1)

    named, of_validation, scores = measured(limiting)
    scaled = scale(statistics, named, of_validation, limiting.events.tolist())
    least = choose_limit(-scores, limiting.events.tolist())
    if scaled.limit is None or least is None:
        return None
    far, of_known = _far(scaled, *measured(known))
    judge = Judge(scaled.limit, -least, Known(far, of_known, known.events.tolist()))
    far_strange, of_strange = _far(scaled, *measured(strange))
    away = far_strange > scaled.limit
    turned = judge.weighed(away, far_strange, of_strange, strange.events.tolist())
    kept = share_by_event(far <= scaled.limit, known.events)
    return LeftOutClass(labels[label], kept.value, turned.turned_figures())


def _far(scaled: Scaled, named: Labels, found: Doubles, scores: Doubles) -> tuple[Doubles, Doubles]:
    """The distances and the scores of photos."""
    return distances(scaled.statistics, named, found), scores


def fit(shown: Shown, classes: int, label_smoothing: float) -> Head:
    """A last layer for photos: logistic regression.

    Args:
        shown: with classes below `classes`.
        classes: how many.
        label_smoothing: share of each label that all classes have alike, 0..1.
    """
    size = float(np.sqrt(np.square(shown.features, dtype=np.float64).mean())) or 1.0
    rows = np.column_stack([shown.features / size, np.ones(len(shown.features))])
    wanted = np.eye(classes)[shown.truth] * (1 - label_smoothing) + label_smoothing / classes
    share = 1 / len(rows)

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        weights = flat.reshape(-1, classes)
        logs = log_softmax(rows @ weights, axis=1)
        slope = rows.T @ (np.exp(logs) - wanted) * share
        slope[:-1] += DECAY * weights[:-1]
        decay = DECAY / 2 * float(np.square(weights[:-1]).sum())
        return decay - share * float((logs * wanted).sum()), slope.ravel()

    start = np.zeros(rows.shape[1] * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    weights = found.x.reshape(-1, classes)
    return Head(weights[:-1] / size, weights[-1])
