"""The audit: which photos of a folder would harm training or distort its figures.

Pure functions from split rows, thumbnails and frozen features to findings. The audit learns only
from the training part: labels of the test part do not affect the verdict on any photo. Photos that
devices saved affect only the verdict on other such photos.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import PurePosixPath
from re import findall

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from device.workstation.training import LEFT_OUT, Part
from train.data.copies import joined
from train.data.groups import MAX_PAIRS_PER_PHOTO, near_identical_pairs
from train.data.split import Row

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]

SAME_PICTURE_CORRELATION = 0.97
"""Of thumbnails. Together with `SAME_PICTURE_COSINE`: one picture. On its own, 0.94 would also join
a dandelion and a sunflower of the same size on white."""
SAME_PICTURE_COSINE = 0.85
SAME_SCENE_COSINE = 0.96
"""Of frozen features, for files of any name; photos of different daisies reach 0.95."""
BURST_COSINE = 0.88
BURST_STEPS = 3
"""Photos at most this many places apart by the number in their name, with a cosine of at least
`BURST_COSINE`, are one burst. On 3,263 Flickr photos that gives 99 pairs; chance would give 5.6."""
FOLDS = 5
COMPONENTS = 256
STRENGTH = 10.0
"""Inverse regularisation strength of the judge, as scikit-learn defines it."""
MIN_JUDGED = 20
"""If a class has fewer different training photos, it cannot be judged, and then no class is."""
NEIGHBOURS = 10
REMOVED_MARGIN = 0.9
REMOVED_NEIGHBOURS = 1.0
"""A suspect is removed only if the judge's margin is at least this and this share of its neighbours
is of the other class. The judge alone is mostly wrong about its own strongest suspects
(train/docs/decisions/0012-cleaning-is-optional.md)."""
REMOVED_SHARE = 0.05
"""If a larger share of a class would be removed, the judge does not know the class, or a fixed
camera makes all its photos alike. Then none of them is removed."""
OUTLIERS_PER_100 = 1
COPY = "copy"


@dataclass(frozen=True)
class Finding:
    """Something a person should look at."""

    kind: str
    """copy, contradiction, same_picture, burst, mislabel or outlier."""
    paths: tuple[str, ...]
    score: float
    """Lowest cosine in a group, margin of a mislabel, mean cosine of an outlier; 0 to 1."""
    suggested: str = ""
    """For a mislabel, the class that the judge suggests."""
    neighbours: float = 0.0
    """For a mislabel, the share of its nearest training photos in that class."""


@dataclass(frozen=True)
class Removal:
    """A photo that `make data CLEAN=1` leaves out."""

    path: str
    sha256: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Judge:
    """How good the judge of classes is on the training part, cross-validated."""

    n: int
    accuracy: float


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


def find_alike(rows: Sequence[Row], thumbnails: Floats, features: Floats) -> list[Finding]:
    """Copies, contradictions, other photos of the same picture, and bursts, each as a group.

    A group that contains photos that devices saved, or that the split leaves out, is also reported
    without them: these photos may be the only link between the others.
    """
    same = _same_bytes(rows) + [
        pair
        for pair in _pairs_if_few(thumbnails, SAME_PICTURE_CORRELATION)
        if _cosine(features, pair) >= SAME_PICTURE_COSINE
    ]
    near = [pair for pair in _neighbours_by_number(rows) if _cosine(features, pair) >= BURST_COSINE]
    scene = same + _pairs_if_few(features, SAME_SCENE_COSINE) + near
    found = [
        _same_picture_finding(rows, features, members) for members in _components(len(rows), same)
    ]
    reported = {frozenset(finding.paths) for finding in found}
    counts = [row.part != LEFT_OUT and not row.collected for row in rows]
    own = [pair for pair in same if counts[pair[0]] and counts[pair[1]]]
    inner = [
        _same_picture_finding(rows, features, members) for members in _components(len(rows), own)
    ]
    found += [finding for finding in inner if frozenset(finding.paths) not in reported]
    reported = {frozenset(finding.paths) for finding in found}
    bursts = [_group("burst", rows, features, members) for members in _components(len(rows), scene)]
    found += [finding for finding in bursts if frozenset(finding.paths) not in reported]
    return sorted(found, key=lambda f: (f.kind, -f.score, f.paths))


def _same_bytes(rows: Sequence[Row]) -> list[tuple[int, int]]:
    first_of: dict[str, int] = {}
    pairs = [(first_of.setdefault(row.sha256, i), i) for i, row in enumerate(rows)]
    return [(i, j) for i, j in pairs if i != j]


def _pairs_if_few(vectors: Floats, threshold: float) -> list[tuple[int, int]]:
    """Pairs that are alike, or none if there are too many, as behind a fixed camera."""
    most = MAX_PAIRS_PER_PHOTO * len(vectors)
    pairs = near_identical_pairs(vectors, threshold, most)
    return pairs if len(pairs) <= most else []


def _cosine(features: Floats, pair: tuple[int, int]) -> float:
    return float(features[pair[0]] @ features[pair[1]])


def _neighbours_by_number(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Pairs that are close when sorted by the longest number in their names: cameras count."""
    numbered: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for i, row in enumerate(rows):
        digits = max(findall(r"[0-9]+", PurePosixPath(row.path).stem), key=len, default="")
        if digits:
            numbered[row.label].append((int(digits), i))
    for items in numbered.values():
        order = [i for _, i in sorted(items)]
        for step in range(1, BURST_STEPS + 1):
            yield from ((min(p), max(p)) for p in zip(order, order[step:], strict=False))


