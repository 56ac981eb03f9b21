"""Averaged weights and the learning rate schedule, for fine-tuning and distillation.

The averaged weights are the ones that are validated and kept (Polyak and Juditsky 1992).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Weights = list[npt.NDArray[np.float32]]
"""One array per variable."""

LAST_LEARNING_RATE_SHARE = 0.01


class AveragedWeights:
    """An exponential moving average of variables, kept beside them."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self._source = list(variables)
        self.variables = [tf.Variable(variable.value) for variable in variables]
        """The averages, in the order of the variables."""

    def update(self, decay: Any) -> None:
        """Add the current weights with a share of 1 - `decay`; works in a `tf.function`, too."""
        for averaged, variable in zip(self.variables, self._source, strict=True):
            averaged.assign_sub((1 - decay) * (averaged - variable.value))

    @contextmanager
    def swapped_in(self) -> Iterator[Weights]:
        """A context in which the network has the averages (yielded); then its own weights again."""
        own, averaged = values(self._source), values(self.variables)
        assign(self._source, averaged)
        try:
            yield averaged
        finally:
            assign(self._source, own)


def values(variables: Sequence[Any]) -> Weights:
    """Copies of the variables' values."""
    return [variable.numpy() for variable in variables]


def assign(variables: Sequence[Any], values: Sequence[npt.NDArray[Any]]) -> None:
    """Assign an array to each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def learning_rates(
    peak: float, steps: int, warm_up: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up to the peak, then cosine decay; starts and ends at a hundredth of the peak.

    Args:
        peak: the highest learning rate.
        steps: number of steps of the whole training.
        warm_up: how many of them warm up, at least 1.
    """
    return keras.optimizers.schedules.CosineDecay(
        peak * LAST_LEARNING_RATE_SHARE,
        max(1, steps - warm_up),
        alpha=1.0 if steps <= 1 else LAST_LEARNING_RATE_SHARE,
        warmup_target=peak,
        warmup_steps=warm_up,
    )
