"""Groups of photos that show nearly the same picture or are edited copies of one.

Photos of a burst, or of a camera that never moves, are all too similar for one threshold. Such
photos are grouped separately, with a stricter threshold, and do not affect the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from train.data.events.cells import Cells
from train.data.events.centres import MANY, Vectors
from train.data.events.copies import Copy, edited_copies, joined
from train.data.looks import AnyThumbnails, Details, Thumbnails, chosen

Numbers = npt.NDArray[np.int64]

NEAR_IDENTICAL_CORRELATIONS = (0.94, 0.97, 0.99, 0.997)
"""Two thumbnails with at least this correlation count as the same picture.

The first value is right for most photos. Behind a fixed camera every photo resembles every other: a
group with more than `MAX_GROUP_SHARE` of the photos, and only that group, is split again by the
next value.
"""
MAX_GROUP_SHARE = 0.1
MAX_BURST_PHOTOS = 12
"""A burst of up to this many photos does not count as a fixed camera, however small the set, as
long as it stays below `MAX_BURST_SHARE`."""
MAX_BURST_SHARE = 1 / 3
MIN_GROUP = 3
"""A group of this size is allowed in any set."""
BLOCK = 256
MAX_PAIRS_PER_PHOTO = 20


@dataclass(frozen=True)
class Grouping:
    """Which photos show one picture, in the order of the photos."""

    roots: Numbers
    """(n,), the same number for photos of one picture."""
    plain: Numbers
    """The same, without regard to edited copies."""
    thresholds: npt.NDArray[np.float64]
    """(n,), the value of `NEAR_IDENTICAL_CORRELATIONS` that was used for each photo."""
    copies: tuple[Copy, ...]
    """Pairs of edited copies."""


@dataclass(frozen=True)
class Known:
    """What else than the look of whole pictures tells which photos belong together."""

    pairs: Numbers
    """(2, m), photos of one event."""
    fixed: Numbers
    """(n,), the same number for photos before one background, which say nothing by being alike;
    -1 for all others."""

    @classmethod
    def nothing(cls, photos: int) -> "Known":
        """Of so many photos, nothing."""
        return cls(np.empty((2, 0), np.int64), np.full(photos, -1, np.int64))

    def weights(self) -> npt.NDArray[np.float64]:
        """(n,), 1 / photos of its event: a long event is no fixed camera."""
        roots = joined(np.arange(len(self.fixed)), self.pairs)
        return np.asarray(1 / np.bincount(roots)[roots])

    def with_places(self, roots: Numbers) -> Numbers:
        """(n,), the groups `roots`, those before one background together."""
        rows = np.flatnonzero(self.fixed >= 0)
        first = np.unique(self.fixed[rows], return_index=True, return_inverse=True)[1:]
        return joined(roots, np.stack([rows, rows[first[0][first[1]]]]))


def group(
    thumbnails: AnyThumbnails,
    details: Details | None,
    same_bytes: Sequence[int] | Numbers,
    known: Known | None = None,
) -> Grouping:
    """Group photos by what they show.

    Args:
        thumbnails: float32 (n, 768), rows of length 1 or 0.
        details: uint8 (n, 32, 32, 3), of each photo; None: do not search for edits.
        same_bytes: (n,), for each photo the first one with the same bytes.
        known: what else than the look of whole pictures joins photos; None: nothing.
    """
    bytes_ = np.asarray(same_bytes, np.int64)
    known = known or Known.nothing(len(bytes_))
    with threadpool_limits(1, "blas"):
        # One thread: the sums are the same on any number of cores, and no thread waits for another.
        return _grouped(_hidden(thumbnails, known.fixed >= 0), details, bytes_, known)


def _hidden(thumbnails: AnyThumbnails, hidden: npt.NDArray[np.bool_]) -> AnyThumbnails:
    """Some as 0, which is like nothing."""
    if isinstance(thumbnails, Thumbnails):
        return thumbnails.without(hidden)
    return np.where(hidden[:, None], np.float32(0), thumbnails)


def _grouped(
    thumbnails: AnyThumbnails, details: Details | None, bytes_: Numbers, known: Known
) -> Grouping:
    certain = joined(bytes_, known.pairs)
    alike = joined(certain, near_identical(thumbnails, NEAR_IDENTICAL_CORRELATIONS[0]))
    copies = () if details is None else tuple(edited_copies(details, known.with_places(alike)))
    weights = known.weights()
    plain, thresholds = _regrouped(thumbnails, certain, alike, (), weights)
    roots = plain
    if copies:
        both = joined(alike, _ends(copies))
        roots, thresholds = _regrouped(thumbnails, certain, both, copies, weights)
    thresholds[known.fixed >= 0] = NEAR_IDENTICAL_CORRELATIONS[-1]
    return Grouping(roots, plain, thresholds, copies)


def _regrouped(
    thumbnails: AnyThumbnails,
    certain: Numbers,
    roots: Numbers,
    copies: Sequence[Copy],
    weights: npt.NDArray[np.float64],
) -> tuple[Numbers, npt.NDArray[np.float64]]:
    """Split groups that are too large by higher thresholds; gives roots and thresholds used."""
    roots, count = roots.copy(), float(weights.sum())
    thresholds = np.full(len(roots), NEAR_IDENTICAL_CORRELATIONS[0])
    for threshold, stricter in zip(
        NEAR_IDENTICAL_CORRELATIONS, (*NEAR_IDENTICAL_CORRELATIONS[1:], None), strict=True
    ):
        for members in _groups_larger_than(roots, _largest_group(count, threshold), weights):
            alone = np.unique(certain[members], return_inverse=True)[1]
            if stricter:
                thresholds[members] = stricter
                alone = joined(alone, near_identical(chosen(thumbnails, members), stricter))
                alone = joined(alone, _ends(copies, members, stricter))
            _, first, which = np.unique(alone, return_index=True, return_inverse=True)
            roots[members] = members[first[which]]
    return roots, thresholds


def _groups_larger_than(
    roots: Numbers, most: float, weights: npt.NDArray[np.float64]
) -> list[Numbers]:
    """The members of each group with more than `most` photos, an event being one."""
    large = np.flatnonzero(np.bincount(roots, weights) > most + 1e-6)
    return [np.flatnonzero(roots == root) for root in large]


def _largest_group(photos: float, threshold: float) -> float:
    """How many photos may form one group before they count as a fixed camera's."""
    burst = MAX_BURST_SHARE * photos
    if threshold != NEAR_IDENTICAL_CORRELATIONS[-1]:
        burst = max(MAX_GROUP_SHARE * photos, min(MAX_BURST_PHOTOS, burst))
    return max(MIN_GROUP, burst)


