"""Copies that somebody edited: cropped, framed, slightly rotated, also mirrored or turned.

Data sets are often exported with such copies, and training mirrors its photos: a test photo that is
a copy of a training photo tests nothing. A copy is searched for by a coarse descriptor of its
middle, in eight orientations and two scales, and confirmed by laying one picture over the other: an
affine map is fitted (Baker and Matthews 2004, "Lucas-Kanade 20 Years On", section 3.2). Then the
fine structure must agree, too, which it never does for two flowers of one kind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from threadpoolctl import threadpool_limits

from train.data.events.overlay import Floats, fitted, halved, laid_out

Numbers = npt.NDArray[np.int64]
Details = npt.NDArray[np.uint8]
Pictures = TypeVar("Pictures", Details, Floats)

DETAIL_PX = 32
DESCRIPTOR_PX = 8
DESCRIPTOR_WINDOW = 0.6
"""Standard deviation of a descriptor's window, in half picture widths: edits mostly change the
edges."""
DESCRIPTOR_SIZE = 48
"""Principal components of a descriptor that are compared."""
CENTRE = 0.8
"""Share of each side: the middle of a picture is compared with the whole of a cropped one."""
WEAK_LIKENESS = 0.75
"""Of descriptors. Fewer than 1 in 20 copies fall below it, and half of all photos have no other
photo above it."""
COARSE_POINTS, FINE_POINTS = 8, 20
COARSE_STEPS, FINE_STEPS = 4, 5
COARSE_LIKENESS = 0.9
SAME_LIKENESS = 0.9
"""Correlation of a template and what it lies on. Together with `SAME_STRUCTURE`: one photo."""
SAME_STRUCTURE = 0.88
"""The same without the smooth part of the pictures."""
ROUNDS = 4
BLOCK = 1024


@dataclass(frozen=True)
class Pair:
    """Two photos, by index, one of which may be an edited copy of the other."""

    first: int
    second: int
    turn: int
    """Which of `turned`'s orientations of the second lies on the first."""
    scale: float
    """Size of the first photo's content in the second, before fitting."""


@dataclass(frozen=True)
class Copy:
    """Two photos that are the same except for an edit."""

    first: int
    second: int
    likeness: float
    """Correlation once one is laid on the other, `SAME_LIKENESS` to 1."""


