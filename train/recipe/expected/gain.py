"""How much better the trained network is than the linear classifier that estimates for it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.workstation.weights import event_weights
from train.recipe.expected.held_out import Flags, Floats, Sample, taught

USUAL_GAIN = 0.06
"""Standard deviation of what training gains over the linear classifier, from world to world."""


@dataclass(frozen=True)
class Gain:
    """A difference of two accuracies, -1..1."""

    mean: float
    error: float
    """Its standard error."""


def gain_of(sample: Sample, teach: Flags, hits: Flags) -> Gain:
    """The network's accuracy minus the linear classifier's, on photos that taught neither.

    Few photos cannot say, so the gain is drawn towards 0 by how uncertain it is. An event of which
    some photos taught says nothing of others.

    Args:
        sample: photos, n of them, all parts.
        teach: (n,), which of them the network was taught with.
        hits: of the others, in order, which ones the network classifies rightly.
    """
    apart = ~np.isin(sample.events, np.unique(sample.events[teach]))
    if not apart.any():
        return Gain(0.0, USUAL_GAIN)
    answers = taught(sample, teach).predict(sample.features[apart])
    better = hits[apart[~teach]].astype(float) - (answers == sample.labels[apart])
    events = sample.events[apart]
    weights = event_weights(events.tolist()) / len(events)
    mean = float(weights @ better)
    # As if two more events disagreed (Agresti and Min 2005): a few events can agree by accident.
    least = 1 / (len(np.unique(events)) + 2)
    error = max(_error_by_event(weights * (better - mean), events), least)
    trust = USUAL_GAIN**2 / (USUAL_GAIN**2 + error**2)
    return Gain(trust * mean, float(np.sqrt(trust)) * error)


def _error_by_event(off: Floats, events: npt.NDArray[np.str_]) -> float:
    sums = np.array([off[events == event].sum() for event in np.unique(events)])
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))