def _components(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    ends = np.array(list(pairs), np.int64).reshape(-1, 2).T
    for i, root in enumerate(joined(np.arange(count), ends).tolist()):
        members[root].append(i)
    return [group for group in members.values() if len(group) > 1]


def _same_picture_finding(rows: Sequence[Row], features: Floats, members: Sequence[int]) -> Finding:
    if len({rows[i].label for i in members}) > 1:
        return _group("contradiction", rows, features, members)
    copies = len({rows[i].sha256 for i in members}) == 1
    return _group(COPY if copies else "same_picture", rows, features, members)


def _group(kind: str, rows: Sequence[Row], features: Floats, members: Sequence[int]) -> Finding:
    # A long group is a chain: compare only neighbours in order, since its ends may differ.
    pairs = combinations(members, 2) if len(members) <= 12 else pairwise(members)
    least = min(_cosine(features, pair) for pair in pairs)
    return Finding(kind, tuple(rows[i].path for i in members), float(np.clip(least, 0, 1)))


def removals(rows: Sequence[Row], findings: Iterable[Finding]) -> list[Removal]:
    """Photos that are safe to remove: by content from all parts, by judgement only for training.

    A model that cleaned the test part by its own judgement would only improve its own grade. Of
    copies the first photo is kept. Photos that the split leaves out anyway are not listed again.
    """
    by_path = {row.path: row for row in rows}
    chosen: dict[str, Removal] = {}
    for finding in findings:
        for path, kind, reason in _removable(by_path, finding):
            row = by_path[path]
            if row.part != LEFT_OUT:
                chosen.setdefault(path, Removal(path, row.sha256, kind, reason))
    return _without_excess(rows, chosen.values())


def _removable(by_path: dict[str, Row], finding: Finding) -> Iterator[tuple[str, str, str]]:
    """Path, kind and reason of each photo that may be removed."""
    # A photo that the split leaves out contradicts no other, and is not a first copy.
    rows = [by_path[path] for path in finding.paths if by_path[path].part != LEFT_OUT]
    if finding.kind in (COPY, "same_picture"):
        first_of: dict[str, str] = {}
        for row in rows:
            first = first_of.setdefault(row.sha256, row.path)
            if first != row.path:
                yield row.path, COPY, f"the same bytes as {first}"
    elif finding.kind == "contradiction":
        reason = "the same picture is in the classes "
        reason += ", ".join(sorted({row.label for row in rows}))
        whole = len(rows) == len(finding.paths)
        yield from ((row.path, finding.kind, reason) for row in _contradicting(rows, whole))
    elif (
        finding.kind == "mislabel" and rows and rows[0].part == Part.TRAIN and _is_certain(finding)
    ):
        reason = f"likely a {finding.suggested} (margin {finding.score:.2f})"
        yield rows[0].path, finding.kind, reason


def _contradicting(rows: Sequence[Row], whole: bool) -> list[Row]:
    """Photos to remove if one picture is in several classes; devices' photos remove no user's.

    A group that is not `whole`, or contains devices' photos, may be linked only by those. The
    user's photos on their own are a separate finding.
    """
    own = {row.label for row in rows if not row.collected}
    saved = [row for row in rows if row.collected]
    if saved:
        return (
            [row for row in saved if own != {row.label}] if len({r.label for r in rows}) > 1 else []
        )
    return list(rows) if whole else []


def _is_certain(finding: Finding) -> bool:
    return finding.score >= REMOVED_MARGIN and finding.neighbours >= REMOVED_NEIGHBOURS


def _without_excess(rows: Sequence[Row], chosen: Iterable[Removal]) -> list[Removal]:
    """Drop removals that would take too much of a class, per kind; copies may always be removed.

    Photos that devices saved are counted separately, so that they do not affect a user's own
    photos.
    """
    chosen = sorted(chosen, key=lambda removal: removal.path)
    by_path = {row.path: row for row in rows}
    used = [row for row in rows if row.part != LEFT_OUT]
    sizes = Counter((row.label, False) for row in used if not row.collected)
    sizes.update((row.label, True) for row in used)
    gone = [(by_path[removal.path], removal) for removal in chosen]
    taken = Counter((row.label, row.collected, removal.kind) for row, removal in gone)
    return [
        removal
        for row, removal in gone
        if removal.kind == COPY
        or taken[row.label, row.collected, removal.kind]
        <= REMOVED_SHARE * sizes[row.label, row.collected]
    ]
