"""What verification finds beside the accuracies: layers, probabilities, the unknown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from convert.verify.layer_noise import Floats, LayerError, compare_layers, describe, worst_first
from convert.verify.reliability import Reliability, scores_of, without_temperature
from convert.verify.statistics import Labels, Probabilities, Share
from device.contract.arrays import Pixels
from device.inference.classifier import Classifier
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
    """Of the float model without the temperature that training folded into it."""
    float32: Reliability
    int8: Reliability
    clutter_rejected: Share
    clutter_separation: float
    """Chance that a test photo scores above a clutter picture (area under the ROC)."""
    layers: list[LayerError]
    disagreements: tuple[Disagreement, ...]

    def noisiest(self, count: int) -> str:
        """The layers with the most noise of their own, in words."""
        return describe(worst_first(self.layers)[:count])

    def evidence_figures(self) -> EvidenceFigures:
        """As `verification.json` holds it."""
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


def steps(training: Training) -> int:
    """How often `gather` calls `advance`."""
    return CLUTTER_PICTURES + min(LAYER_PHOTOS, len(training.photos[Part.VAL]))


def gather(
    training: Training,
    network: Any,
    model: bytes,
    scales: Mapping[str, Floats],
    classifier: Classifier,
    outputs: Outputs,
    validation: Outputs,
    advance: Callable[[], None] = lambda: None,
) -> Evidence:
    """Measure it all.

    Args:
        training: gives the photos. The threshold comes from the validation part; all that is
            said of it, from the test part.
        network: the float classifier.
        model: the int8 TFLite model.
        scales: by layer with equalized channels, what the model's are larger by.
        classifier: the model, loaded.
        outputs: what the models said of the test part.
        validation: and of the validation part.
        advance: called after each picture.
    """

    def score(pixels: Pixels) -> float:
        advance()
        return classifier.classify(pixels).score

    temperature = training.metrics.calibration.temperature
    threshold = choose_threshold(scores_of(validation.int8))
    size = (training.preprocessing.height_px, training.preprocessing.width_px)
    unknown = np.array([score(clutter(number, size)) for number in range(CLUTTER_PICTURES)])
    sample = one_class_after_another(training.photos[Part.VAL])[:LAYER_PHOTOS]
    paths = [photo.path for photo in training.photos[Part.TEST]]
    return Evidence(
        threshold=measure_threshold(threshold, outputs.truth, outputs.int8),
        curve=threshold_curve(outputs.truth, outputs.int8),
        untempered=Reliability.of(outputs.truth, without_temperature(outputs.float32, temperature)),
        float32=Reliability.of(outputs.truth, outputs.float32),
        int8=Reliability.of(outputs.truth, outputs.int8),
        clutter_rejected=Share.of(unknown < threshold),
        clutter_separation=separation(scores_of(outputs.int8), unknown),
        layers=compare_layers(network, model, scales, map(training.pixels, sample), advance),
        disagreements=disagreements(
            training.labels, paths, outputs.truth, outputs.float32, outputs.int8
        ),
    )


def disagreements(
    labels: Sequence[str],
    paths: Sequence[str],
    truth: Labels,
    float32: Probabilities,
    int8: Probabilities,
) -> tuple[Disagreement, ...]:
    """Photos to which float and int8 give different names, at most `DISAGREEMENTS_KEPT`.

    Those first of which the float model is most sure: there quantization did most.
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
