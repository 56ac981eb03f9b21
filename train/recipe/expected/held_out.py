"""Whole events or places held out in turn, with a linear classifier on frozen features.

What stands behind a subject gives it away at the places that a network was taught at, and
misleads it elsewhere. Photos of a place that was left out of teaching show how much.

Leaving out a place takes whole classes' favourite places away, too, which no new place does. So
every class keeps its weight in teaching, and what is measured is the average over places of every
class, not over its events, of which most may be at one place.
"""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from device.workstation.weights import event_weights

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

STRENGTH = 12.0
"""Inverse regularisation strength, for features of length 1 and events of weight 1."""
ITERATIONS = 100
DIRECTIONS = 300
"""Features are reduced to this many principal directions; results stay, and time is a third."""
VIEW_WEIGHT = 0.5
"""Of a view before another background. Both of a photo weigh as much as the photo: training shows
as many plain views as exchanged ones."""
MAX_HELD = 12
"""With more places than this, several are held out together."""
SATURATION = 3.0
"""Events of one class at one place: more than about this many hardly weigh more."""


@dataclass(frozen=True)
class Views:
    """Views of a sample's photos before the backgrounds of other places, m of them."""

    photos: Numbers
    """int64 (m,), rows of the sample."""
    features: npt.NDArray[np.float32]
    """(m, channels)."""
    behind: npt.NDArray[np.str_]
    """(m,), the places whose backgrounds they show."""

    @classmethod
    def none(cls, channels: int) -> "Views":
        """For training that exchanges no backgrounds."""
        return cls(np.empty(0, np.int64), np.empty((0, channels), np.float32), np.empty(0, str))


@dataclass(frozen=True)
class Sample:
    """Photos of a training, n rows."""

    features: npt.NDArray[np.float32]
    """(n, channels), of length 1."""
    labels: Numbers
    """int64 (n,), class numbers."""
    events: npt.NDArray[np.str_]
    places: npt.NDArray[np.str_]
    """Empty where it is unknown."""
    views: Views

    def reduced(self) -> "Sample":
        """With fewer channels, which lose little."""
        middle = self.features.mean(axis=0)
        directions = np.linalg.svd(self.features - middle, full_matrices=False)[2][:DIRECTIONS].T
        views = replace(self.views, features=(self.views.features - middle) @ directions)
        return replace(self, features=(self.features - middle) @ directions, views=views)

    def lesson(self, rows: Flags) -> tuple[Floats, Numbers, Floats]:
        """What some photos teach: features, labels, and weights that sum up to their events.

        Views are among it whose photo and background are both of what teaches.
        """
        known = np.isin(self.views.behind, np.unique(self.places[rows]))
        shown = rows[self.views.photos] & known
        taught = np.concatenate([np.flatnonzero(rows), self.views.photos[shown]])
        features = np.concatenate([self.features[rows], self.views.features[shown]])
        share = np.where(np.arange(len(taught)) < rows.sum(), 1.0, VIEW_WEIGHT)
        _, event = np.unique(self.events[taught], return_inverse=True)
        weights = share / np.bincount(event, share)[event]
        labels = self.labels[taught]
        for k in np.unique(labels):
            weights[labels == k] *= self.mix[int(k)] / weights[labels == k].sum()
        # As many as there are events: more frames must not mean less regularisation.
        return features, labels, weights * (event.max() + 1) / weights.sum()

    def only(self, rows: Flags) -> "Sample":
        """Some of the photos, with their views."""
        kept, number = rows[self.views.photos], np.cumsum(rows) - 1
        views = self.views
        photos = number[views.photos[kept]]
        return Sample(
            self.features[rows],
            self.labels[rows],
            self.events[rows],
            self.places[rows],
            Views(photos, views.features[kept], views.behind[kept]),
        )

    @cached_property
    def mix(self) -> dict[int, float]:
        """The share of each class in the events."""
        weights = event_weights(self.events.tolist())
        classes = np.unique(self.labels)
        return {int(k): float(weights[self.labels == k].sum() / len(weights)) for k in classes}


