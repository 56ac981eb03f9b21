"""Photos that are alike: copies, one picture in two classes, near-copies.

Pure functions from split rows, thumbnails and frozen features to findings.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

import numpy as np

from device.workstation.training import LEFT_OUT
from train.columns import chosen, first_equal, values_of
from train.curate.findings import CONTRADICTION, COPY, SAME_PICTURE, Finding
from train.curate.vectors import Vectors
from train.data.events.copies import joined
from train.data.events.groups import MAX_PAIRS_PER_PHOTO, near_identical_pairs
from train.data.looks import AnyThumbnails
from train.data.split import Row

SAME_PICTURE_CORRELATION = 0.97
"""Of thumbnails. Together with `SAME_PICTURE_COSINE`: one picture. On its own, 0.94 would also join
a dandelion and a sunflower of the same size on white."""
SAME_PICTURE_COSINE = 0.85


def find_alike(rows: Sequence[Row], thumbnails: AnyThumbnails, features: Vectors) -> list[Finding]:
    """Copies, contradictions, and other photos of the same picture, each as a group.

    A group that contains photos that devices saved, or that the split leaves out, is also reported
    without them: these photos may be the only link between the others. Several groups of one event
    are one finding.
    """
    same = _same_bytes(rows) + [
        pair
        for pair in _pairs_if_few(thumbnails, SAME_PICTURE_CORRELATION)
        if _cosine(features, pair) >= SAME_PICTURE_COSINE
    ]
    found = _found(rows, features, same)
    reported = {frozenset(finding.paths) for finding in found}
    collected, parts = values_of(rows, "collected"), values_of(rows, "part")
    counts = [not own and part != LEFT_OUT for own, part in zip(collected, parts, strict=True)]
    own = [pair for pair in same if counts[pair[0]] and counts[pair[1]]]
    inner = _found(rows, features, own)
    found += [finding for finding in inner if frozenset(finding.paths) not in reported]
    return sorted(found, key=lambda f: (f.kind, -f.score, f.paths))


def _found(
    rows: Sequence[Row], features: Vectors, pairs: Sequence[tuple[int, int]]
) -> list[Finding]:
    """A finding for each group of photos that pairs connect; one for all of an event's groups."""
    findings: dict[tuple[str, ...], Finding] = {}
    for members in _components(len(rows), pairs):
        together = list(chosen(rows, np.array(members)))
        finding = _same_picture_finding(together, features, members)
        events = {row.group for row in together}
        # Two contradictions say different things, even in one event.
        one = len(events) == 1 and finding.kind != CONTRADICTION
        key = (finding.kind, *events) if one else finding.paths
        findings[key] = _together(findings.get(key), finding)
    return list(findings.values())


def _together(first: Finding | None, second: Finding) -> Finding:
    if first is None:
        return second
    paths = tuple(sorted({*first.paths, *second.paths}))
    return Finding(first.kind, paths, min(first.score, second.score))


def _same_bytes(rows: Sequence[Row]) -> list[tuple[int, int]]:
    first = first_equal(values_of(rows, "sha256"))
    again = np.flatnonzero(first != np.arange(len(rows)))
    return list(zip(first[again].tolist(), again.tolist(), strict=True))


def _pairs_if_few(vectors: AnyThumbnails, threshold: float) -> list[tuple[int, int]]:
    """Pairs that are alike, or none if there are too many, as behind a fixed camera."""
    most = MAX_PAIRS_PER_PHOTO * len(vectors)
    pairs = near_identical_pairs(vectors, threshold, most)
    return pairs if len(pairs) <= most else []


def _cosine(features: Vectors, pair: tuple[int, int]) -> float:
    return float(features[pair[0]] @ features[pair[1]])


def _components(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    ends = np.array(list(pairs), np.int64).reshape(-1, 2).T
    roots = joined(np.arange(count), ends)
    together = np.flatnonzero(np.bincount(roots, minlength=count)[roots] > 1)
    for i, root in zip(together.tolist(), roots[together].tolist(), strict=True):
        members[root].append(i)
    return list(members.values())


def _same_picture_finding(
    rows: Sequence[Row], features: Vectors, members: Sequence[int]
) -> Finding:
    """Of the photos of one picture: their rows, and their numbers among all."""
    if len({row.label for row in rows}) > 1:
        return _group(CONTRADICTION, rows, features, members)
    copies = len({row.sha256 for row in rows}) == 1
    return _group(COPY if copies else SAME_PICTURE, rows, features, members)


def _group(kind: str, rows: Sequence[Row], features: Vectors, members: Sequence[int]) -> Finding:
    # A long group is a chain: compare only neighbours in order, since its ends may differ.
    pairs = combinations(members, 2) if len(members) <= 12 else pairwise(members)
    least = min(_cosine(features, pair) for pair in pairs)
    return Finding(kind, tuple(row.path for row in rows), float(np.clip(least, 0, 1)))