def detail(image: Image.Image) -> Details:
    """A picture just large enough to recognise edited copies: uint8 (32, 32, 3)."""
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
        details: uint8 (n, 32, 32, 3), the result of `detail` for each photo.
        roots: (n,), the same number for photos that are known to show one picture. No
            edits are searched for in a group as large as a fixed camera's.

    Returns:
        Enough pairs to connect all copies of a photo with its group.
    """
    small = halved(details)
    descriptors = _Descriptors.of(small)
    rows = np.flatnonzero(np.bincount(roots)[roots] <= max(12, len(roots) // 10))
    found: list[Copy] = []
    for _ in range(ROUNDS):
        new = _confirmed((details, small), (details, small), descriptors.nearest(rows, roots))
        if not new:
            break
        found += new
        ends = np.array([(copy.first, copy.second) for copy in new]).T
        roots = joined(roots, ends)
        # Only a photo whose nearest one has joined its group may have another copy farther off.
        rows = rows[np.isin(roots[rows], roots[ends[0]])]
    return found


def copies_of(new: Details, known: Details) -> list[Copy]:
    """For each of the `new` photos, the one of `known` that it is an edited copy of, if any."""
    small, small_known = halved(new), halved(known)
    descriptors = _Descriptors.of(np.concatenate([small, small_known]))
    count = len(new)
    sides = tuple(
        (turn, scale, descriptor[count:]) for turn, scale, descriptor in descriptors.sides
    )
    with threadpool_limits(1, "blas"):
        pairs = _Descriptors(descriptors.whole[:count], sides).nearest(np.arange(count), None)
        return _confirmed((new, small), (known, small_known), pairs)


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


@dataclass(frozen=True)
class _Descriptors:
    """Coarse descriptors of the whole and of the middle of each photo."""

    whole: Floats
    """(n, k); the dot product of two rows is roughly their correlation."""
    sides: tuple[tuple[int, float, Floats], ...]
    """Orientation, scale and descriptors (n, k) to compare with."""

    @classmethod
    def of(cls, pictures: Floats) -> "_Descriptors":
        whole, middle = (_windowed(_shrunk(pictures, share)) for share in (1.0, CENTRE))
        flat = whole.reshape(len(whole), -1)
        basis = np.linalg.eigh(flat.T @ flat)[1][:, -DESCRIPTOR_SIZE:]
        sides = [
            (turn, scale, _projected(descriptor, basis))
            for scale, descriptors in ((1.0, whole), (CENTRE, middle))
            for turn, descriptor in enumerate(turned(descriptors))
        ]
        return cls(_projected(whole, basis), tuple(sides))

    def nearest(self, rows: Numbers, roots: Numbers | None) -> list[Pair]:
        """For each of `rows`, the most similar photo outside its group, if one is similar."""
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
        for number, (_, _, descriptors) in enumerate(self.sides):
            like = self.whole[block] @ descriptors.T
            if own is not None:
                like[own] = -1
            highest = like.argmax(axis=1)
            value = like[lines, highest]
            better = value > best
            best[better], column[better], side[better] = value[better], highest[better], number
        for i, j, number, value in zip(block, column, side, best, strict=True):
            yield Pair(int(i), int(j), *self.sides[number][:2]), value


def _own(block: Numbers, roots: Numbers) -> tuple[Numbers, Numbers]:
    """Row (in the block) and column (of all photos) of each pair within one group."""
    order = np.argsort(roots, kind="stable")
    starts = np.searchsorted(roots[order], roots[block])
    sizes = np.searchsorted(roots[order], roots[block], "right") - starts
    lines = np.repeat(np.arange(len(block)), sizes)
    offsets = np.arange(len(lines)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return lines, order[np.repeat(starts, sizes) + offsets]


def _shrunk(pictures: Floats, share: float) -> Floats:
    """The middle `share` of each side of the pictures: (n, 8, 8, 3), of `DESCRIPTOR_PX`."""
    px = pictures.shape[1]
    side = share * px / DESCRIPTOR_PX
    starts = (1 - share) / 2 * px + np.arange(DESCRIPTOR_PX)[:, None] * side
    pixels = np.arange(px)
    # Each square is the mean of the pixels it covers, weighted by how much it covers of each.
    cover = (np.minimum(starts + side, pixels + 1) - np.maximum(starts, pixels)).clip(0) / side
    weights = cover.astype(np.float32)
    return laid_out(pictures, weights, weights).reshape(-1, DESCRIPTOR_PX, DESCRIPTOR_PX, 3)


def _windowed(pictures: Floats) -> Floats:
    """Each channel without its mean; edges get a low weight."""
    place = (np.arange(DESCRIPTOR_PX) + 0.5) / DESCRIPTOR_PX * 2 - 1
    window = np.exp(-(place[:, None] ** 2 + place**2) / (2 * DESCRIPTOR_WINDOW**2)).astype(
        np.float32
    )
    window = window[:, :, None]
    means = (pictures * window).sum((1, 2), keepdims=True) / window.sum()
    windowed: Floats = (pictures - means) * np.sqrt(window)
    return windowed


def _projected(descriptors: Floats, basis: Floats) -> Floats:
    """Descriptors of length 1, (n, `DESCRIPTOR_SIZE`)."""
    values = descriptors.reshape(len(descriptors), -1) @ basis
    projected: Floats = values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-3)
    return projected


def _confirmed(
    firsts: tuple[Details, Floats], seconds: tuple[Details, Floats], pairs: Sequence[Pair]
) -> list[Copy]:
    """Keep the pairs whose pictures (given in full and in half size) can be laid on each other."""
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
    """Both pictures of each pair, the second turned like the first."""
    first = firsts[[pair.first for pair in pairs]].astype(np.float32)
    second = np.empty_like(first)
    turns = np.array([pair.turn for pair in pairs], np.int64)
    for turn, picture in enumerate(turned(seconds[[pair.second for pair in pairs]])):
        second[turns == turn] = picture[turns == turn]
    return first, second
