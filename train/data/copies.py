"""Copies that somebody edited: cropped, framed, rotated a little, and mirrored or turned besides.

Data sets are often exported with such copies, and training mirrors its photos: a copy in the test
part of what was learned tests nothing. A copy is sought by what its middle looks like from far
away, in eight orientations and two scales, and confirmed by laying one picture over the other: an
affine map is fitted (Baker and Matthews 2004, "Lucas-Kanade 20 Years On", section 3.2), and then
also the fine structure must agree, which it never does for two flowers of one kind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from threadpoolctl import threadpool_limits

from train.data.overlay import Floats, fitted, halved, laid_out

Numbers = npt.NDArray[np.int64]
Details = npt.NDArray[np.uint8]
Pictures = TypeVar("Pictures", Details, Floats)

DETAIL_PX = 32
LOOK_PX = 8
LOOK_WIDTH = 0.6
"""Standard deviation of the window of a look, in half pictures: edges are what edits change."""
LOOK_NUMBERS = 48
"""A look's principal components that are compared."""
CENTRE = 0.8
"""Of each side: the middle of a picture is compared with the whole of a cropped one."""
WEAK_LIKENESS = 0.75
"""Of looks; fewer copies than 1 in 20 fall below it, and half of all photos have no such other."""
COARSE_POINTS, FINE_POINTS = 8, 20
COARSE_STEPS, FINE_STEPS = 4, 5
COARSE_LIKENESS = 0.9
SAME_LIKENESS = 0.9
"""Correlation of a template and what it lies on; with `SAME_STRUCTURE`, one photo."""
SAME_STRUCTURE = 0.88
"""The same without what is smooth."""
ROUNDS = 4
BLOCK = 1024


@dataclass(frozen=True)
class Pair:
    """Two photos, by their numbers, one of which may be an edited copy of the other."""

    first: int
    second: int
    turn: int
    """Which of `turned`'s orientations of the second lies on the first."""
    scale: float
    """Size of the first's content in the second, before anything is fitted."""


@dataclass(frozen=True)
class Copy:
    """Two photos that are one, but for an edit."""

    first: int
    second: int
    likeness: float
    """Correlation once one lies on the other, `SAME_LIKENESS` to 1."""


def detail(image: Image.Image) -> Details:
    """A picture as small as edited copies are still told by: uint8 (32, 32, 3)."""
    size = (DETAIL_PX, DETAIL_PX)
    return np.asarray(image.resize(size, Image.Resampling.BOX, reducing_gap=2.0))


def turned(pictures: Pictures) -> list[Pictures]:
    """Square pictures (n, px, px, channels) in the eight ways to turn and mirror them."""
    upright = (pictures, pictures.transpose(0, 2, 1, 3))
    return [
        picture[:, :: 1 - 2 * flip, :: 1 - 2 * mirror]
        for picture in upright
        for flip in (0, 1)
        for mirror in (0, 1)
    ]


