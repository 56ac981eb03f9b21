"""Copies that somebody edited: cropped, framed, slightly rotated, also mirrored or turned.

Data sets are often exported with such copies, and training mirrors its photos: a test photo that is
a copy of a training photo tests nothing. A copy is searched for by a coarse descriptor of its
middle, in eight orientations and two scales, and confirmed by laying one picture over the other: an
affine map is fitted (Baker and Matthews 2004, "Lucas-Kanade 20 Years On", section 3.2). Then the
fine structure must agree, too, which it never does for two flowers of one kind.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from train.data.events.centres import MANY
from train.data.events.descriptors import (
    Descriptors,
    Numbers,
    Pairs,
    turned,
)
from train.data.events.overlay import fitted, halved
from train.data.events.searching import Searched
from train.data.looks import Bytes, Details

COARSE_POINTS, FINE_POINTS = 8, 20
COARSE_STEPS, FINE_STEPS = 4, 5
COARSE_LIKENESS = 0.9
SAME_LIKENESS = 0.9
"""Correlation of a template and what it lies on. Together with `SAME_STRUCTURE`: one photo."""
SAME_STRUCTURE = 0.88
"""The same without the smooth part of the pictures."""
ROUNDS = 4
CONFIRMED = 1024
"""Pairs that are laid on each other at a time."""


@dataclass(frozen=True)
class Copy:
    """Two photos that are the same except for an edit."""

    first: int
    second: int
    likeness: float
    """Correlation once one is laid on the other, `SAME_LIKENESS` to 1."""


def edited_copies(details: Details, roots: Numbers) -> list[Copy]:
    """Find pairs of edited copies.

    Args:
        details: uint8 (n, 32, 32, 3), of each photo.
        roots: (n,), the same number for photos that are known to show one picture. No
            edits are searched for in a group as large as a fixed camera's.

    Returns:
        Enough pairs to connect all copies of a photo with its group.
    """
    nearest = _nearest_of(details)
    rows = np.flatnonzero(np.bincount(roots)[roots] <= max(12, len(roots) // 10))
    found: list[Copy] = []
    for _ in range(ROUNDS):
        new = _confirmed(details, details, nearest(rows, roots))
        if not new:
            break
        found += new
        ends = np.array([(copy.first, copy.second) for copy in new]).T
        roots = joined(roots, ends)
        # Only a photo whose nearest one has joined its group may have another copy farther off.
        rows = rows[np.isin(roots[rows], roots[ends[0]])]
    return found


def _nearest_of(details: Details) -> Callable[[Numbers, Numbers], Pairs]:
    """A function that gives, for each of some rows, the most similar photo outside its group."""
    if len(details) < MANY:
        return Descriptors.of(halved(details[:])).nearest
    searched = Searched.of(details)
    return lambda rows, roots: searched.nearest(details, rows, roots, roots)


def copies_of(new: Details, known: Details) -> list[Copy]:
    """For each of the `new` photos, the one of `known` that it is an edited copy of, if any."""
    with threadpool_limits(1, "blas"):
        return _confirmed(new, known, _nearest_known(new, known))


def _nearest_known(new: Details, known: Details) -> Pairs:
    rows = np.arange(len(new))
    if len(known) >= MANY:
        return Searched.of(known).nearest(new, rows)
    descriptors = Descriptors.of(np.concatenate([halved(new[:]), halved(known[:])]))
    sides = tuple(
        (turn, scale, descriptor[len(new) :]) for turn, scale, descriptor in descriptors.sides
    )
    return Descriptors(descriptors.whole[: len(new)], sides).nearest(rows, None)


def joined(roots: Numbers, pairs: Numbers) -> Numbers:
    """Merge groups that are connected by a pair.

    Args:
        roots: (n,), the same number for photos of one group.
        pairs: (2, m), numbers of photos.

    Returns:
        (n,), for each photo the first one of its group.
    """
    names = np.arange(int(roots.max(initial=0)) + 1)
    ends = (roots[pairs[0]], roots[pairs[1]])
    while True:
        # Both ends of each pair take the smaller name, and names lead on to their own names.
        lower = np.minimum(names[ends[0]], names[ends[1]])
        before = names.copy()
        for end in ends:
            np.minimum.at(names, names[end], lower)
            np.minimum.at(names, end, lower)
        names = names[names]
        if np.array_equal(names, before):
            break
    _, first, which = np.unique(names[roots], return_index=True, return_inverse=True)
    return first[which]


def _confirmed(firsts: Details, seconds: Details, pairs: Pairs) -> list[Copy]:
    """Keep the pairs whose pictures can be laid on each other."""
    found: list[Copy] = []
    for start in range(0, len(pairs), CONFIRMED):
        found += _confirmed_few(firsts, seconds, pairs[start : start + CONFIRMED])
    return found


def _confirmed_few(firsts: Details, seconds: Details, pairs: Pairs) -> list[Copy]:
    maps = np.eye(2, 3, dtype=np.float32) * pairs.scale[:, None, None].astype(np.float32)
    first, second = _laid_ready(firsts, seconds, pairs)
    maps, likeness, _ = fitted(halved(first), halved(second), maps, COARSE_POINTS, COARSE_STEPS)
    kept = np.flatnonzero(likeness >= COARSE_LIKENESS)
    if not len(kept):
        return []
    fine = first[kept].astype(np.float32), second[kept].astype(np.float32)
    _, likeness, structure = fitted(*fine, maps[kept], FINE_POINTS, FINE_STEPS)
    same = np.flatnonzero((likeness >= SAME_LIKENESS) & (structure >= SAME_STRUCTURE))
    found = pairs[kept[same]]
    ends = (found.first.tolist(), found.second.tolist(), likeness[same].tolist())
    return [Copy(*each) for each in zip(*ends, strict=True)]


def _laid_ready(firsts: Details, seconds: Details, pairs: Pairs) -> tuple[Bytes, Bytes]:
    """Both pictures of each pair, the second turned like the first."""
    first = firsts[pairs.first]
    second = np.empty_like(first)
    for turn, picture in enumerate(turned(seconds[pairs.second])):
        second[pairs.turn == turn] = picture[pairs.turn == turn]
    return first, second
