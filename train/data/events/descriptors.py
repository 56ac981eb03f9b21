"""Coarse descriptors of pictures, and which are most alike among them.

A descriptor is the middle of a picture in 8 by 8 squares, of which the main components are kept. It
is compared in eight orientations and two scales, so edited copies are among the most similar.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from train.data.events.overlay import Floats, laid_out
from train.data.looks import Bytes

Numbers = npt.NDArray[np.int64]
Pictures = TypeVar("Pictures", Bytes, Floats)

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
BLOCK = 1024


@dataclass(frozen=True)
class Pairs:
    """Photos, by index, of which one may be an edited copy of the other."""

    first: Numbers
    """(n,)."""
    second: Numbers
    """(n,)."""
    turn: Numbers
    """(n,), which of `turned`'s orientations of the second lies on the first."""
    scale: npt.NDArray[np.float64]
    """(n,), size of the first photo's content in the second, before fitting."""

    @classmethod
    def joined(cls, parts: Sequence["Pairs"]) -> "Pairs":
        """All of them, in order."""
        columns = ([part.first, part.second, part.turn, part.scale] for part in parts)
        none = [np.empty(0, np.int64)] * 3 + [np.empty(0)]
        return cls(*map(np.concatenate, zip(none, *columns, strict=True)))

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: slice | Numbers) -> "Pairs":
        return Pairs(self.first[rows], self.second[rows], self.turn[rows], self.scale[rows])

    def once(self) -> "Pairs":
        """Of two with the same ends the one that comes first."""
        ends = np.sort(np.stack([self.first, self.second]), axis=0)
        keys = ends[0] * (int(ends.max(initial=0)) + 1) + ends[1]
        return self[np.sort(np.unique(keys, return_index=True)[1])]


def turned(pictures: Pictures) -> list[Pictures]:
    """Square pictures (n, px, px, channels) in the eight ways to turn and mirror them."""
    upright = (pictures, pictures.transpose(0, 2, 1, 3))
    return [
        picture[:, :: 1 - 2 * flip, :: 1 - 2 * mirror]
        for picture in upright
        for flip in (0, 1)
        for mirror in (0, 1)
    ]


@dataclass(frozen=True)
class Descriptors:
    """Coarse descriptors of the whole and of the middle of each photo."""

    whole: Floats
    """(n, k); the dot product of two rows is roughly their correlation."""
    sides: tuple[tuple[int, float, Floats], ...]
    """Orientation, scale and descriptors (n, k) to compare with."""

    @classmethod
    def of(cls, pictures: Floats) -> "Descriptors":
        """From pictures (n, px, px, 3), upright."""
        whole, middle = (described(pictures, share) for share in (1.0, CENTRE))
        flat = whole.reshape(len(whole), -1)
        basis = np.linalg.eigh(flat.T @ flat)[1][:, -DESCRIPTOR_SIZE:]
        sides = [
            (turn, scale, projected(descriptor, basis))
            for scale, descriptors in ((1.0, whole), (CENTRE, middle))
            for turn, descriptor in enumerate(turned(descriptors))
        ]
        return cls(projected(whole, basis), tuple(sides))

    def nearest(self, rows: Numbers, roots: Numbers | None) -> Pairs:
        """For each of `rows`, the most similar photo outside its group, if one is similar."""
        found = Pairs.joined([self._best(each, roots) for each in _blocks(rows)])
        return found if roots is None else found.once()

    def _best(self, block: Numbers, roots: Numbers | None) -> Pairs:
        own = None if roots is None else _own(block, roots)
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
        turns, scales = (np.array([each[i] for each in self.sides]) for i in (0, 1))
        found = Pairs(block, column, turns[side], scales[side])
        return found[np.flatnonzero(best >= WEAK_LIKENESS)]


def _blocks(rows: Numbers) -> Iterator[Numbers]:
    for start in range(0, len(rows), BLOCK):
        yield rows[start : start + BLOCK]


def _own(block: Numbers, roots: Numbers) -> tuple[Numbers, Numbers]:
    """Row (in the block) and column (of all photos) of each pair within one group."""
    order = np.argsort(roots, kind="stable")
    starts = np.searchsorted(roots[order], roots[block])
    sizes = np.searchsorted(roots[order], roots[block], "right") - starts
    lines = np.repeat(np.arange(len(block)), sizes)
    offsets = np.arange(len(lines)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return lines, order[np.repeat(starts, sizes) + offsets]


def described(pictures: Floats, share: float) -> Floats:
    """Descriptors (n, 8, 8, 3) of the middle `share` of each side, all of their components."""
    return _windowed(_shrunk(pictures, share))


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


def projected(descriptors: Floats, basis: Floats) -> Floats:
    """Descriptors of length 1, (n, `DESCRIPTOR_SIZE`)."""
    values = descriptors.reshape(len(descriptors), -1) @ basis
    projected: Floats = values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-3)
    return projected
