"""Evidence beside the accuracies: noise of layers, reliability of scores, unknown pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convert.artifacts.training import Training, one_class_after_another, turns
from convert.verify import backgrounds
from convert.verify.clutter import clutter
from convert.verify.comparison import Outputs
from convert.verify.confidence import (
    CurvePoint,
    Scaled,
    Threshold,
    choose_limit,
    distances,
    measure_threshold,
    scale,
    separation,
    threshold_curve,
)
from convert.verify.layer_noise import LayerError, compare_layers, describe, worst_first
from convert.verify.models import Models
from convert.verify.reliability import Floats, Reliability, scores_of, without_temperature
from convert.verify.statistics import Labels
from device.contract.preprocess import Preprocessing
from device.contract.statistics import FeatureStatistics
from device.inference.classifier import Classifier, Prediction
from device.workstation.conversion import (
    CalibrationErrors,
    Disagreement,
    EvidenceFigures,
)
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.training import Part
from device.workstation.unknown.known import (
    ClassKept,
)
from device.workstation.unknown.strangers import (
    ClutterFigures,
    NamedStranger,
)

LAYER_PHOTOS = 24
"""Validation photos on which layers are compared."""
CLUTTER_PICTURES = 200
DISAGREEMENTS_KEPT = 24
NAMED_KEPT = 12


@dataclass(frozen=True)
class Turned:
    """What becomes of pictures that show no class."""

    away: ShareByEvent
    separation: float
    """Probability that one of them is stranger than a test photo (area under the ROC)."""
    by_score: float
    """The share that would be turned away if the score alone decided."""
    by_score_separation: float

    def clutter_figures(self) -> ClutterFigures:
        """The record for `verification.json`."""
        away = self.away
        return ClutterFigures(
            away.n,
            away.value,
            away.interval,
            self.separation,
            self.by_score,
            self.by_score_separation,
        )


@dataclass(frozen=True)
class Strangers:
    """What the int8 model says of pictures that show no class."""

    seen: list[Prediction]
    events: list[str]


@dataclass(frozen=True)
class Judge:
    """Turns strangers away, with the test photos beside them."""

    limit: float | None
    least_score: float
    """Below which as many validation photos are."""
    distances: Floats
    """Of the test photos."""
    scores: Floats
    """Likewise."""

    def turned(self, strangers: Strangers) -> Turned:
        """How many of some strangers are turned away."""
        away = [seen.unknown for seen in strangers.seen]
        far = np.array([seen.distance for seen in strangers.seen], np.float64)
        scores = np.array([seen.score for seen in strangers.seen])
        return Turned(
            share_by_event(np.array(away), strangers.events),
            separation(self.distances, far),
            float((scores < self.least_score).mean()),
            separation(-self.scores, -scores),
        )


@dataclass(frozen=True)
class Evidence:
    """The findings that explain a verdict, and the limits that ship with it."""

    statistics: FeatureStatistics
    """With what is usual for known photos."""
    threshold: Threshold
    curve: tuple[CurvePoint, ...]
    kept: tuple[ClassKept, ...]
    untempered: Reliability
    """The float model without the temperature that training folded into it."""
    float32: Reliability
    int8: Reliability
    clutter: Turned
    """Of rendered pictures of nothing."""
    named: tuple[NamedStranger, ...]
    """Those of them that get a label."""
    backgrounds: Turned | None
    """The same with boxes of background; None if there are none."""
    layers: list[LayerError]
    disagreements: tuple[Disagreement, ...]

    @property
    def known(self) -> Scaled:
        """What the device will call unknown."""
        return Scaled(self.statistics, self.threshold.value)

    def noisiest(self, count: int) -> str:
        """The layers with the most noise of their own, in words."""
        return describe(worst_first(self.layers)[:count])

    def evidence_figures(self) -> EvidenceFigures:
        """The record for `verification.json`."""
        return EvidenceFigures(
            calibration=CalibrationErrors(
                self.untempered.reliability_figures(),
                self.float32.reliability_figures(),
                self.int8.reliability_figures(),
            ),
            threshold_curve=self.curve,
            kept=self.kept,
            clutter=self.clutter.clutter_figures(),
            named=self.named,
            backgrounds=self.backgrounds.clutter_figures() if self.backgrounds else None,
            layers=tuple(layer.layer_figures() for layer in self.layers),
            disagreements=self.disagreements,
        )


def evidence_steps(training: Training) -> int:
    """How often `gather_evidence` calls `advance`."""
    layers = min(LAYER_PHOTOS, len(training.photos[Part.VAL]))
    return CLUTTER_PICTURES + len(backgrounds.chosen(training)) + layers


def gather_evidence(
    models: Models,
    test: Outputs,
    validation: Outputs,
    advance: Callable[[], None] = lambda: None,
) -> Evidence:
    """Measure all evidence.

    Args:
        models: the models and their photos.
        test: the models' outputs for the test part, which gives all figures.
        validation: their outputs for the validation part, which says what is usual.
        advance: called after each picture.
    """
    training, truth, events = models.training, test.truth, test.events
    temperature = training.metrics.calibration.temperature
    scaled = scale(
        models.exported.statistics, _named(validation), validation.measured, validation.events
    )
    int8, judge = _knowing(models, scaled), _judge(scaled, test, validation)
    rendered = _rendered(int8, training.preprocessing, advance)
    paths = [photo.path for photo in training.photos[Part.TEST]]
    return Evidence(
        statistics=scaled.statistics,
        threshold=measure_threshold(scaled.limit, truth, test.int8, judge.distances, events),
        curve=threshold_curve(truth, test.int8, judge.distances),
        kept=_kept(training.labels, test, judge),
        untempered=Reliability.of(truth, without_temperature(test.float32, temperature), events),
        float32=Reliability.of(truth, test.float32, events),
        int8=Reliability.of(truth, test.int8, events),
        clutter=judge.turned(rendered),
        named=_named_strangers(rendered),
        backgrounds=_backgrounds(training, int8, judge, advance),
        layers=_layers(models, advance),
        disagreements=disagreements(training.labels, paths, test),
    )


def _named(outputs: Outputs) -> Labels:
    named: Labels = outputs.int8.argmax(axis=1)
    return named


def _judge(scaled: Scaled, test: Outputs, validation: Outputs) -> Judge:
    least = choose_limit(-scores_of(validation.int8), validation.events)
    return Judge(
        scaled.limit,
        0.0 if least is None else -least,
        distances(scaled.statistics, _named(test), test.measured),
        scores_of(test.int8),
    )


def _knowing(models: Models, scaled: Scaled) -> Classifier:
    """The int8 model as it will be on the device."""
    training = models.training
    return Classifier(
        models.exported.int8_model,
        training.labels,
        training.preprocessing,
        limit=scaled.limit,
        statistics=scaled.statistics,
    )


def _kept(labels: Sequence[str], test: Outputs, judge: Judge) -> tuple[ClassKept, ...]:
    kept = judge.distances <= (np.inf if judge.limit is None else judge.limit)
    events, found = np.array(test.events), []
    for number, label in enumerate(labels):
        own = test.truth == number
        share = share_by_event(kept[own], events[own]) if own.any() else None
        value, interval = (share.value, share.interval) if share else (None, None)
        found.append(ClassKept(label, int(own.sum()), value, interval))
    return tuple(found)


def _backgrounds(
    training: Training, int8: Classifier, judge: Judge, advance: Callable[[], None]
) -> Turned | None:
    seen, events = [], []
    for photo in backgrounds.chosen(training):
        pixels = backgrounds.background(training, photo)
        advance()
        if pixels is not None:
            seen.append(int8.classify(pixels))
            events.append(photo.event)
    return judge.turned(Strangers(seen, events)) if seen else None


def _rendered(int8: Classifier, rules: Preprocessing, advance: Callable[[], None]) -> Strangers:
    """What the int8 model says of pictures without an object."""
    seen = []
    for number in range(CLUTTER_PICTURES):
        seen.append(int8.classify(clutter(number, (rules.height_px, rules.width_px))))
        advance()
    return Strangers(seen, [str(number) for number in range(CLUTTER_PICTURES)])


def _named_strangers(strangers: Strangers) -> tuple[NamedStranger, ...]:
    """Of pictures that get a label the least strange, at most `NAMED_KEPT`."""
    found = [
        NamedStranger(event, seen.label, seen.score, seen.distance or 0.0)
        for seen, event in zip(strangers.seen, strangers.events, strict=True)
        if not seen.unknown
    ]
    return tuple(sorted(found, key=lambda one: one.distance)[:NAMED_KEPT])


def _layers(models: Models, advance: Callable[[], None]) -> list[LayerError]:
    training, exported = models.training, models.exported
    photos = one_class_after_another(training.photos[Part.VAL])[:LAYER_PHOTOS]
    pixels = map(training.pixels, photos)
    return compare_layers(models.keras, exported.int8_model, exported.scales, pixels, advance)


def disagreements(
    labels: Sequence[str],
    paths: Sequence[str],
    outputs: Outputs,
) -> tuple[Disagreement, ...]:
    """Photos for which float and int8 predict different classes, at most `DISAGREEMENTS_KEPT`.

    Photos with the highest float score come first: there quantization changed most. Of each event
    one photo comes before a second one.
    """
    float32, int8 = outputs.float32, outputs.int8
    named, other = float32.argmax(axis=1), int8.argmax(axis=1)
    differ = np.flatnonzero(named != other).tolist()
    surest = sorted(differ, key=lambda i: -float(float32[i].max()))
    turn = dict(zip(surest, turns([outputs.events[i] for i in surest]), strict=True))
    found = sorted(surest, key=turn.__getitem__)
    return tuple(
        Disagreement(
            path=paths[i],
            label=labels[outputs.truth[i]],
            float=labels[named[i]],
            float_score=float(float32[i].max()),
            int8=labels[other[i]],
            int8_score=float(int8[i].max()),
        )
        for i in found[:DISAGREEMENTS_KEPT]
    )