def taught(sample: Sample, rows: Flags) -> LogisticRegression:
    """A classifier taught with some photos: an event counts once, a class as in the whole sample.

    Args:
        sample: all photos.
        rows: (n,), those to teach, of at least two classes.
    """
    features, labels, weights = sample.lesson(rows)
    model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        # Stopping early is an additional regularisation, as in training.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels, sample_weight=weights)


def hits_by_event(sample: Sample, folds: int, seed: int) -> Flags:
    """Which photos are classified rightly when whole events are held out, (n,).

    Every fold holds about as many events of each class.
    """
    names, first = np.unique(sample.events, return_index=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(sample.labels[first[order]], kind="stable")]
    of_event = np.empty(len(names), np.int64)
    of_event[order] = np.arange(len(names)) % folds
    return _held_out(sample, of_event[np.searchsorted(names, sample.events)])


def hits_by_place(sample: Sample, seed: int) -> Flags:
    """Which photos are classified rightly when their whole place is held out, (n,)."""
    names = np.unique(sample.places)
    folds = np.random.default_rng(seed).permutation(len(names)) % MAX_HELD
    return _held_out(sample, folds[np.searchsorted(names, sample.places)])


def _held_out(sample: Sample, folds: Numbers) -> Flags:
    hits = np.zeros(len(folds), bool)
    for fold in np.unique(folds):
        hits[folds == fold] = _right(sample, folds != fold, folds == fold)
    return hits


def _right(sample: Sample, teach: Flags, ask: Flags) -> Flags:
    known = np.unique(sample.labels[teach])
    if len(known) < 2:
        answers = np.full(int(ask.sum()), known[0] if len(known) else -1)
    else:
        answers = taught(sample, teach).predict(sample.features[ask])
    right: Flags = answers == sample.labels[ask]
    return right


def hits_from(sample: Sample, places: Collection[str]) -> Flags:
    """Which photos elsewhere are classified rightly by what some places teach.

    Returns:
        (m,), for the photos of all other places, in order.
    """
    teach = np.isin(sample.places, list(places))
    return _right(sample, teach, ~teach)


@dataclass(frozen=True)
class Cells:
    """The weights of photos in an average over the places of every class."""

    weights: Floats
    """float64 (n,), of sum 1."""
    places: npt.NDArray[np.str_]

    def mean(self, values: npt.NDArray[np.generic]) -> float:
        """The average of n values."""
        return float(self.weights @ values.astype(np.float64))

    def spread(self, values: npt.NDArray[np.generic]) -> float:
        """Standard error of the average, from how much places differ; at least two of them."""
        off = self.weights * (values.astype(np.float64) - self.mean(values))
        sums = np.array([off[self.places == place].sum() for place in np.unique(self.places)])
        return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()))


def cells(sample: Sample) -> Cells:
    """Every class by its share in the events; in a class, places nearly alike.

    Places with few events of the class count less, in proportion if there are very few.
    """
    weights = event_weights(sample.events.tolist())
    result = np.zeros(len(weights))
    for k, share in sample.mix.items():
        for place in np.unique(sample.places):
            cell = (sample.labels == k) & (sample.places == place)
            events = len(np.unique(sample.events[cell]))
            if events:
                worth = events / (1 + events / SATURATION)
                result[cell] = worth * weights[cell] / weights[cell].sum()
        of_class = sample.labels == k
        result[of_class] *= share / result[of_class].sum()
    return Cells(result / result.sum(), sample.places)


def subsets(places: Sequence[str], size: int, seed: int, most: int) -> list[tuple[str, ...]]:
    """Up to `most` different random sets of `size` places."""
    rng = np.random.default_rng([seed, size])
    drawn = {tuple(sorted(rng.permutation(places)[:size].tolist())) for _ in range(4 * most)}
    return sorted(drawn)[:most]
