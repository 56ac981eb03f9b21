"""Photos that are alike: copies, one picture in two classes, near-copies, bursts.

Pure functions from split rows, thumbnails and frozen features to findings.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import PurePosixPath
from re import findall

import numpy as np
import numpy.typing as npt

from device.workstation.training import LEFT_OUT
from train.curate.findings import COPY, Finding
from train.data.copies import joined
from train.data.groups import MAX_PAIRS_PER_PHOTO, near_identical_pairs
from train.data.split import Row

Floats = npt.NDArray[np.float32]

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
