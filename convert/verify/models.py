"""The three models that are compared, and their outputs for a part of the photos."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.artifacts.exported import Export
from convert.artifacts.training import Training
from convert.verify.comparison import Outputs
from convert.verify.confidence import Scaled
from device.contract.statistics import Doubles
from device.inference.classifier import Classifier
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

    def knowing(self, model: bytes, known: Scaled, threads: int | None = None) -> Classifier:
        """One of the models as it will be on the device, where it says unknown.

        Args:
            model: float or int8.
            known: the limits that ship.
            threads: of its runtime; None: the usual number.
        """
        training = self.training
        return Classifier(
            model,
            training.labels,
            training.preprocessing,
            limit=known.limit,
            statistics=known.statistics,
            threads=threads,
        )

    def classify(self, part: Part, advance: Callable[[], None] = lambda: None) -> Outputs:
        """Run all three on one part; `advance` is called after each photo.

        Raises:
            InputError: if a photo is missing or has changed since the split.
        """
        predict = self._prediction()
        keras_rows, float_rows, int8_rows, saturated = [], [], [], []
        measured, features = [], []
        photos = self.training.photos[part]
        for photo in photos:
            pixels = self.training.pixels(photo)
            keras_rows.append(predict(pixels[np.newaxis])[0])
            float_rows.append(self.float32.classify(pixels).scores)
            int8_rows.append(self.int8.classify(pixels).scores)
            measured.append(self.measured())
            features.append(self.int8.features())
            class_map = self.int8.raw_outputs()["class_map"]
            saturated.append(float(np.isin(class_map, SATURATED).mean()))
            advance()
        return Outputs(
            np.array([photo.label for photo in photos], np.int64),
            np.stack(keras_rows),
            np.stack(float_rows),
            np.stack(int8_rows),
            float(np.mean(saturated)),
            tuple(photo.event for photo in photos),
            np.stack(measured),
            np.stack(features),
        )

    def measured(self) -> Doubles:
        """float64 (2,): how strange int8 found the last picture (`FeatureStatistics.measured`)."""
        return self.exported.statistics.measured(self.int8.logits(), self.int8.features())

    def _prediction(self) -> Callable[[Any], Any]:
        """From pixels, uint8 (n, h, w, 3), to Keras' probabilities, float32 (n, classes)."""
        import tensorflow as tf

        predict = tf.function(
            lambda x: self.keras(x, training=False)["probabilities"],
            autograph=False,
            jit_compile=False,
        )
        return lambda pixels: predict(pixels).numpy()
