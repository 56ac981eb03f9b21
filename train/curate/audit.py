"""The audit's suspicions: photos that seem to belong to another class, or to none.

Pure functions from split rows and frozen features to findings. The audit learns only from the
training part: labels of the test part do not affect the verdict on any photo. Photos that devices
saved affect only the verdict on other such photos.
"""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from device.workstation.training import Part
from train.curate.findings import Finding, Judge
from train.data.split import Row

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

FOLDS = 5
COMPONENTS = 256
STRENGTH = 10.0
"""Inverse regularisation strength of the judge, as scikit-learn defines it."""
MIN_JUDGED = 20
"""If a class has fewer different training photos, it cannot be judged, and then no class is."""
NEIGHBOURS = 10
OUTLIERS_PER_100 = 1


def judge(
    features: Floats, labels: Numbers, groups: Sequence[str], train: npt.NDArray[np.bool_]
) -> Probabilities:
    """How likely each photo belongs to each class, by a judge that never saw it or its group.

    Args:
        features: float32 (n, channels), rows of length 1.
        labels: int64 (n,); each class has at least `MIN_JUDGED` groups in the training part.
        groups: names; near-identical photos share one and so fall into the same fold.
        train: bool (n,), the training part, the only one that the judge learns from.

    Returns:
        float64 (n, classes): cross-validated for training photos, for all others the mean of
        the judges of the folds.
    """
    inside = np.flatnonzero(train)
    classes = int(labels.max()) + 1
    result = np.zeros((len(features), classes))
    names = np.array(groups)[inside]
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for taught, held_out in folds.split(features[inside], labels[inside], names):
        known = features[inside[taught]]
        components = PCA(min(COMPONENTS, *known.shape), svd_solver="covariance_eigh").fit(known)
        model = LogisticRegression(C=STRENGTH, max_iter=300, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(components.transform(known), labels[inside[taught]])
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
    mean over this class's own training photos; the most likely of these classes is taken.
    """
    classes = range(probabilities.shape[1])
    usual = np.array([probabilities[train & (labels == j), j].mean() for j in classes])
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    return np.where(confident.max(axis=1) < 0, labels, confident.argmax(axis=1))


def nearest(
    features: Floats, groups: Sequence[str], train: npt.NDArray[np.bool_]
) -> tuple[Numbers, Floats]:
    """The training photos most similar to each photo, without those of its own group.

    Returns:
        Their indices, int64 (n, k), and cosines of centred features, float32 (n, k), -1 to 1;
        k is `NEIGHBOURS` or fewer. Compares 512 photos at a time.
    """
    inside = np.flatnonzero(train)
    centred = features - features[inside].mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True).clip(1e-6)
    names = np.array(groups)
    k = min(NEIGHBOURS, len(inside))
    indices, cosines = [], []
    for start in range(0, len(features), 512):
        rows = slice(start, start + 512)
        like = centred[rows] @ centred[inside].T
        like[names[rows, None] == names[None, inside]] = -1.0
        order = np.argsort(-like, axis=1, kind="stable")[:, :k]
        indices.append(inside[order])
        cosines.append(np.take_along_axis(like, order, axis=1))
    return np.concatenate(indices), np.concatenate(cosines)


def mislabels(
    rows: Sequence[Row], labels: Sequence[str], features: Floats
) -> tuple[list[Finding], Judge | None]:
    """Photos that seem to belong to another class, strongest first, and how good the judge is.

    Returns:
        The findings and the judge; no findings and None if a class has fewer than `MIN_JUDGED`
        different training photos.
    """
    train = _teaches(rows)
    truth = np.array([labels.index(row.label) for row in rows], np.int64)
    groups = [row.group for row in rows]
    # Count groups: if one burst is the whole class, no fold is left to learn it from.
    taught = {(r.label, r.group) for r, teaches in zip(rows, train, strict=True) if teaches}
    different = Counter(label for label, _ in taught)
    if min(different[label] for label in labels) < MIN_JUDGED:
        return [], None
    probabilities = judge(features, truth, groups, train)
    suggested = confident_label(probabilities, truth, train)
    near = truth[nearest(features, groups, train)[0]]
    margin = probabilities[np.arange(len(rows)), suggested]
    margin = margin - probabilities[np.arange(len(rows)), truth]
    found = [
        Finding(
            "mislabel",
            (rows[i].path,),
            float(margin[i]),
            labels[suggested[i]],
            float((near[i] == suggested[i]).mean()),
        )
        for i in np.flatnonzero((suggested != truth) & (margin > 0)).tolist()
    ]
    right = float((probabilities.argmax(axis=1) == truth)[train].mean())
    return sorted(found, key=lambda f: (-f.score, f.paths)), Judge(int(train.sum()), right)


def _teaches(rows: Sequence[Row]) -> npt.NDArray[np.bool_]:
    return np.array([row.part == Part.TRAIN and not row.collected for row in rows])


def outliers(rows: Sequence[Row], features: Floats) -> list[Finding]:
    """The photos least similar to any training photo: candidates for photos of no class."""
    train = np.array([row.part == Part.TRAIN for row in rows])
    cosines = nearest(features, [row.group for row in rows], train)[1].mean(axis=1)
    count = -(-len(rows) * OUTLIERS_PER_100 // 100)
    order = np.argsort(cosines, kind="stable")[:count]
    return [
        Finding("outlier", (rows[i].path,), float(cosines[i].clip(0, 1))) for i in order.tolist()
    ]
