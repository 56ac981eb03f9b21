"""What becomes of pictures that show none of the classes, beside the test photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convert.artifacts.training import LabelledPhoto, Training
from convert.verify.clutter import clutter
from convert.verify.confidence import Area, Scaled, area
from convert.verify.reliability import Floats, Hits
from device.contract.preprocess import Preprocessing
from device.inference.classifier import Classifier, Prediction
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.training import Part
from device.workstation.unknown.strangers import NamedStranger, OwnFigures, TurnedFigures

CLUTTER_PICTURES = 200
NAMED_KEPT = 12


@dataclass(frozen=True)
class Turned:
    """What becomes of pictures that show no class."""

    away: ShareByEvent
    area: Area
    by_score: float
    """The share that would be turned away if the score alone decided."""
    by_score_area: Area

    def turned_figures(self) -> TurnedFigures:
        """The record for `verification.json`."""
        away, area, by_score = self.away, self.area, self.by_score_area
        return TurnedFigures(
            n=away.n,
            events=away.events,
            rejected=away.value,
            interval=away.interval,
            auroc=area.value,
            auroc_interval=area.interval,
            by_score=self.by_score,
            by_score_auroc=by_score.value,
            by_score_auroc_interval=by_score.interval,
        )


@dataclass(frozen=True)
class Strangers:
    """What a model says of pictures that show no class."""

    seen: Sequence[Prediction]
    events: Sequence[str]
    pictures: Sequence[str]
    """Their names."""

    def named(self) -> tuple[NamedStranger, ...]:
        """Of pictures that get a label the least strange, at most `NAMED_KEPT`."""
        found = [
            NamedStranger(picture, seen.label, seen.score, seen.distance or 0.0)
            for seen, picture in zip(self.seen, self.pictures, strict=True)
            if not seen.unknown
        ]
        return tuple(sorted(found, key=lambda one: one.distance)[:NAMED_KEPT])


@dataclass(frozen=True)
class Known:
    """Test photos, as a model finds them."""

    distances: Floats
    scores: Floats
    events: Sequence[str]


@dataclass(frozen=True)
class Judge:
    """Turns strangers away, with the test photos beside them."""

    limit: float | None
    least_score: float
    """Below which as many validation photos are."""
    known: Known

    def turned(self, strangers: Strangers) -> Turned:
        """How many of some strangers are turned away."""
        away = np.array([seen.unknown for seen in strangers.seen])
        far = np.array([seen.distance for seen in strangers.seen], np.float64)
        scores = np.array([seen.score for seen in strangers.seen])
        return self.weighed(away, far, scores, strangers.events)

    def weighed(self, away: Hits, far: Floats, scores: Floats, events: Sequence[str]) -> Turned:
        """The same of pictures that were turned `away` (n,), by distance and score (n,)."""
        known = self.known
        return Turned(
            share_by_event(away, events),
            area(known.distances, known.events, far, events),
            float((scores < self.least_score).mean()),
            area(-known.scores, known.events, -scores, events),
        )


def rendered(int8: Classifier, rules: Preprocessing, advance: Callable[[], None]) -> Strangers:
    """What the int8 model says of pictures without an object."""
    seen = []
    for number in range(CLUTTER_PICTURES):
        seen.append(int8.classify(clutter(number, (rules.height_px, rules.width_px))))
        advance()
    names = [str(number) for number in range(CLUTTER_PICTURES)]
    return Strangers(seen, names, names)


def knowing(
    training: Training, model: bytes, known: Scaled, threads: int | None = None
) -> Classifier:
    """A model as it will be on the device, where it says unknown.

    Args:
        training: what it is made from.
        model: float or int8.
        known: the limits that ship.
        threads: of its runtime; None: the usual number.
    """
    return Classifier(
        model,
        training.labels,
        training.preprocessing,
        limit=known.limit,
        statistics=known.statistics,
        threads=threads,
    )


@dataclass(frozen=True)
class Turning:
    """The task of asking both models about pictures."""

    training: Training
    """That reads them."""
    models: tuple[bytes, bytes]
    """Float and int8."""
    known: Scaled
    """The limits that ship."""

    def setup(self) -> Callable[[LabelledPhoto], tuple[Prediction, Prediction]]:
        """As for every task; the function raises as `Training.pixels`."""
        training = self.training
        float32, int8 = (knowing(training, model, self.known, 1) for model in self.models)

        def answers(photo: LabelledPhoto) -> tuple[Prediction, Prediction]:
            pixels = training.pixels(photo)
            return float32.classify(pixels), int8.classify(pixels)

        return answers


def own(
    training: Training,
    models: tuple[bytes, bytes],
    known: Scaled,
    judge: Judge,
    advance: Callable[[], None],
) -> OwnFigures | None:
    """What float and int8 say of the user's own strangers; None if there are none that judge.

    Args:
        training: with the strangers.
        models: float and int8.
        known: the limits that ship.
        judge: of int8's answers. Float's are compared with the same test photos.
        advance: called after each picture.

    Raises:
        InputError: if a picture is missing or has changed since `make data`.
    """
    photos = judging(training)
    if not photos:
        return None
    task = Turning(training.without_photos(), models, known)
    answers = list(done(Work.of(task, photos, "own strangers"), advance))
    events, paths = [photo.event for photo in photos], [photo.path for photo in photos]
    float32, int8 = (Strangers(seen, events, paths) for seen in zip(*answers, strict=True))
    return OwnFigures(
        taught=len(training.strangers.get(Part.TRAIN, ())),
        int8=judge.turned(int8).turned_figures(),
        float=judge.turned(float32).turned_figures(),
        named=int8.named(),
    )


def judging(training: Training) -> Sequence[LabelledPhoto]:
    """The user's own strangers that taught nothing."""
    return training.strangers.get(Part.TEST, ())
