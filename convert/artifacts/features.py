"""The task of asking an int8 model for the features of photos."""

from collections.abc import Callable
from dataclasses import dataclass

from convert.artifacts.training import LabelledPhoto, Training
from device.contract.statistics import Floats
from device.inference.classifier import Classifier


@dataclass(frozen=True)
class FeaturesOf:
    """What a model finds in photos."""

    training: Training
    """That reads the photos."""
    model: bytes

    def setup(self) -> Callable[[LabelledPhoto], Floats]:
        """As for every task; the function raises as `Training.pixels`."""
        training = self.training
        # One thread: each core has a worker.
        classifier = Classifier(self.model, training.labels, training.preprocessing, threads=1)

        def features(photo: LabelledPhoto) -> Floats:
            classifier.set_input(training.pixels(photo))
            classifier.invoke()
            return classifier.features()

        return features
