"""The audit's suspicions: photos that seem to belong to another class, or to none.

An event counts once, however many photos it has: it teaches as much as one photo, it is suspected
as a whole, and of its photos only the most similar one is a neighbour of others.

Pure functions from split rows and frozen features to findings. The audit learns only from the
training part: labels of the test part do not affect the verdict on any photo. Photos that devices
saved affect only the verdict on other such photos.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from device.workstation.training import Part
from device.workstation.weights import weighted_mean
from train import columns
from train.columns import values_of
from train.curate.findings import MISLABEL, OUTLIER, Finding, Judge
from train.curate.units import Units, means, numbered, weights_of
from train.curate.vectors import (
    Centred,
    Last,
    Vectors,
    best_of_each,
    blocks,
    chosen,
    folder_of,
    highest,
    mean,
    where_best,
)
from train.data.events.centres import MANY, neighbourhoods
from train.data.split import Row
from train.filed import Table, table

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FOLDS = 5
COMPONENTS = 256
STRENGTH = 10.0
"""Inverse regularisation strength of the judge, as scikit-learn defines it."""
MIN_JUDGED = 20
"""If a class has fewer events to train on, it cannot be judged, and then no class is."""
MOST_TAUGHT = 40_000
"""Training photos that judges learn from at most, so that their memory is bounded."""
NEIGHBOURS = 10
OUTLIERS_PER_100 = 1
BLOCK = 512


def judge(features: Vectors, labels: Numbers, groups: Sequence[str], train: Flags) -> Probabilities:
    """How likely each photo belongs to each class, by a judge that never saw it or its group.

    Args:
        features: float32 (n, channels), rows of length 1.
        labels: int64 (n,); each class has at least `MIN_JUDGED` groups in the training part.
        groups: their events; photos of one event fall into the same fold.
        train: bool (n,), the training part, the only one that the judges learn from.

    Returns:
        float64 (n, classes): cross-validated for training photos, for all others the mean of
        the judges of the folds.
    """
    judges = Judges.taught(features, labels, numbered(groups), train)
    return judges.of(np.arange(len(features)))


@dataclass(frozen=True)
class Judges:
    """A judge of each fold, and who of them may be asked about whom."""

    features: Vectors
    judges: Sequence[tuple[PCA, LogisticRegression]]
    fold: Numbers
    """(n,), the judge that never saw the photo's event; -1: none did, or it is of no training
    photo."""
    classes: int

    @classmethod
    def taught(cls, features: Vectors, labels: Numbers, event: Numbers, train: Flags) -> "Judges":
        """Teach them; arguments as of `judge`, but `event` has a number for each group."""
        inside = _teachers(np.flatnonzero(train), labels, event)
        weights, classes = weights_of(event[inside]), int(labels.max()) + 1
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
        judges, fold_of_event = [], np.full(int(event.max()) + 1, -1, np.int64)
        shown = np.empty((len(inside), 0))
        for number, (taught, held_out) in enumerate(
            folds.split(shown, labels[inside], event[inside])
        ):
            fold_of_event[event[inside[held_out]]] = number
            rows = inside[taught]
            # Features of one fold at a time are in memory.
            judges.append(_taught(features[rows], labels[rows], weights[taught]))
        return cls(features, judges, np.where(train, fold_of_event[event], -1), classes)

    def of(self, rows: Numbers) -> Probabilities:
        """How likely some photos belong to each class, float64 (m, classes)."""
        result = np.zeros((len(rows), self.classes))
        for part in _parts(self.features, len(rows)):
            result[part] = self._of_some(rows[part])
        return result

    def _of_some(self, rows: Numbers) -> Probabilities:
        result = np.zeros((len(rows), self.classes))
        fold = self.fold[rows]
        all_of_them = np.flatnonzero(fold < 0)
        for number, (components, model) in enumerate(self.judges):
            asked = np.concatenate([np.flatnonzero(fold == number), all_of_them])
            if len(asked):
                share = np.where(fold[asked] < 0, 1.0 / FOLDS, 1.0)[:, None]
                result[np.ix_(asked, model.classes_)] += share * model.predict_proba(
                    components.transform(self.features[rows[asked]])
                )
        return result


def _teachers(inside: Numbers, labels: Numbers, event: Numbers) -> Numbers:
    """Those training photos that teach: of more than `MOST_TAUGHT` as many of each class.

    A photo of each event comes before a second one of any.
    """
    if len(inside) <= MOST_TAUGHT:
        return inside
    order = inside[np.argsort(event[inside], kind="stable")]
    _, first, sizes = np.unique(event[order], return_index=True, return_counts=True)
    again = np.arange(len(order)) - np.repeat(first, sizes)
    order = order[np.argsort(again, kind="stable")]
    classes = np.unique(labels[inside])
    of_class = (order[labels[order] == one] for one in classes)
    return np.sort(np.concatenate([own[: MOST_TAUGHT // len(classes)] for own in of_class]))


def _taught(
    known: Floats, truth: Numbers, weights: npt.NDArray[np.float64]
) -> tuple[PCA, LogisticRegression]:
    components = PCA(min(COMPONENTS, *known.shape), svd_solver="covariance_eigh").fit(known)
    model = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(components.transform(known), truth, weights)
    return components, model


def confident_label(
    probabilities: Probabilities, labels: Numbers, train: npt.NDArray[np.bool_]
) -> Numbers:
    """The class that each photo confidently belongs to; its own class if there is none.

    Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating
    Uncertainty in Dataset Labels", section 3.1): a class counts if its probability reaches the
    mean over this class's own training events; the most likely of these classes is taken.
    """
    own = _of(probabilities, labels)
    usual = _usual(own, labels, train, probabilities.shape[1])
    return _confident(probabilities, labels, usual)


def _usual(own: Probabilities, labels: Numbers, train: Flags, classes: int) -> Probabilities:
    """(classes,), how likely the events of each class usually belong to it.

    Args:
        own: (n,), how likely each is of its own class.
        labels: (n,), these classes.
        train: (n,), whether it is of the training part.
        classes: how many there are.
    """
    return np.array([own[train & (labels == j)].mean() for j in range(classes)])


def _confident(probabilities: Probabilities, labels: Numbers, usual: Probabilities) -> Numbers:
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    return np.where(confident.max(axis=1) < 0, labels, confident.argmax(axis=1))


def nearest(features: Vectors, groups: Sequence[str], train: Flags) -> tuple[Numbers, Floats]:
    """The training photos most similar to each photo, one of each other event.

    Returns:
        Their indices, int64 (n, k), and cosines of centred features, float32 (n, k), -1 to 1;
        k is `NEIGHBOURS` or fewer. Of `MANY` photos or more, those in cells nearby are compared.
    """
    event = numbered(groups)
    k = min(NEIGHBOURS, len(np.unique(event[train])))
    indices, cosines = (
        np.empty((len(features), k), np.int64),
        np.empty((len(features), k), np.float32),
    )
    for rows, near, like in neighbours(features, event, train, np.arange(len(features))):
        indices[rows], cosines[rows] = near, like
    return indices, cosines


def neighbours(
    features: Vectors, event: Numbers, train: Flags, asking: Numbers
) -> Iterator[tuple[Numbers, Numbers, Floats]]:
    """The same for some photos, in blocks: which they are, indices, cosines.

    Args:
        features: (n, channels).
        event: (n,), a number for the event of each.
        train: (n,).
        asking: (m,), the photos whose neighbours are asked for.
    """
    inside = np.flatnonzero(train)
    inside = inside[np.argsort(event[inside], kind="stable")]
    centred = _centred(features, inside, weights_of(event[inside]))
    k = min(NEIGHBOURS, len(np.unique(event[inside])))
    taught = chosen(centred, inside)
    last = Last(taught)
    for lines, near in _compared(chosen(centred, asking), taught, event[inside], k):
        among, rows = inside[near], asking[lines]
        like = centred[rows] @ last[near].T
        like[event[rows, None] == event[None, among]] = -1.0
        first = np.unique(event[among], return_index=True)[1]
        best = best_of_each(like, first)
        events = highest(best, k)
        found = among[where_best(like, first, events)]
        yield rows, found, np.take_along_axis(best, events, axis=1)


def _centred(features: Vectors, inside: Numbers, weights: npt.NDArray[np.float64]) -> Vectors:
    """Features without the mean of those inside, of length 1."""
    centred = Centred(features, mean(features, inside, weights))
    return centred[:] if isinstance(features, np.ndarray) else centred


def _compared(
    asking: Vectors, taught: Vectors, event: Numbers, count: int
) -> Iterator[tuple[Numbers, Numbers]]:
    """Rows that ask, and the taught ones, of at least `count` events, that they are compared with.

    Args:
        asking: (n, channels).
        taught: (m, channels).
        event: (m,), of those, in order.
        count: of events.
    """
    everything = np.arange(len(taught))
    if len(asking) < MANY:
        for start in range(0, len(asking), BLOCK):
            yield np.arange(start, min(start + BLOCK, len(asking))), everything
        return
    for rows, near in neighbourhoods(asking, taught):
        yield rows, near if len(np.unique(event[near])) >= count else everything


def mislabels(
    rows: Sequence[Row], labels: Sequence[str], features: Vectors
) -> tuple[list[Finding], Judge | None]:
    """Events that seem to belong to another class, strongest first, and how good the judge is.

    Returns:
        The findings and the judge; no findings and None if a class has fewer than `MIN_JUDGED`
        training events.
    """
    train, event = _teaches(rows), numbered(values_of(rows, "group"))
    truth = _numbers(labels, rows)
    # Count events: if one burst is the whole class, no fold is left to learn it from.
    if min(len(np.unique(event[train & (truth == j)])) for j in range(len(labels))) < MIN_JUDGED:
        return [], None
    judges, units = Judges.taught(features, truth, event, train), Units.among(rows)
    likely, right = _asked(judges, units, truth)
    own = truth[units.first]
    suggested, margins = _suggested(likely, own, train[units.first])
    suspects = np.flatnonzero((suggested != own) & (margins > 0))
    shares = _agreeing(features, (event, truth, train), units, suspects, suggested)
    told = zip(suspects.tolist(), margins[suspects].tolist(), shares.tolist(), strict=True)
    found = [
        Finding(MISLABEL, _paths(rows, units.members(unit)), margin, labels[suggested[unit]], share)
        for unit, margin, share in told
    ]
    accuracy = weighted_mean(right[train], weights_of(event[train]))
    quality = Judge(int(train.sum()), len(np.unique(event[train])), accuracy)
    return sorted(found, key=lambda f: (-f.score, f.paths)), quality


def _asked(judges: Judges, units: Units, truth: Numbers) -> tuple[Table, Flags]:
    """How likely each unit belongs to each class, and of which photos the judges name the class.

    Returns:
        Float64 (units, classes), the mean of its photos, and bool (n,).
    """
    likely = table((len(units), judges.classes), np.float64, folder_of(judges.features))
    right = np.empty(len(truth), np.bool_)
    for part in _parts(judges.features, len(units)):
        rows = units.order[units.bounds[part.start] : units.bounds[part.stop]]
        rows = np.sort(rows)
        found = judges.of(rows)
        right[rows] = found.argmax(axis=1) == truth[rows]
        likely[part] = means(found, units.of[rows] - part.start, part.stop - part.start)
    return likely, right


def _suggested(likely: Table, own: Numbers, train: Flags) -> tuple[Numbers, Probabilities]:
    """The class that each unit confidently belongs to, and by how much more than to its own.

    Args:
        likely: (units, classes).
        own: (units,), their classes.
        train: (units,), whether they are of the training part.
    """
    of_own, of_suggested = np.empty(len(own)), np.empty(len(own))
    suggested = np.empty(len(own), np.int64)
    for part in blocks(len(own)):
        of_own[part] = _of(likely[part], own[part])
    usual = _usual(of_own, own, train, likely.shape[1])
    for part in blocks(len(own)):
        some = likely[part]
        suggested[part] = _confident(some, own[part], usual)
        of_suggested[part] = _of(some, suggested[part])
    return suggested, of_suggested - of_own


def _of(probabilities: Probabilities, classes: Numbers) -> Probabilities:
    """(n,), the one of each row (n, classes) for a class."""
    return np.asarray(np.take_along_axis(probabilities, classes[:, None], axis=1)[:, 0])


def _agreeing(
    features: Vectors,
    photos: tuple[Numbers, Numbers, Flags],
    units: Units,
    suspects: Numbers,
    suggested: Numbers,
) -> npt.NDArray[np.float64]:
    """(suspects,), the share of the neighbours of each suspected unit in the suggested class.

    Args:
        features: (n, channels).
        photos: (n,), the events, the classes, and who teaches.
        units: of the photos.
        suspects: numbers of units.
        suggested: (units,), a class for each unit.
    """
    (event, truth, train), agreeing = photos, np.zeros(len(features))
    rows = np.flatnonzero(np.isin(units.of, suspects))
    if not len(rows):
        return np.empty(0)
    asking = rows if not isinstance(features, np.ndarray) else np.arange(len(features))
    for asked, near, _ in neighbours(features, event, train, asking):
        same = truth[near] == suggested[units.of[asked]][:, None]
        agreeing[asked] = same.mean(axis=1)
    which = np.searchsorted(suspects, units.of[rows])
    return means(agreeing[rows], which, len(suspects))


def _parts(features: Vectors, count: int) -> Iterator[slice]:
    """All at once if the features are in memory, else in blocks."""
    return iter([slice(0, count)]) if isinstance(features, np.ndarray) else blocks(count)


def _numbers(labels: Sequence[str], rows: Sequence[Row]) -> Numbers:
    """(n,), the class of each."""
    number = {label: i for i, label in enumerate(labels)}
    of_each = (number[label] for label in values_of(rows, "label"))
    return np.fromiter(of_each, np.int64, len(rows))


def _teaches(rows: Sequence[Row]) -> npt.NDArray[np.bool_]:
    return _is_train(rows) & ~np.array(values_of(rows, "collected"), np.bool_)


def _is_train(rows: Sequence[Row]) -> Flags:
    return np.array([part == Part.TRAIN for part in values_of(rows, "part")], np.bool_)


def outliers(rows: Sequence[Row], features: Vectors) -> list[Finding]:
    """The events least similar to any training photo: candidates for photos of no class."""
    train = _is_train(rows)
    event, units = numbered(values_of(rows, "group")), Units.among(rows)
    like = np.empty(len(rows), np.float32)
    for asked, _, near in neighbours(features, event, train, np.arange(len(rows))):
        like[asked] = near.mean(axis=1)
    cosines = units.means(like)
    count = -(-len(units) * OUTLIERS_PER_100 // 100)
    order = np.argsort(cosines, kind="stable")[:count]
    return [
        Finding(OUTLIER, _paths(rows, units.members(unit)), float(cosines[unit].clip(0, 1)))
        for unit in order.tolist()
    ]


def _paths(rows: Sequence[Row], members: Sequence[int]) -> tuple[str, ...]:
    return tuple(values_of(columns.chosen(rows, np.array(members)), "path"))
