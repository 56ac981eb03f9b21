"""What to expect of new events at the same places, where the test part has only a few events.

A test part of a dozen events says little: one event more or less is eight points. All events of
all parts say more, if each is asked about by a classifier that was not taught with it. Training a
network for every fold would take too long, so a linear classifier on frozen features is taught,
and what the trained network is better by on the events that it was not taught with is added.

A class with one event cannot be asked about: without that event nothing would teach it. It stays
among what teaches, and the estimate is about the other classes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from device.workstation.expected import SamePlaces
from device.workstation.measures import NORMAL_95
from device.workstation.shares import weighted_share
from device.workstation.weights import event_weights
from train.recipe.expected.gain import Gain, gain_of
from train.recipe.expected.held_out import Flags, Sample, hits_by_event

FEW_EVENTS = 100
"""With as many test events or more, the test part speaks for itself."""
MIN_EVENTS = 8
"""With fewer events in all, their interval is not reliable."""
FOLDS, TURNS = 3, 3
"""A fold is taught with about as large a share of the events as the network. Turns with other folds
are averaged: who is taught together is luck."""


def says_more(test_events: Sequence[str], all_events: Iterable[tuple[str, str]]) -> bool:
    """Whether all events together say more than the test part, and enough for an interval.

    Args:
        test_events: of the photos of the test part.
        all_events: class and event of each photo of all parts.
    """
    of_class = Counter(label for label, _ in set(all_events))
    asked = [n for n in of_class.values() if n > 1]
    return len(set(test_events)) < FEW_EVENTS and len(asked) > 1 and sum(asked) >= MIN_EVENTS


def estimate(
    sample: Sample, teach: Flags, hits: Flags, labels: Sequence[str], seed: int
) -> SamePlaces | None:
    """What the trained network is expected to do on other events like these.

    Args:
        sample: photos, n of them, all parts.
        teach: (n,), which of them the network was taught with.
        hits: of the others, in order, which ones the network classifies rightly.
        labels: the names of the classes.
        seed: of the folds.

    Returns:
        None if fewer than two classes have two events, or one class alone taught the network.
    """
    events = {k: len(np.unique(sample.events[sample.labels == k])) for k in range(len(labels))}
    asked = np.array([events[int(k)] > 1 for k in sample.labels], bool)
    if min(len(np.unique(sample.labels[rows])) for rows in (asked, teach)) < 2:
        return None
    # These matrices are small: on a busy machine, threads would wait for one another.
    with threadpool_limits(1):
        small = sample.reduced()
        turns = [hits_by_event(small, FOLDS, seed + turn)[asked] for turn in range(TURNS)]
        gain = gain_of(small, teach, hits)
    value, interval = with_gain(turns, sample.events[asked].tolist(), gain)
    number = len(np.unique(sample.events[asked]))
    return SamePlaces(
        number, value, interval, tuple(labels[k] for k, n in events.items() if n == 1)
    )


def with_gain(
    turns: Sequence[Flags], events: Sequence[str], gain: Gain
) -> tuple[float, tuple[float, float]]:
    """The share of hits, an event counting once, with what the network is better by.

    Args:
        turns: some ways to hold out, each (n,), which photos are hits.
        events: of the n photos.
        gain: added, and its error to the interval by event.

    Returns:
        The share and its 95% interval, by event.
    """
    weights = event_weights(events)
    shares = [weighted_share(hits, events, weights) for hits in turns]
    value, low, high = np.mean([(s.value, s.low, s.high) for s in shares], axis=0).tolist()
    reach, middle = NORMAL_95 * gain.error, value + gain.mean
    ends = (middle - np.hypot(value - low, reach), middle + np.hypot(high - value, reach))
    return _within(middle), (_within(ends[0]), _within(ends[1]))


def _within(share: float) -> float:
    return float(min(max(share, 0.0), 1.0))
