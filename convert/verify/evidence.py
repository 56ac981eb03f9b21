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
    Threshold,
    choose_threshold,
    measure_threshold,
    separation,
    threshold_curve,
)
from convert.verify.layer_noise import LayerError, compare_layers, describe, worst_first
from convert.verify.models import Models
from convert.verify.reliability import Floats, Reliability, scores_of, without_temperature
from device.workstation.conversion import (
    CalibrationErrors,
    ClutterFigures,
    Disagreement,
    EvidenceFigures,
)
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.training import Part

LAYER_PHOTOS = 24
"""Validation photos on which layers are compared."""
CLUTTER_PICTURES = 200
DISAGREEMENTS_KEPT = 24


@dataclass(frozen=True)
class Turned:
    """What the threshold does with pictures that show no class."""

    away: ShareByEvent
    separation: float
    """Probability that a test photo scores above one of them (area under the ROC)."""

    def clutter_figures(self) -> ClutterFigures:
        """The record for `verification.json`."""
        away = self.away
        return ClutterFigures(away.n, away.value, away.interval, self.separation)


@dataclass(frozen=True)
class Evidence:
    """The findings that explain a verdict, and the threshold that ships with it."""

    threshold: Threshold
    curve: tuple[CurvePoint, ...]
    untempered: Reliability
    """The float model without the temperature that training folded into it."""
    float32: Reliability
    int8: Reliability
    clutter: Turned
    """What the threshold does with rendered pictures of nothing."""
    backgrounds: Turned | None
    """The same with boxes of background; None if there are none."""
    layers: list[LayerError]
    disagreements: tuple[Disagreement, ...]

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
            clutter=self.clutter.clutter_figures(),
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
        validation: their outputs for the validation part, which chooses the threshold.
        advance: called after each picture.
    """
    training, truth, events = models.training, test.truth, test.events
    temperature = training.metrics.calibration.temperature
    threshold = choose_threshold(scores_of(validation.int8), validation.events)
    known, unknown = scores_of(test.int8), _clutter_scores(models, advance)
    paths = [photo.path for photo in training.photos[Part.TEST]]
    return Evidence(
        threshold=measure_threshold(threshold, truth, test.int8, events),
        curve=threshold_curve(truth, test.int8),
        untempered=Reliability.of(truth, without_temperature(test.float32, temperature), events),
        float32=Reliability.of(truth, test.float32, events),
        int8=Reliability.of(truth, test.int8, events),
        clutter=_turned(known, unknown, threshold, [str(i) for i in range(len(unknown))]),
        backgrounds=_backgrounds(models, known, threshold, advance),
        layers=_layers(models, advance),
        disagreements=disagreements(training.labels, paths, test),
    )


def _turned(known: Floats, unknown: Floats, threshold: float, events: Sequence[str]) -> Turned:
    return Turned(share_by_event(unknown < threshold, events), separation(known, unknown))


def _backgrounds(
    models: Models, known: Floats, threshold: float, advance: Callable[[], None]
) -> Turned | None:
    scores, events = [], []
    for photo in backgrounds.chosen(models.training):
        pixels = backgrounds.background(models.training, photo)
        advance()
        if pixels is not None:
            scores.append(models.int8.classify(pixels).score)
            events.append(photo.event)
    return _turned(known, np.array(scores), threshold, events) if scores else None


def _clutter_scores(models: Models, advance: Callable[[], None]) -> Floats:
    """float64 (pictures,): the int8 model's scores of pictures without an object."""
    rules, scores = models.training.preprocessing, []
    for number in range(CLUTTER_PICTURES):
        picture = clutter(number, (rules.height_px, rules.width_px))
        advance()
        scores.append(models.int8.classify(picture).score)
    return np.array(scores)


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
