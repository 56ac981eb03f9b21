"""The three models that are compared, and their outputs for a part of the photos."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from convert.artifacts.exported import Export
from convert.artifacts.training import LabelledPhoto, Training
from convert.verify.comparison import Outputs
from device.contract.arrays import Pixels
from device.contract.statistics import Doubles, FeatureStatistics, Floats
from device.inference.classifier import Classifier
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
from device.workstation.training import Part

SATURATED = (0, 255)


@dataclass(frozen=True)
class Models:
    """Keras, float TFLite and int8 TFLite, with the training and export they come from."""

    training: Training
    exported: Export
    keras: Any
    """The trained network."""
    float32: Classifier
    int8: Classifier

    @classmethod
    def of(cls, training: Training, exported: Export, network: Any) -> "Models":
        """The models of an export, ready to classify like on the device."""
        float32, int8 = (
            Classifier(model, training.labels, training.preprocessing)
            for model in (exported.float_model, exported.int8_model)
        )
        return cls(training, exported, network, float32, int8)

    def classify(self, part: Part, advance: Callable[[], None] = lambda: None) -> Outputs:
        """Run all three on one part; `advance` is called after each photo.

        Raises:
            InputError: if a photo is missing or has changed since the split.
        """
        photos, exported = self.training.photos[part], self.exported
        task = Classifying(
            self.training.without_photos(),
            self.keras,
            exported.float_model,
            exported.int8_model,
            exported.statistics,
        )
        # What Keras says depends on what the float model is made from.
        key = Work.of(replace(task, keras=None), photos, "").key
        seen = list(done(Work(task, photos, f"verifying, {part} part", key), advance))
        return Outputs(
            np.array([photo.label for photo in photos], np.int64),
            np.stack([each.keras for each in seen]),
            np.stack([each.float32 for each in seen]),
            np.stack([each.int8 for each in seen]),
            float(np.mean([each.saturated for each in seen])),
            tuple(photo.event for photo in photos),
            np.stack([each.measured for each in seen]),
            np.stack([each.features for each in seen]),
        )


@dataclass(frozen=True)
class SeenPhoto:
    """What the three models say of one photo."""

    keras: Floats
    """float32 (classes,): probabilities; of the other two, likewise."""
    float32: Floats
    int8: Floats
    measured: Doubles
    """float64 (2,): how strange int8 finds it (`FeatureStatistics.measured`)."""
    features: Floats
    """float32 (features,) of int8."""
    saturated: float
    """The share of int8 class-map values at the end of their range."""


@dataclass(frozen=True)
class Classifying:
    """The task of asking all three models about photos."""

    training: Training
    """That reads the photos."""
    keras: Any
    """The trained network."""
    float_model: bytes
    int8_model: bytes
    statistics: FeatureStatistics

    def setup(self) -> Callable[[LabelledPhoto], SeenPhoto]:
        """As for every task; the function raises as `Training.pixels`."""
        training = self.training
        # One thread: each core has a worker.
        float32, int8 = (
            Classifier(model, training.labels, training.preprocessing, threads=1)
            for model in (self.float_model, self.int8_model)
        )
        return lambda photo: self._seen(training.pixels(photo), float32, int8)

    def _seen(self, pixels: Pixels, float32: Classifier, int8: Classifier) -> SeenPhoto:
        scores = int8.classify(pixels).scores
        logits, features = int8.logits(), int8.features()
        return SeenPhoto(
            self._predict(pixels[np.newaxis])[0],
            float32.classify(pixels).scores,
            scores,
            self.statistics.measured(logits, features),
            features,
            float(np.isin(int8.raw_outputs()["class_map"], SATURATED).mean()),
        )

    @cached_property
    def _predict(self) -> Callable[[Any], Any]:
        """From pixels, uint8 (n, h, w, 3), to Keras' probabilities, float32 (n, classes)."""
        import tensorflow as tf

        predict = tf.function(
            lambda x: self.keras(x, training=False)["probabilities"],
            autograph=False,
            jit_compile=False,
        )
        return lambda pixels: predict(pixels).numpy()
