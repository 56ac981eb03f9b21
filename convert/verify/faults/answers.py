"""What both models answer to photos under faults of cameras."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from convert.artifacts.training import LabelledPhoto, Training, one_class_after_another, turns
from convert.verify.confidence import Scaled
from convert.verify.statistics import Labels
from convert.verify.strangers import knowing
from device.contract.arrays import Pixels
from device.contract.preprocess import prepare_frame
from device.inference.classifier import Classifier
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
from device.workstation.faults.catalogue import Fault, Strength, frame_rules, spoiled
from device.workstation.training import Part

MOST_PHOTOS = 500
"""With more test photos these many are spoiled, of all classes and events in turn: 36 pictures of
each take a quarter of a second of one core and more."""

Flags = npt.NDArray[np.bool_]
Case = tuple[Fault, Strength]
Pair = tuple[Classifier, Classifier]
"""The float and the int8 model."""


@dataclass(frozen=True)
class Answers:
    """What one model says of the same photos."""

    named: Labels
    """int64 (n,): the most probable class."""
    unknown: Flags
    """(n,): whether the device would call the photo unknown."""


@dataclass(frozen=True)
class Spoiled:
    """The answers of both models, with and without faults."""

    labels: tuple[str, ...]
    truth: Labels
    events: tuple[str, ...]
    without: Answers
    """Of int8, for the photos as they are."""
    float32: "dict[Case, Answers]"
    int8: "dict[Case, Answers]"


def photos_spoiled(training: Training, most: int = MOST_PHOTOS) -> list[LabelledPhoto]:
    """The test photos that are spoiled, in the order of the split."""
    photos = training.photos[Part.TEST]
    if len(photos) <= most:
        return list(photos)
    mixed = one_class_after_another(photos)
    turn = turns([photo.event for photo in mixed])
    kept = {mixed[i].path for i in sorted(range(len(mixed)), key=turn.__getitem__)[:most]}
    return [photo for photo in photos if photo.path in kept]


@dataclass(frozen=True)
class Answering:
    """The task of asking both models about photos as they are and under each fault."""

    training: Training
    """That reads the photos."""
    cases: Sequence[Case]
    models: tuple[bytes, bytes]
    """Float and int8."""
    known: Scaled
    """The limits that ship."""

    def setup(self) -> Callable[[LabelledPhoto], npt.NDArray[np.int64]]:
        """As for every task; the function gives int64 (1 + cases, 4) and raises as `answer`."""
        training = self.training
        # One thread: each core has a worker.
        float32, int8 = (knowing(training, model, self.known, 1) for model in self.models)
        return lambda photo: np.array(
            [
                _answers((float32, int8), pixels)
                for pixels in spoiled_in_turn(training, photo, self.cases)
            ],
            np.int64,
        )


def answer(
    training: Training,
    faults: Sequence[Fault],
    models: tuple[bytes, bytes],
    known: Scaled,
    advance: Callable[[], None] = lambda: None,
) -> Spoiled:
    """Classify the test photos as they are and under each fault at each strength.

    Args:
        training: the photos.
        faults: that can be rendered here, at least one.
        models: float and int8.
        known: the limits that ship.
        advance: called after each photo.

    Raises:
        InputError: if a photo is missing or has changed since the split.
    """
    photos, cases = photos_spoiled(training), list(product(faults, Strength))
    task = Answering(training.without_photos(), cases, models, known)
    table = np.stack(list(done(Work.of(task, photos, "faults of cameras"), advance)))
    of_case = [_both(table[:, 1 + i]) for i in range(len(cases))]
    return Spoiled(
        training.labels,
        np.array([photo.label for photo in photos], np.int64),
        tuple(photo.event for photo in photos),
        _both(table[:, 0])[1],
        {case: both[0] for case, both in zip(cases, of_case, strict=True)},
        {case: both[1] for case, both in zip(cases, of_case, strict=True)},
    )


def spoiled_pixels(training: Training, photo: LabelledPhoto, case: Case) -> Pixels:
    """A photo under a fault as the model gets it; raises as `Training.pixels`."""
    return _spoiled(training, _frame(training, photo), photo, case)


def _frame(training: Training, photo: LabelledPhoto) -> Pixels:
    return training.pixels(photo, frame_rules(training.preprocessing))


def spoiled_in_turn(
    training: Training, photo: LabelledPhoto, cases: Sequence[Case]
) -> Iterator[Pixels]:
    """A photo as the model gets it: as it is, then for each case; raises as `Training.pixels`."""
    yield training.pixels(photo)
    frame = _frame(training, photo)
    for case in cases:
        yield _spoiled(training, frame, photo, case)


def _spoiled(training: Training, frame: Pixels, photo: LabelledPhoto, case: Case) -> Pixels:
    return prepare_frame(spoiled(frame, *case, int(photo.sha256[:12], 16)), training.preprocessing)


def _answers(models: Pair, pixels: Pixels) -> tuple[int, int, int, int]:
    """Of both models the class and whether it is unknown."""
    float32, int8 = (model.classify(pixels) for model in models)
    return float32.best, int(float32.unknown), int8.best, int(int8.unknown)


def _both(columns: npt.NDArray[np.int64]) -> tuple[Answers, Answers]:
    """Float's and int8's answers, from (n, 4)."""
    named, unknown = columns[:, ::2], columns[:, 1::2].astype(bool)
    return Answers(named[:, 0], unknown[:, 0]), Answers(named[:, 1], unknown[:, 1])
