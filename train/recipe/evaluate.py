"""Evaluating a trained network: the figures that `metrics.json` records."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.engine.choice import done
from device.workstation.engine.progress import bars, titled
from device.workstation.engine.work import Work
from device.workstation.shares import share_by_event
from device.workstation.training import (
    Accuracy,
    ClassFigures,
    Epoch,
    Mistake,
    Part,
    Tested,
    Validated,
)
from train.data.split import Row
from train.recipe.finetune import Figures, TuningState
from train.recipe.photos import Photos
from train.recipe.truth import Labels

Floats = npt.NDArray[np.float32]

PREDICT_BATCH = 32
MISTAKES_KEPT = 24


def accuracy(hits: npt.NDArray[np.bool_], events: Sequence[str]) -> Accuracy:
    """Share of correct answers with its 95% interval by event.

    Args:
        hits: (n,), which answers are right.
        events: of the n photos.
    """
    share = share_by_event(hits, events)
    return Accuracy(share.n, share.events, share.value, share.interval)


def predict(network: keras.Model, photos: Photos, rules: Preprocessing) -> Floats:
    """Probabilities (n, classes) for the test part, computed from the files by the whole model.

    Raises:
        DataError: if a photo is missing or has changed since it was scanned.
    """
    rows = photos.rows[Part.TEST]
    starts = range(0, len(rows), PREDICT_BATCH)
    batches = [tuple(rows[start : start + PREDICT_BATCH]) for start in starts]
    task = Predicting(network, replace(photos, rows={}, occasions={}), rules)
    work = Work(task, batches, "test photos", partial(_key, task, rows), chunk=1)
    with bars() as progress:
        bar = progress.add_task(titled(work.description), total=len(rows))
        return np.concatenate(list(done(work, lambda: progress.advance(bar, PREDICT_BATCH))))


@dataclass(frozen=True)
class Predicting:
    """The task of asking a network about batches of photos."""

    network: keras.Model
    photos: Photos
    """That reads them."""
    rules: Preprocessing

    def setup(self) -> Callable[[Sequence[Row]], Floats]:
        """As for every task; the function gives (photos, classes) and raises as `predict`."""
        compiled = self._compiled
        return lambda rows: np.asarray(compiled(self.photos.pixels(rows, self.rules)))

    @cached_property
    def _compiled(self) -> Callable[[Pixels], Any]:
        """Once for all threads; it is not yet there when the task goes to another machine."""
        return tf.function(  # type: ignore[no-any-return]
            lambda x: self.network(x, training=False)["probabilities"],
            autograph=False,
            jit_compile=False,
        )


def _key(task: Predicting, rows: Sequence[Row]) -> str:
    weights = [array.tobytes() for array in task.network.get_weights()]
    sha256 = hashlib.sha256(b"".join(weights))
    sha256.update(repr((task.photos, task.rules, rows)).encode("utf-8", "surrogateescape"))
    return sha256.hexdigest()[:16]


def tested(photos: Photos, probabilities: Floats) -> Tested:
    """The figures of the test part from its probabilities (n, classes)."""
    truth, predicted = photos.numbers(Part.TEST), probabilities.argmax(axis=1)
    numbers, events = list(range(len(photos.labels))), photos.events(Part.TEST)
    share = accuracy(predicted == truth, events)
    confusion = confusion_matrix(truth, predicted, labels=numbers).tolist()
    return Tested(
        n=share.n,
        events=share.events,
        accuracy=share.accuracy,
        interval=share.interval,
        per_class=_per_class(photos.labels, truth, predicted, events),
        confusion=tuple(map(tuple, confusion)),
        mistakes=_mistakes(photos, truth, probabilities),
    )


def _per_class(
    labels: Sequence[str],
    truth: Labels,
    predicted: npt.NDArray[np.int64],
    events: Sequence[str],
) -> tuple[ClassFigures, ...]:
    pairs = set(zip(truth.tolist(), events, strict=True))
    events_of = Counter(number for number, _ in pairs)
    columns = precision_recall_fscore_support(
        truth, predicted, labels=list(range(len(labels))), zero_division=0
    )
    return tuple(
        ClassFigures(label, int(n), events_of[i], float(precision), float(recall), float(f1))
        for i, (label, precision, recall, f1, n) in enumerate(zip(labels, *columns, strict=True))
    )


def _mistakes(photos: Photos, truth: Labels, probabilities: Floats) -> tuple[Mistake, ...]:
    predicted, rows = probabilities.argmax(axis=1), photos.rows[Part.TEST]
    wrong = np.flatnonzero(predicted != truth)
    worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    return tuple(
        Mistake(
            path=rows[i].path,
            label=photos.labels[truth[i]],
            predicted=photos.labels[predicted[i]],
            score=float(probabilities[i, predicted[i]]),
        )
        for i in worst[:MISTAKES_KEPT]
    )


def validated(tuned: TuningState, photos: Photos) -> Validated:
    """The figures of the validation part."""
    events = photos.events(Part.VAL)
    return Validated(len(events), len(set(events)), tuned.best_accuracy, tuned.head_only_accuracy)


def history(tuned: TuningState) -> tuple[Epoch, ...]:
    """The figures of every epoch."""
    return tuple(_epoch(number, figures) for number, figures in enumerate(tuned.history))


def _epoch(number: int, figures: Figures) -> Epoch:
    train_loss, val_loss = (
        None if math.isnan(loss) else loss for loss in (figures.train_loss, figures.val_loss)
    )
    return Epoch(number, train_loss, val_loss, figures.val_accuracy)
