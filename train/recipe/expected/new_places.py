"""What to expect at a new place: estimated from the places that there are, held out in turn.

A linear classifier on frozen features is taught without a place and asked about it, for every
place. The trained network is better than that classifier by what it is better on the photos that
it was not taught with, so that much is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t
from threadpoolctl import threadpool_limits

from device.workstation.measures import NORMAL_95
from device.workstation.training import AtPlaces, NewPlaces
from device.workstation.weights import event_weights, weighted_mean
from train.recipe.expected.held_out import (
    Cells,
    Flags,
    Floats,
    Sample,
    cells,
    hits_by_event,
    hits_by_place,
    hits_from,
    subsets,
    taught,
)

MIN_PLACES = 3
MOST_SUBSETS = 4
"""Sets of places of one size that the curve averages over."""
CURVE_SIZES = 5
CLOSED = 0.03
"""A gap of no more than this counts as closed."""
FURTHEST = 8
"""The curve is trusted up to this many times the places that there are."""
USUAL_POWER = 0.5
POWERS = (0.3, 1.0)
"""What the gap shrinks by, as a power of the number of places: usually, least and most."""
USUAL_GAIN = 0.06
"""Standard deviation of what training gains over the linear classifier, from world to world."""


def estimate(sample: Sample, teach: Flags, hits: Flags, seed: int) -> NewPlaces | None:
    """What the trained network is expected to do at places that have no photo in the data.

    Args:
        sample: photos of known places, n of them, all parts.
        teach: (n,), which of them the network was taught with.
        hits: of the others, in order, which ones the network classifies rightly.
        seed: of the folds.

    Returns:
        None with fewer than three places, one class, or nothing to compare the network by.
    """
    places = len(np.unique(sample.places))
    if places < MIN_PLACES or not len(hits) or len(np.unique(sample.labels[teach])) < 2:
        return None
    # These matrices are small: on a busy machine, threads would wait for one another.
    with threadpool_limits(1):
        return _estimate(sample, teach, hits, seed)


def _estimate(sample: Sample, teach: Flags, hits: Flags, seed: int) -> NewPlaces:
    places, small, over = len(np.unique(sample.places)), sample.reduced(), cells(sample)
    elsewhere = hits_by_place(small, seed)
    gain, gain_error = _gain(small, teach, hits)
    points = _measured(small, over, elsewhere, seed)
    known = weighted_mean(hits_by_event(small, seed), event_weights(sample.events.tolist()))
    decline = Decline.through(points, known)
    share = decline.accuracy(places) + gain
    half = float(np.hypot(_reach(over, elsewhere), NORMAL_95 * gain_error))
    return NewPlaces(
        places=places,
        events=len(np.unique(sample.events)),
        accuracy=_within(share),
        interval=(_within(share - half), _within(share + half)),
        curve=tuple(AtPlaces(n, _within(accuracy + gain)) for n, accuracy in points),
        twice=_within(decline.accuracy(2 * places) + gain),
        enough=decline.enough(),
    )


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _reach(over: Cells, hits: Flags) -> float:
    """Half of the 95% interval of an average, of places that are a sample of all places."""
    places = len(np.unique(over.places))
    events_error = _binomial_error(over, hits)
    return float(t.ppf(0.975, places - 1) * max(over.spread(hits), events_error))


def _binomial_error(over: Cells, hits: Flags) -> float:
    """What chance alone gives for this many photos, never 0: places can agree by accident."""
    n = 1 / float((over.weights**2).sum())
    share = (over.mean(hits) * n + 1) / (n + 2)
    return float(np.sqrt(share * (1 - share) / n))


def _gain(sample: Sample, teach: Flags, hits: Flags) -> tuple[float, float]:
    """How much better the network is than the linear classifier, with its standard error.

    Few photos cannot say, so the gain is drawn towards 0 by how uncertain it is.
    """
    asked = ~teach
    answers = taught(sample, teach).predict(sample.features[asked])
    better = hits.astype(float) - (answers == sample.labels[asked])
    events = sample.events[asked]
    weights = event_weights(events.tolist()) / len(events)
    mean = float(weights @ better)
    # As if two more events disagreed (Agresti and Min 2005): a few events can agree by accident.
    least = 1 / (len(np.unique(events)) + 2)
    error = max(_error_by_event(weights * (better - mean), events), least)
    trust = USUAL_GAIN**2 / (USUAL_GAIN**2 + error**2)
    return trust * mean, float(np.sqrt(trust)) * error


def _error_by_event(off: Floats, events: npt.NDArray[np.str_]) -> float:
    sums = np.array([off[events == event].sum() for event in np.unique(events)])
    return float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))


def _measured(sample: Sample, over: Cells, elsewhere: Flags, seed: int) -> list[tuple[int, float]]:
    """Accuracy elsewhere by how many places teach, up to one fewer than there are."""
    places = np.unique(sample.places).tolist()
    sizes = np.unique(np.geomspace(1, len(places) - 1, CURVE_SIZES).round().astype(int))
    points = []
    for size in sizes[:-1].tolist():
        drawn = subsets(places, size, seed, MOST_SUBSETS)
        shares = [_elsewhere(sample, over, chosen) for chosen in drawn]
        points.append((size, float(np.mean(shares))))
    return [*points, (len(places) - 1, over.mean(elsewhere))]


def _elsewhere(sample: Sample, over: Cells, chosen: Sequence[str]) -> float:
    asked = ~np.isin(sample.places, list(chosen))
    weights = over.weights[asked]
    return float(weights @ hits_from(sample, chosen) / weights.sum())


@dataclass(frozen=True)
class Decline:
    """How the gap between new and known places shrinks: as a power of the number of places."""

    known: float
    """Accuracy at places that teach."""
    gap: float
    """At new ones, if `places` teach; below 0 where new ones are better by chance."""
    places: int
    power: float

    @classmethod
    def through(cls, points: Sequence[tuple[int, float]], known: float) -> "Decline":
        """The decline that a curve of (places, accuracy at new ones) shows.

        The curve ends at one place fewer than there are. That one place shrinks the gap by its
        share in the places; over more of them the curve decides, but not too steep or too flat a
        power, which is chance.
        """
        places, accuracy = points[-1]
        gap = known - accuracy
        gap *= places / (places + 1) if gap > 0 else 1
        gaps = [(n, known - share) for n, share in points if known - share > CLOSED / 2]
        power = USUAL_POWER
        if len(gaps) > 2:
            sizes, heights = np.log(np.array(gaps)).T
            power = float(np.clip(-np.polyfit(sizes, heights, 1)[0], *POWERS))
        return cls(known, gap, places + 1, power)

    def accuracy(self, places: int) -> float:
        """At a new place, if this many teach, at least as many as now."""
        if self.gap <= 0:
            return self.known - self.gap
        return float(self.known - self.gap * (self.places / places) ** self.power)

    def enough(self) -> int | None:
        """From how many places on the gap is closed; None if far beyond the present ones."""
        if self.gap <= CLOSED:
            return self.places
        number = self.places * (self.gap / CLOSED) ** (1 / self.power)
        return round(number) if number <= FURTHEST * self.places else None
