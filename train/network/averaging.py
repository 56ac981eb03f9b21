"""What every training here does to weights: a learning rate that warms up and decays, an average.

The averaged weights are those that are validated and kept (Polyak and Juditsky 1992).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Weights = list[npt.NDArray[np.float32]]
"""An array for each variable."""

LAST_LEARNING_RATE_SHARE = 0.01


class AveragedWeights:
    """An exponential moving average of variables, beside them."""

    def __init__(self, variables: Sequence[Any]) -> None:
        self._source = list(variables)
        self.variables = [tf.Variable(variable.value) for variable in variables]
        """The averages themselves, in the order of what they are of."""

    def update(self, decay: Any) -> None:
        """Take the present weights in, by a share of 1 - `decay`; also within a `tf.function`."""
        for averaged, variable in zip(self.variables, self._source, strict=True):
            averaged.assign_sub((1 - decay) * (averaged - variable.value))

    @contextmanager
    def swapped_in(self) -> Iterator[Weights]:
        """Within, the network has the averages, which are yielded; then its own weights again."""
        own, averaged = values(self._source), values(self.variables)
        assign(self._source, averaged)
        try:
            yield averaged
        finally:
            assign(self._source, own)


def values(variables: Sequence[Any]) -> Weights:
    """Copies of what variables hold."""
    return [variable.numpy() for variable in variables]


def assign(variables: Sequence[Any], values: Sequence[npt.NDArray[Any]]) -> None:
    """Put an array into each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def learning_rates(
    peak: float, steps: int, warm_up: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up in a line to the peak, then down along a cosine, from and to a hundredth of it.

    Args:
        peak: the highest learning rate.
        steps: of the whole training.
        warm_up: how many of these lead up to the peak, at least 1.
    """
    return keras.optimizers.schedules.CosineDecay(
        peak * LAST_LEARNING_RATE_SHARE,
        max(1, steps - warm_up),
        alpha=1.0 if steps <= 1 else LAST_LEARNING_RATE_SHARE,
        warmup_target=peak,
        warmup_steps=warm_up,
    )
