"""The audit's suspicions: photos that seem to belong to another class, or to none.

An event counts once, however many photos it has: it teaches as much as one photo, it is suspected
as a whole, and of its photos only the most similar one is a neighbour of others.

Pure functions from split rows and frozen features to findings. The audit learns only from the
training part: labels of the test part do not affect the verdict on any photo. Photos that devices
saved affect only the verdict on other such photos.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from device.workstation.training import Part
from device.workstation.weights import event_weights, weighted_mean
from train.curate.findings import MISLABEL, OUTLIER, Finding, Judge
from train.data.events.centres import MANY, neighbourhoods
from train.data.split import Row

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

FOLDS = 5
COMPONENTS = 256
STRENGTH = 10.0
"""Inverse regularisation strength of the judge, as scikit-learn defines it."""
MIN_JUDGED = 20
"""If a class has fewer events to train on, it cannot be judged, and then no class is."""
NEIGHBOURS = 10
OUTLIERS_PER_100 = 1
BLOCK = 512


def judge(
    features: Floats, labels: Numbers, groups: Sequence[str], train: npt.NDArray[np.bool_]
) -> Probabilities:
    """How likely each photo belongs to each class, by a judge that never saw it or its group.

    Args:
        features: float32 (n, channels), rows of length 1.
        labels: int64 (n,); each class has at least `MIN_JUDGED` groups in the training part.
        groups: their events; photos of one event fall into the same fold.
        train: bool (n,), the training part, the only one that the judge learns from.

    Returns:
        float64 (n, classes): cross-validated for training photos, for all others the mean of
        the judges of the folds.
    """
    inside = np.flatnonzero(train)
    classes = int(labels.max()) + 1
    result = np.zeros((len(features), classes))
    names = np.array(groups)[inside]
    weights = event_weights([groups[i] for i in inside.tolist()])
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for taught, held_out in folds.split(features[inside], labels[inside], names):
        known = features[inside[taught]]
        components = PCA(min(COMPONENTS, *known.shape), svd_solver="covariance_eigh").fit(known)
        model = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(components.transform(known), labels[inside[taught]], weights[taught])
        seen = np.concatenate([inside[held_out], np.flatnonzero(~train)])
        share = np.where(train[seen], 1.0, 1.0 / FOLDS)[:, None]
        result[np.ix_(seen, model.classes_)] += share * model.predict_proba(
            components.transform(features[seen])
        )
    return result


def confident_label(
    probabilities: Probabilities, labels: Numbers, train: npt.NDArray[np.bool_]
) -> Numbers:
    """The class that each photo confidently belongs to; its own class if there is none.

    Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating
    Uncertainty in Dataset Labels", section 3.1): a class counts if its probability reaches the
    mean over this class's own training events; the most likely of these classes is taken.
    """
    classes = range(probabilities.shape[1])
    usual = np.array([probabilities[train & (labels == j), j].mean() for j in classes])
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    return np.where(confident.max(axis=1) < 0, labels, confident.argmax(axis=1))


def nearest(
    features: Floats, groups: Sequence[str], train: npt.NDArray[np.bool_]
) -> tuple[Numbers, Floats]:
    """The training photos most similar to each photo, one of each other event.

    Returns:
        Their indices, int64 (n, k), and cosines of centred features, float32 (n, k), -1 to 1;
        k is `NEIGHBOURS` or fewer. Of `MANY` photos or more, those in cells nearby are compared.
    """
    event = np.unique(np.array(groups), return_inverse=True)[1]
    inside = np.flatnonzero(train)
    inside = inside[np.argsort(event[inside], kind="stable")]
    weights = event_weights([groups[i] for i in inside.tolist()])
    centred = features - np.average(features[inside], axis=0, weights=weights).astype(np.float32)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True).clip(1e-6)
    k = min(NEIGHBOURS, len(np.unique(event[inside])))
    indices, cosines = (
        np.empty((len(features), k), np.int64),
        np.empty((len(features), k), np.float32),
    )
    for rows, near in _compared(centred, centred[inside], event[inside], k):
        among = inside[near]
        like = centred[rows] @ centred[among].T
        like[event[rows, None] == event[None, among]] = -1.0
        best = _best_of_each(like, np.unique(event[among], return_index=True)[1])
        best_like = np.take_along_axis(like, best, axis=1)
        order = np.argsort(-best_like, axis=1, kind="stable")[:, :k]
        indices[rows] = among[np.take_along_axis(best, order, axis=1)]
        cosines[rows] = np.take_along_axis(best_like, order, axis=1)
    return indices, cosines


def _compared(
    asking: Floats, taught: Floats, event: Numbers, count: int
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


def _best_of_each(like: Floats, first: Numbers) -> Numbers:
    """The column of the highest value in each section of each row.

    Args:
        like: (n, m).
        first: (sections,), where each section begins.

    Returns:
        int64 (n, sections).
    """
    sizes = np.diff([*first.tolist(), like.shape[1]])
    best = np.broadcast_to(first, (len(like), len(first))).copy()
    for section in np.flatnonzero(sizes > 1).tolist():
        columns = slice(first[section], first[section] + sizes[section])
        best[:, section] += like[:, columns].argmax(axis=1)
    return best


@dataclass(frozen=True)
class Units:
    """What is suspected as a whole: the photos of one event in one class and part."""

    of: Numbers
    """(n,), the number of each photo's unit."""
    members: tuple[tuple[int, ...], ...]

    @classmethod
    def among(cls, rows: Sequence[Row]) -> "Units":
        """The units of the photos of some rows."""
        members: dict[tuple[str, str, str, bool], list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            members[row.group, row.label, row.part, row.collected].append(i)
        of = np.empty(len(rows), np.int64)
        for number, unit in enumerate(members.values()):
            of[unit] = number
        return cls(of, tuple(map(tuple, members.values())))

    @property
    def first(self) -> Numbers:
        """(units,), one photo of each."""
        return np.array([unit[0] for unit in self.members], np.int64)

    def means(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """(units, ...), the mean of the photos' values (n, ...) over each unit."""
        sums = np.zeros((len(self.members), *values.shape[1:]))
        np.add.at(sums, self.of, values)
        counts = np.bincount(self.of, minlength=len(self.members))
        return sums / counts.reshape(-1, *(1,) * (values.ndim - 1))


def mislabels(
    rows: Sequence[Row], labels: Sequence[str], features: Floats
) -> tuple[list[Finding], Judge | None]:
    """Events that seem to belong to another class, strongest first, and how good the judge is.

    Returns:
        The findings and the judge; no findings and None if a class has fewer than `MIN_JUDGED`
        training events.
    """
    train = _teaches(rows)
    truth = _numbers(labels, rows)
    groups = [row.group for row in rows]
    # Count events: if one burst is the whole class, no fold is left to learn it from.
    taught = {(r.label, r.group) for r, teaches in zip(rows, train, strict=True) if teaches}
    different = Counter(label for label, _ in taught)
    if min(different[label] for label in labels) < MIN_JUDGED:
        return [], None
    probabilities = judge(features, truth, groups, train)
    found = _suspects(rows, labels, probabilities, truth[nearest(features, groups, train)[0]])
    inside = np.flatnonzero(train)
    weights = event_weights([groups[i] for i in inside.tolist()])
    right = weighted_mean((probabilities.argmax(axis=1) == truth)[inside], weights)
    events = len({group for _, group in taught})
    return sorted(found, key=lambda f: (-f.score, f.paths)), Judge(len(inside), events, right)


def _suspects(
    rows: Sequence[Row], labels: Sequence[str], probabilities: Probabilities, near: Numbers
) -> Iterator[Finding]:
    """Units whose photos, taken together, confidently belong to another class than theirs.

    Args:
        rows: of n photos.
        labels: of the classes.
        probabilities: (n, classes).
        near: (n, k), the classes of each photo's neighbours.
    """
    units = Units.among(rows)
    own = _numbers(labels, [rows[i] for i in units.first.tolist()])
    likely = units.means(probabilities)
    suggested = confident_label(likely, own, _teaches(rows)[units.first])
    agreeing = units.means((near == suggested[units.of][:, None]).mean(axis=1))
    each = np.arange(len(own))
    margin = likely[each, suggested] - likely[each, own]
    for unit in np.flatnonzero((suggested != own) & (margin > 0)).tolist():
        paths, share = _paths(rows, units.members[unit]), float(agreeing[unit])
        yield Finding(MISLABEL, paths, float(margin[unit]), labels[suggested[unit]], share)


def _numbers(labels: Sequence[str], rows: Sequence[Row]) -> Numbers:
    """(n,), the class of each."""
    number = {label: i for i, label in enumerate(labels)}
    return np.array([number[row.label] for row in rows], np.int64)


def _teaches(rows: Sequence[Row]) -> npt.NDArray[np.bool_]:
    return np.array([row.part == Part.TRAIN and not row.collected for row in rows])


def outliers(rows: Sequence[Row], features: Floats) -> list[Finding]:
    """The events least similar to any training photo: candidates for photos of no class."""
    train = np.array([row.part == Part.TRAIN for row in rows])
    units = Units.among(rows)
    cosines = units.means(nearest(features, [row.group for row in rows], train)[1].mean(axis=1))
    count = -(-len(units.members) * OUTLIERS_PER_100 // 100)
    order = np.argsort(cosines, kind="stable")[:count]
    return [
        Finding(OUTLIER, _paths(rows, units.members[unit]), float(cosines[unit].clip(0, 1)))
        for unit in order.tolist()
    ]


def _paths(rows: Sequence[Row], members: Sequence[int]) -> tuple[str, ...]:
    return tuple(rows[i].path for i in members)
