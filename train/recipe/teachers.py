"""The teachers of a network: trainings of larger ones, and what they say of the same views.

A teacher is a training folder that `train.recipe.fit` has left, of any backbone and input size. It
is asked about the views that the pupil trains on: its frozen part's activations are those that its
own training has cached, so an answer costs a pass through its last layers only.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from device.workstation.training import CUTS, EVENTS, SPLIT, Part, Teacher
from train.artifacts import read_training
from train.errors import TrainingError
from train.network.backbone import between
from train.network.cache import Activations, Views, cached, groups, keep_only
from train.network.frozen import Frozen
from train.network.temperature import fold_temperature
from train.recipe.activations import CACHE_FOLDER, Seen, digest, shown
from train.recipe.config import TrainConfig
from train.recipe.places import find_exchange

ANSWERS_FOLDER = "answers"


@dataclass(frozen=True)
class Taught:
    """A network's teachers and what they answer."""

    teachers: tuple[Teacher, ...]
    answers: "Sequence[npt.NDArray[np.floating]]"
    """Logits (photos, classes) by view; empty without a teacher."""
    key: str
    """For everything that the answers depend on."""


def ask(folders: Sequence[Path], pupil: Seen) -> Taught:
    """Prepare to ask teachers about the views that the pupil sees; each view when it is needed.

    Args:
        folders: of the trainings; the logits of several teachers are averaged.
        pupil: what the pupil sees; answers are kept below its cache.

    Raises:
        RecordError: if a teacher's metrics are missing or damaged.
        BuildFolderError: if its network is.
        TrainingError: if a teacher learned from other photos.
    """
    asked = [_Asked.read(folder, pupil) for folder in folders]
    cache = pupil.cache / ANSWERS_FOLDER
    views = groups(pupil.config.views)
    keep_only(cache, {each.name(group) for each in asked for group in views})
    answers = [Views(pupil.config.views, partial(each.answers, cache)) for each in asked]
    teachers = tuple(each.teacher for each in asked)
    mean: Sequence[Any] = _Mean(answers) if answers else ()
    return Taught(teachers, mean, digest(*(each.key for each in asked)))


class _Mean(Sequence[Any]):
    """The logits of several teachers, averaged."""

    def __init__(self, answers: Sequence[Views]) -> None:
        self._answers = answers
        self._known: dict[int, npt.NDArray[np.float32]] = {}

    def __len__(self) -> int:
        return len(self._answers[0])

    def __getitem__(self, number: Any) -> Any:
        if number not in self._known:
            of_view = [answers[number] for answers in self._answers]
            self._known[number] = np.mean(of_view, axis=0, dtype=np.float32)
        return self._known[number]


@dataclass(frozen=True)
class _Asked:
    """One teacher, and what it sees of the pupil's photos."""

    teacher: Teacher
    views: Views
    """Its frozen part's activations."""
    photos: int
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
        config = replace(own, seed=given.seed, views=given.views, robust=given.robust)
        exchange = pupil.exchange
        if config.preprocessing != pupil.config.preprocessing:
            exchange, _ = find_exchange(pupil.photos, config.preprocessing)
        sha256, cache = metrics.pretrained.sha256, folder.parent / CACHE_FOLDER
        seen = Seen(network, config, sha256, pupil.photos, exchange, pupil.training, cache)
        views, photos = seen.activations()[Part.TRAIN], len(pupil.photos.rows[Part.TRAIN])
        last = Frozen.of(between(network, config.cut, "logits"))
        teacher = Teacher(metrics.test.accuracy, metrics.config, metrics.pretrained)
        return cls(teacher, views, photos, last, digest(seen.key(), _content(network)))

    def name(self, numbers: range) -> str:
        return f"{self.key}_{numbers.start}-{numbers.stop - 1}.f16"

    def answers(self, cache: Path, numbers: range) -> Activations:
        """float16 (photos, views, classes): logits for some views of the training part."""
        maps = [self.views[number] for number in numbers]
        shape = (len(numbers), *self.last.output_shape)
        task, title = _OfMaps(self.last, maps), f"teacher, {shown(numbers)}"
        return cached(cache / self.name(numbers), task, range(self.photos), shape, title, here=True)


@dataclass(frozen=True)
class _OfMaps:
    """The task of asking about views whose activations are known."""

    last: Frozen
    maps: Sequence[Activations]
    """By view, of all photos."""

    def setup(self) -> Callable[[int], Activations]:
        return self.of

    def of(self, photo: int) -> Activations:
        return np.stack([self.last(of_view[photo]) for of_view in self.maps])


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
