"""Evidence beside the accuracies: noise of layers, reliability of scores, unknown pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from convert.artifacts.training import Training, one_class_after_another, turns
from convert.verify import backgrounds, left_out
from convert.verify.comparison import Outputs
from convert.verify.confidence import (
    CurvePoint,
    Scaled,
    Threshold,
    choose_limit,
    distances,
    measure_threshold,
    scale,
    score_offset,
    threshold_curve,
)
from convert.verify.layer_noise import LayerError, compare_layers, describe, worst_first
from convert.verify.models import Models
from convert.verify.reliability import Reliability, scores_of, without_temperature
from convert.verify.statistics import Labels
from convert.verify.strangers import (
    CLUTTER_PICTURES,
    Judge,
    Known,
    Strangers,
    Turned,
    judging,
    knowing,
    own,
    rendered,
)
from device.contract.statistics import FeatureStatistics
from device.inference.classifier import Classifier
from device.workstation.conversion import (
    CalibrationErrors,
    Disagreement,
    EvidenceFigures,
)
from device.workstation.shares import share_by_event
from device.workstation.training import Part
from device.workstation.unknown.known import ClassKept, ScoreOffsetFigures
from device.workstation.unknown.strangers import LeftOutClass, NamedStranger, OwnFigures

LAYER_PHOTOS = 24
"""Validation photos on which layers are compared."""
DISAGREEMENTS_KEPT = 24


@dataclass(frozen=True)
class Evidence:
    """The findings that explain a verdict, and the limits that ship with it."""

    statistics: FeatureStatistics
    """With what is usual for known photos."""
    threshold: Threshold
    score_offset: ScoreOffsetFigures | None
    """Of the validation part; None if too few are accepted."""
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
    own: OwnFigures | None
    """The same with the user's own pictures, of float, too; None if there are none."""
    left_out: tuple[LeftOutClass, ...]
    """Classes in turn as the stranger to the others."""
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
            clutter=self.clutter.turned_figures(),
            named=self.named,
            backgrounds=self.backgrounds.turned_figures() if self.backgrounds else None,
            own=self.own,
            left_out=self.left_out,
            layers=tuple(layer.layer_figures() for layer in self.layers),
            disagreements=self.disagreements,
        )


def evidence_steps(training: Training) -> int:
    """How often `gather_evidence` calls `advance`."""
    layers = min(LAYER_PHOTOS, len(training.photos[Part.VAL]))
    shown = len(backgrounds.chosen(training)) + len(judging(training))
    return CLUTTER_PICTURES + shown + layers + left_out.steps(training)


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
    both = (models.exported.float_model, models.exported.int8_model)
    int8 = knowing(training, models.exported.int8_model, scaled)
    judge = _judge(scaled, test, validation)
    clutter = rendered(int8, training.preprocessing, advance)
    paths = [photo.path for photo in training.photos[Part.TEST]]
    return Evidence(
        statistics=scaled.statistics,
        score_offset=_score_offset(scaled, validation),
        threshold=measure_threshold(scaled.limit, truth, test.int8, judge.known.distances, events),
        curve=threshold_curve(truth, test.int8, judge.known.distances),
        kept=_kept(training.labels, test, judge),
        untempered=Reliability.of(truth, without_temperature(test.float32, temperature), events),
        float32=Reliability.of(truth, test.float32, events),
        int8=Reliability.of(truth, test.int8, events),
        clutter=judge.turned(clutter),
        named=clutter.named(),
        backgrounds=_backgrounds(training, int8, judge, advance),
        own=own(training, both, scaled, judge, advance),
        left_out=_left_out(models, validation, test, advance),
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
        Known(
            distances(scaled.statistics, _named(test), test.measured),
            scores_of(test.int8),
            test.events,
        ),
    )


def _score_offset(scaled: Scaled, validation: Outputs) -> ScoreOffsetFigures | None:
    """As the device sees single frames: int8, and what is not unknown."""
    distance = distances(scaled.statistics, _named(validation), validation.measured)
    accepted = distance <= (np.inf if scaled.limit is None else scaled.limit)
    right = _named(validation) == validation.truth
    events = np.asarray(validation.events)[accepted]
    return score_offset(right[accepted], scores_of(validation.int8)[accepted], events)


def _left_out(
    models: Models, validation: Outputs, test: Outputs, advance: Callable[[], None]
) -> tuple[LeftOutClass, ...]:
    taught = left_out.show(models, advance)
    if taught is None:
        return ()
    validated, tested = (
        left_out.Shown(part.truth, part.features, np.array(part.events))
        for part in (validation, test)
    )
    return left_out.leave_out(
        models.training.labels, taught, validated, tested, models.training.label_smoothing
    )


def _kept(labels: Sequence[str], test: Outputs, judge: Judge) -> tuple[ClassKept, ...]:
    kept = judge.known.distances <= (np.inf if judge.limit is None else judge.limit)
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
    return judge.turned(Strangers(seen, events, events)) if seen else None


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
