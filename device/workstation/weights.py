"""An event counts once: weights of photos that make many photos of one event no more than one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float64]


def event_weights(events: Sequence[str]) -> Weights:
    """Weights of photos that give every event the same sum.

    Args:
        events: the event of each photo of a part, n of them.

    Returns:
        float64 (n,), each above 0, with a mean of 1; all exactly 1 if every photo is an event of
        its own, so that a weighted sum is then the same to the bit as one without weights.
    """
    _, event, photos = np.unique(np.array(events, str), return_inverse=True, return_counts=True)
    weights: Weights = len(events) / len(photos) / photos[event] if len(events) else np.empty(0)
    return weights


def weighted_mean(values: npt.NDArray[Any], weights: Weights) -> float:
    """The mean of values under weights whose mean is 1, in the precision of the values."""
    kind = values.dtype if np.issubdtype(values.dtype, np.floating) else np.float64
    return float((values * weights.astype(kind)).mean())
