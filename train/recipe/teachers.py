"""The teachers of a network: trainings of larger ones, and what they say of the same views.

A teacher is a training folder that `train.recipe.fit` has left, of any backbone and input size. It
is asked about the views that the pupil trains on: its frozen part's activations are those that its
own training has cached, so an answer costs a pass through its last layers only.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from device.workstation.training import CUTS, EVENTS, SPLIT, Teacher
from train.artifacts import read_training
from train.errors import TrainingError
from train.network.backbone import between
from train.network.cache import Activations, cached, keep_only
from train.network.frozen import Frozen
from train.network.temperature import fold_temperature
from train.recipe.activations import CACHE_FOLDER, Seen, digest
from train.recipe.config import TrainConfig
from train.recipe.draws import Drawn, Draws, Pairs
from train.recipe.places import find_exchange

ANSWERS_FOLDER = "answers"
THE_SAME_VIEWS = ("seed", "epochs", "views", "batch_size", "robust")
"""Settings of the pupil by which its teachers see the views that it draws."""


@dataclass(frozen=True)
class Taught:
    """A network's teachers and what they answer."""

    teachers: tuple[Teacher, ...]
    answers: Sequence[Drawn]
    """Logits of each teacher for the drawn views."""
    key: str
    """For everything that the answers depend on."""


def ask(folders: Sequence[Path], pupil: Seen) -> Taught:
    """Prepare to ask teachers about the views that the pupil draws, when it needs them.

    Args:
        folders: of the trainings.
        pupil: what the pupil sees; answers are kept below its cache.

    Raises:
        RecordError: if a teacher's metrics are missing or damaged.
        BuildFolderError: if its network is.
        TrainingError: if a teacher learned from other photos.
    """
    asked = [_Asked.read(folder, pupil) for folder in folders]
    cache = pupil.cache / ANSWERS_FOLDER
    draws = pupil.draws
    keep_only(cache, {each.name(pairs) for each in asked for pairs in draws.pieces})
    answers = [each.answers(cache, draws) for each in asked]
    teachers = tuple(each.teacher for each in asked)
    return Taught(teachers, answers, digest(*(each.key for each in asked)))


@dataclass(frozen=True)
class _Asked:
    """One teacher, and what it sees of the pupil's photos."""

    teacher: Teacher
    views: Drawn
    """Its frozen part's activations."""
    last: Frozen
    """Its last layers, from these to logits."""
    key: str

    @classmethod
    def read(cls, folder: Path, pupil: Seen) -> "_Asked":
        metrics, network = read_training(folder)
        _check_same_photos(folder, pupil.training)
        # Teaching has its own temperature, which applies to the logits before calibration.
        fold_temperature(network, 1 / metrics.calibration.temperature)
        own = TrainConfig.of(metrics.config)
        given = pupil.config
        config = replace(own, **{name: getattr(given, name) for name in THE_SAME_VIEWS})
        exchange = pupil.exchange
        if config.preprocessing != pupil.config.preprocessing:
            exchange, _ = find_exchange(pupil.photos, config.preprocessing)
        sha256, cache = metrics.pretrained.sha256, folder.parent / CACHE_FOLDER
        seen = Seen(network, config, sha256, pupil.photos, exchange, pupil.training, cache)
        views, _ = seen.activations()
        last = Frozen.of(between(network, config.cut, "logits"))
        teacher = Teacher(metrics.test.accuracy, metrics.config, metrics.pretrained)
        return cls(teacher, views, last, digest(seen.key(), _content(network)))

    def name(self, pairs: Pairs) -> str:
        return f"{self.key}_{digest(pairs.content)}.f16"

    def answers(self, cache: Path, draws: Draws) -> Drawn:
        """Logits for the drawn views of the training part, float16 (n, classes)."""

        def compute(pairs: Pairs) -> Activations:
            task = _OfMaps(self.last, self.views.compute(pairs))
            shape, title = self.last.output_shape, f"teacher, {pairs.title}"
            return cached(
                cache / self.name(pairs), task, range(len(pairs)), shape, title, here=True
            )

        return Drawn(draws, compute)


@dataclass(frozen=True)
class _OfMaps:
    """The task of asking about views whose activations are known."""

    last: Frozen
    maps: Activations

    def setup(self) -> Callable[[int], Activations]:
        return self.of

    def of(self, number: int) -> Activations:
        return self.last(self.maps[number])


def _check_same_photos(folder: Path, training: Path) -> None:
    """Refuse a teacher that may have learned from test photos."""
    for name in (SPLIT, EVENTS, CUTS):
        path = folder / name
        if not path.exists() or path.read_bytes() != (training / name).read_bytes():
            raise TrainingError(
                f"{folder}: this teacher learned from other photos than {training} has for "
                f"training ({name} differs); train it again"
            )


def _content(network: keras.Model) -> str:
    sha256 = hashlib.sha256()
    for array in network.get_weights():
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()
