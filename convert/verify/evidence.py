"""Evidence beside the accuracies: noise of layers, reliability of scores, unknown pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convert.artifacts.training import Training, one_class_after_another
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
from convert.verify.reliability import Reliability, scores_of, without_temperature
from convert.verify.statistics import Labels, Probabilities, Share
from device.workstation.conversion import (
    CalibrationErrors,
    ClutterFigures,
    Disagreement,
    EvidenceFigures,
)
from device.workstation.training import Part

LAYER_PHOTOS = 24
"""Validation photos on which layers are compared."""
CLUTTER_PICTURES = 200
DISAGREEMENTS_KEPT = 24


@dataclass(frozen=True)
class Evidence:
    """The findings that explain a verdict, and the threshold that ships with it."""

    threshold: Threshold
    curve: tuple[CurvePoint, ...]
    untempered: Reliability
    """The float model without the temperature that training folded into it."""
    float32: Reliability
    int8: Reliability
    clutter_rejected: Share
    clutter_separation: float
    """Probability that a test photo scores above a clutter picture (area under the ROC)."""
    layers: list[LayerError]
    disagreements: tuple[Disagreement, ...]

    def noisiest(self, count: int) -> str:
        """The layers with the most noise of their own, in words."""
        return describe(worst_first(self.layers)[:count])

    def evidence_figures(self) -> EvidenceFigures:
        """The record for `verification.json`."""
        rejected = self.clutter_rejected
        return EvidenceFigures(
            calibration=CalibrationErrors(
                self.untempered.reliability_figures(),
                self.float32.reliability_figures(),
                self.int8.reliability_figures(),
            ),
            threshold_curve=self.curve,
            clutter=ClutterFigures(
                rejected.n, rejected.value, (rejected.low, rejected.high), self.clutter_separation
            ),
            layers=tuple(layer.layer_figures() for layer in self.layers),
            disagreements=self.disagreements,
        )


def evidence_steps(training: Training) -> int:
    """How often `gather_evidence` calls `advance`."""
    return CLUTTER_PICTURES + min(LAYER_PHOTOS, len(training.photos[Part.VAL]))


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
    training, truth = models.training, test.truth
    temperature = training.metrics.calibration.temperature
    threshold = choose_threshold(scores_of(validation.int8))
    unknown = _clutter_scores(models, advance)
    paths = [photo.path for photo in training.photos[Part.TEST]]
    return Evidence(
        threshold=measure_threshold(threshold, truth, test.int8),
        curve=threshold_curve(truth, test.int8),
        untempered=Reliability.of(truth, without_temperature(test.float32, temperature)),
        float32=Reliability.of(truth, test.float32),
        int8=Reliability.of(truth, test.int8),
        clutter_rejected=Share.of(unknown < threshold),
        clutter_separation=separation(scores_of(test.int8), unknown),
        layers=_layers(models, advance),
        disagreements=disagreements(training.labels, paths, truth, test.float32, test.int8),
    )


def _clutter_scores(models: Models, advance: Callable[[], None]) -> npt.NDArray[np.float64]:
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
    truth: Labels,
    float32: Probabilities,
    int8: Probabilities,
) -> tuple[Disagreement, ...]:
    """Photos for which float and int8 predict different classes, at most `DISAGREEMENTS_KEPT`.

    Photos with the highest float score come first: there quantization changed most.
    """
    named, other = float32.argmax(axis=1), int8.argmax(axis=1)
    differ = np.flatnonzero(named != other).tolist()
    found = sorted(differ, key=lambda i: -float(float32[i].max()))
    return tuple(
        Disagreement(
            path=paths[i],
            label=labels[truth[i]],
            float=labels[named[i]],
            float_score=float(float32[i].max()),
            int8=labels[other[i]],
            int8_score=float(int8[i].max()),
        )
        for i in found[:DISAGREEMENTS_KEPT]
    )
