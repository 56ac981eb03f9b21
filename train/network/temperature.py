"""Calibrated probabilities: one temperature, fitted to held-out photos and folded into the head.

A trained network is more certain than it is accurate, or less. Dividing all logits by
one number, fitted to held-out photos, repairs most of that (Guo et al. 2017, "On Calibration of
Modern Neural Networks") and changes no answer. The class map and its mean are linear in the head's
weights, so dividing those makes the temperature part of the network, whatever it is converted to.
An event counts once, here and in the log losses, however many photos it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from device.workstation.training import Calibration, LogLoss
from device.workstation.weights import Weights, event_weights, weighted_mean

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

HEAD = "class_map"
LOWEST, HIGHEST = 0.05, 20.0
"""Range of temperatures that is searched."""
MIN_PROBABILITY = 1e-30


@dataclass(frozen=True)
class Calibrated:
    """A folded temperature, with the data it was fitted on."""

    temperature: float
    logits: Floats
    """(n, classes) of the validation part, before folding."""
    labels: Labels
    """int64 (n,), its true classes."""
    events: Sequence[str]
    """Of its n photos."""

    def record(self, probabilities: Floats, labels: Labels, events: Sequence[str]) -> Calibration:
        """The record for `metrics.json`: the temperature and the log loss before and after it.

        Args:
            probabilities: (n, classes) of the test part, after folding.
            labels: int64 (n,), its true classes.
            events: of its n photos.
        """
        return Calibration(
            temperature=self.temperature,
            validation=self._effect(self.logits, self.labels, self.events),
            test=self._effect(logits_before(probabilities, self.temperature), labels, events),
        )

    def _effect(self, logits: Floats, labels: Labels, events: Sequence[str]) -> LogLoss:
        weights = event_weights(events)
        after = log_loss(logits / self.temperature, labels, weights)
        return LogLoss(len(labels), len(set(events)), log_loss(logits, labels, weights), after)


def calibrate(
    network: keras.Model, logits: Floats, labels: Labels, events: Sequence[str]
) -> Calibrated:
    """Fit a temperature and fold it into a classifier; its answers do not change.

    Args:
        network: the classifier that gave the logits.
        logits: (n, classes) of held-out photos.
        labels: int64 (n,), their true classes.
        events: of the n photos.
    """
    temperature = fit_temperature(logits, labels, events)
    fold_temperature(network, temperature)
    return Calibrated(temperature, logits, labels, events)


def fit_temperature(logits: Floats, labels: Labels, events: Sequence[str]) -> float:
    """The temperature with the lowest log loss.

    One imaginary photo of unknown class is added to the events (after Platt 1999). Otherwise a
    part without any mistake would demand certainty, however small it is.

    Args:
        logits: (n, classes) of held-out photos, finite.
        labels: int64 (n,), their true classes.
        events: of the n photos.

    Returns:
        The divisor of the logits, `LOWEST` to `HIGHEST`; above 1 for an overconfident network.
    """
    doubt, weights = 1 / (len(set(events)) + 2), event_weights(events)

    def loss(exponent: float) -> float:
        scaled = logits / np.exp(exponent)
        every_class = log_softmax(scaled.astype(np.float64), axis=1)
        any_class = -weighted_mean(every_class, weights[:, np.newaxis])
        return (1 - doubt) * log_loss(scaled, labels, weights) + doubt * any_class

    # The loss is convex in 1/temperature, so it has one minimum over the logarithm, too.
    bounds = (float(np.log(LOWEST)), float(np.log(HIGHEST)))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def fold_temperature(network: keras.Model, temperature: float) -> None:
    """Divide a classifier's logits and class map by a temperature above 0, in its head."""
    head = network.get_layer(HEAD)
    head.set_weights([weight / np.float32(temperature) for weight in head.get_weights()])


def logits_before(probabilities: Floats, temperature: float) -> Floats:
    """The logits (n, classes) before the temperature, up to a constant per row."""
    clipped = np.maximum(probabilities.astype(np.float64), MIN_PROBABILITY)
    logits: Floats = temperature * np.log(clipped)
    return logits


def log_loss(logits: Floats, labels: Labels, weights: Weights) -> float:
    """Weighted mean of the negative log-likelihood of the true classes, nats."""
    chosen = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    return -weighted_mean(chosen, weights)
