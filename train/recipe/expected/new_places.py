"""What to expect at a new place: estimated from the places that there are, held out in turn.

A linear classifier on frozen features is taught without a place and asked about it, for every
place. The trained network is better than that classifier by what it is better on the photos that
it was not taught with, so that much is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t
from threadpoolctl import threadpool_limits

from device.workstation.expected import AtPlaces, NewPlaces
from device.workstation.measures import NORMAL_95
from device.workstation.weights import event_weights, weighted_mean
from train.recipe.expected.gain import gain_of
from train.recipe.expected.held_out import (
    Cells,
    Flags,
    Sample,
    cells,
    hits_by_event,
    hits_by_place,
    hits_from,
    subsets,
)

MIN_PLACES = 3
FOLDS = 5
"""Of whole events, for what is known of the places that teach."""
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
    gain = gain_of(small, teach, hits)
    points = _measured(small, over, elsewhere, seed)
    held_out = hits_by_event(small, FOLDS, seed)
    known = weighted_mean(held_out, event_weights(sample.events.tolist()))
    decline = Decline.through(points, known)
    share = decline.accuracy(places) + gain.mean
    half = float(np.hypot(_reach(over, elsewhere), NORMAL_95 * gain.error))
    return NewPlaces(
        places=places,
        events=len(np.unique(sample.events)),
        accuracy=_within(share),
        interval=(_within(share - half), _within(share + half)),
        curve=tuple(AtPlaces(n, _within(accuracy + gain.mean)) for n, accuracy in points),
        twice=_within(decline.accuracy(2 * places) + gain.mean),
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