def near_identical(thumbnails: Vectors, threshold: float) -> Numbers:
    """Pairs (2, m) that connect the same photos as all pairs that reach `threshold` would.

    Fewer than `MANY` photos are compared each with each: 10,000 need about 100 MB and a few
    seconds. Where all photos are alike, only a few pairs are kept.
    """
    count = len(thumbnails)
    if count >= MANY:
        return Cells.of(thumbnails).connecting(threshold)
    found = [np.empty((2, 0), np.int64)]
    for start in range(0, count, BLOCK):
        like = thumbnails[start : start + BLOCK] @ thumbnails[start:].T >= threshold
        lines, columns = np.divmod(np.flatnonzero(like), like.shape[1])
        later = columns > lines
        pairs = np.stack([lines[later], columns[later]]) + start
        if pairs.shape[1] > 2 * count:
            roots = joined(np.arange(count), pairs)
            pairs = np.stack([np.arange(len(roots)), roots])
        found.append(pairs)
    return np.concatenate(found, axis=1)


def near_identical_pairs(
    thumbnails: Vectors, threshold: float, most: int | None = None
) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, whose thumbnails correlate by at least `threshold`.

    Fewer than `MANY` photos are compared each with each, 1,024 rows at a time: 10,000 need 40 MB
    and a few seconds. Gives at most `most` + 1 pairs, however similar the photos are.
    """
    # One thread: which of equal sums is rounded up is the same on any number of cores.
    with threadpool_limits(1, "blas"):
        if len(thumbnails) < MANY:
            return _compared_pairs(thumbnails, threshold, most)
        found = Cells.of(thumbnails).pairs(threshold, most)
    return list(zip(*found.tolist(), strict=True))


def _compared_pairs(
    thumbnails: Vectors, threshold: float, most: int | None
) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(thumbnails), 1024):
        block = thumbnails[start : start + 1024]
        similar = block @ thumbnails[start:].T >= threshold
        rows, columns = np.nonzero(np.triu(similar, k=1))
        room = None if most is None else most + 1 - len(pairs)
        rows, columns = rows[:room] + start, columns[:room] + start
        pairs += zip(rows.tolist(), columns.tolist(), strict=True)
        if room == len(rows):
            break
    return pairs


def _ends(
    copies: Iterable[Copy], members: Numbers | None = None, threshold: float = 0.0
) -> Numbers:
    """Pairs (2, m) of copies that reach `threshold`; with `members`, as indices into these."""
    ends = [(copy.first, copy.second) for copy in copies if copy.likeness >= threshold]
    pairs = np.array(ends, np.int64).reshape(-1, 2).T
    if members is None:
        return pairs
    pairs = pairs[:, np.isin(pairs, members).all(axis=0)]
    return np.searchsorted(members, pairs)