def edited_copies(details: Details, roots: Numbers) -> list[Copy]:
    """Find pairs of edited copies.

    Args:
        details: uint8 (n, 32, 32, 3), of each photo what `detail` gives.
        roots: (n,), the same number for photos that are known to show one picture. In a group as
            large as a fixed camera's nobody looks for edits.

    Returns:
        So many pairs that all copies of a photo hang together with its group.
    """
    small = halved(details)
    looks = _Looks.of(small)
    rows = np.flatnonzero(np.bincount(roots)[roots] <= max(12, len(roots) // 10))
    found: list[Copy] = []
    for _ in range(ROUNDS):
        new = _confirmed((details, small), (details, small), looks.nearest(rows, roots))
        if not new:
            break
        found += new
        ends = np.array([(copy.first, copy.second) for copy in new]).T
        roots = joined(roots, ends)
        # Only those whose nearest belongs to them now may have another copy farther off.
        rows = rows[np.isin(roots[rows], roots[ends[0]])]
    return found


def copies_of(new: Details, known: Details) -> list[Copy]:
    """Of each of the `new` photos the one of `known` that it is an edited copy of, if any is."""
    small, small_known = halved(new), halved(known)
    looks = _Looks.of(np.concatenate([small, small_known]))
    count = len(new)
    sides = tuple((turn, scale, look[count:]) for turn, scale, look in looks.sides)
    with threadpool_limits(1, "blas"):
        pairs = _Looks(looks.whole[:count], sides).nearest(np.arange(count), None)
        return _confirmed((new, small), (known, small_known), pairs)


def joined(roots: Numbers, pairs: Numbers) -> Numbers:
    """Groups made one where a pair connects them.

    Args:
        roots: (n,), the same number for photos of one group.
        pairs: (2, m), numbers of photos.

    Returns:
        (n,), of each photo the first one of its group.
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


@dataclass(frozen=True)
class _Looks:
    """Of each photo, what its whole and its middle look like from far away."""

    whole: Floats
    """(n, k), the dot product of two is about their correlation."""
    sides: tuple[tuple[int, float, Floats], ...]
    """Orientation, scale and looks (n, k) to compare with."""

    @classmethod
    def of(cls, pictures: Floats) -> "_Looks":
        whole, middle = (_windowed(_shrunk(pictures, share)) for share in (1.0, CENTRE))
        flat = whole.reshape(len(whole), -1)
        basis = np.linalg.eigh(flat.T @ flat)[1][:, -LOOK_NUMBERS:]
        sides = [
            (turn, scale, _projected(look, basis))
            for scale, looks in ((1.0, whole), (CENTRE, middle))
            for turn, look in enumerate(turned(looks))
        ]
        return cls(_projected(whole, basis), tuple(sides))

    def nearest(self, rows: Numbers, roots: Numbers | None) -> list[Pair]:
        """For each of `rows` the photo most like it outside its group, if any is like it."""
        found: dict[object, Pair] = {}
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            for pair, likeness in self._best(block, None if roots is None else _own(block, roots)):
                if likeness >= WEAK_LIKENESS:
                    ends = (pair.first, pair.second)
                    found.setdefault(frozenset(ends) if roots is not None else ends, pair)
        return list(found.values())

    def _best(
        self, block: Numbers, own: tuple[Numbers, Numbers] | None
    ) -> Iterator[tuple[Pair, np.float32]]:
        best = np.full(len(block), -1, np.float32)
        column, side = np.zeros((2, len(block)), np.int64)
        lines = np.arange(len(block))
        for number, (_, _, looks) in enumerate(self.sides):
            like = self.whole[block] @ looks.T
            if own is not None:
                like[own] = -1
            highest = like.argmax(axis=1)
            value = like[lines, highest]
            better = value > best
            best[better], column[better], side[better] = value[better], highest[better], number
        for i, j, number, value in zip(block, column, side, best, strict=True):
            yield Pair(int(i), int(j), *self.sides[number][:2]), value


def _own(block: Numbers, roots: Numbers) -> tuple[Numbers, Numbers]:
    """Lines of the block and columns of all photos that are one group."""
    order = np.argsort(roots, kind="stable")
    starts = np.searchsorted(roots[order], roots[block])
    sizes = np.searchsorted(roots[order], roots[block], "right") - starts
    lines = np.repeat(np.arange(len(block)), sizes)
    offsets = np.arange(len(lines)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return lines, order[np.repeat(starts, sizes) + offsets]


def _shrunk(pictures: Floats, share: float) -> Floats:
    """The middle `share` of each side of the pictures, as (n, `LOOK_PX`, `LOOK_PX`, 3)."""
    px = pictures.shape[1]
    side = share * px / LOOK_PX
    starts = (1 - share) / 2 * px + np.arange(LOOK_PX)[:, None] * side
    pixels = np.arange(px)
    # Each square is the mean of the pixels that it covers, by how much of them.
    cover = (np.minimum(starts + side, pixels + 1) - np.maximum(starts, pixels)).clip(0) / side
    weights = cover.astype(np.float32)
    return laid_out(pictures, weights, weights).reshape(-1, LOOK_PX, LOOK_PX, 3)


def _windowed(pictures: Floats) -> Floats:
    """Each channel without its mean, the edges weighing little."""
    place = (np.arange(LOOK_PX) + 0.5) / LOOK_PX * 2 - 1
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * LOOK_WIDTH**2)).astype(np.float32)
    window = window[:, :, None]
    means = (pictures * window).sum((1, 2), keepdims=True) / window.sum()
    windowed: Floats = (pictures - means) * np.sqrt(window)
    return windowed


def _projected(looks: Floats, basis: Floats) -> Floats:
    """Looks of length 1, (n, `LOOK_NUMBERS`)."""
    values = looks.reshape(len(looks), -1) @ basis
    projected: Floats = values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-3)
    return projected


def _confirmed(
    firsts: tuple[Details, Floats], seconds: tuple[Details, Floats], pairs: Sequence[Pair]
) -> list[Copy]:
    """Those of the pairs whose pictures, given whole and halved, lie on each other."""
    if not pairs:
        return []
    maps = np.eye(2, 3, dtype=np.float32) * np.array([[[p.scale]] for p in pairs], np.float32)
    laid = _laid_ready(firsts[1], seconds[1], pairs)
    maps, likeness, _ = fitted(*laid, maps, COARSE_POINTS, COARSE_STEPS)
    kept = np.flatnonzero(likeness >= COARSE_LIKENESS)
    pairs = [pairs[i] for i in kept.tolist()]
    if not pairs:
        return []
    laid = _laid_ready(firsts[0], seconds[0], pairs)
    _, likeness, structure = fitted(*laid, maps[kept], FINE_POINTS, FINE_STEPS)
    same = np.flatnonzero((likeness >= SAME_LIKENESS) & (structure >= SAME_STRUCTURE))
    return [Copy(pairs[i].first, pairs[i].second, float(likeness[i])) for i in same.tolist()]


def _laid_ready(
    firsts: Pictures, seconds: Pictures, pairs: Sequence[Pair]
) -> tuple[Floats, Floats]:
    """Both pictures of each pair, the second turned as the first is."""
    first = firsts[[pair.first for pair in pairs]].astype(np.float32)
    second = np.empty_like(first)
    turns = np.array([pair.turn for pair in pairs], np.int64)
    for turn, picture in enumerate(turned(seconds[[pair.second for pair in pairs]])):
        second[turns == turn] = picture[turns == turn]
    return first, second
