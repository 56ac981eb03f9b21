"""Which pictures come from one camera that stands still: those that show the same edges.

A visitor hides some edges and brings some of its own; light changes how strong edges are, not which
way they rise. In pictures of two places half of the edges rise the same way by chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device.contract.look import change, place
from device.contract.look.cells import Cells
from device.contract.look.change import STRONG_EDGE, Background, Mask
from device.contract.look.rules import LookRules, Seen

LEAST_PICTURES = 9
"""So many pictures of a camera show what is always there: one, and eight others."""
SAMPLE = 256
"""Cameras are searched for among so many pictures at a time, so that time grows with the pictures
and not with their square."""
MOST_OF_BACKGROUND = 64
"""More pictures make a background slower and no better."""
LEAST_ALIKE = 3
"""So many pictures of a sample must be alike before a background is made of them."""
ALIKE_PERCENT = 62
"""Two pictures may be of one camera if this share of the edges of each rises the same way in the
other: halfway from chance to what a picture and a background share."""
LEAST_COLOUR = 40
"""A cell is colourful if its colours, each 0 to 510, are this far apart ..."""
LEAST_COLOURFUL_PERCENT = 5
"""... and a picture is grey if fewer of its cells are: a camera sees by infrared light."""

Numbers = npt.NDArray[np.int64]


def of_one_camera(pictures: Sequence[Cells], rules: LookRules) -> list[list[int]]:
    """Group pictures by the camera that took them, without knowing anything else of them.

    A camera that was moved counts as two, and so does one that sees in colour by day and by
    infrared light at night: each has a background of its own.

    Args:
        pictures: all of one shape.
        rules: of looking.

    Returns:
        The indices of the pictures of each camera, in order, at least `LEAST_PICTURES`. Pictures
        without a camera that stands still are in none.
    """
    grey = np.array([_is_grey(picture) for picture in pictures], bool)
    parts = (np.flatnonzero(grey), np.flatnonzero(~grey))
    return sorted(members for part in parts for members in _of_one_camera(pictures, part, rules))


def _of_one_camera(
    pictures: Sequence[Cells], left: Numbers, rules: LookRules
) -> Iterator[list[int]]:
    while len(left) >= LEAST_PICTURES:
        before = len(left)
        for background in _backgrounds(pictures, left):
            members = [i for i in left.tolist() if _is_before(pictures[i], background, rules)]
            if len(members) >= LEAST_PICTURES:
                yield members
                left = left[~np.isin(left, members)]
        if len(left) == before:
            break


def thinned(rows: Sequence[int]) -> Sequence[int]:
    """At most `MOST_OF_BACKGROUND` of them, evenly."""
    return rows[:: max(1, -(-len(rows) // MOST_OF_BACKGROUND))]


def _backgrounds(pictures: Sequence[Cells], left: Numbers) -> Iterator[Background]:
    """Of pictures in a sample that are alike; the last one of all of them.

    That one is for cameras that see hardly an edge, such as a white wall. Of a mixture of places it
    shows none.
    """
    sample = left[:: -(-len(left) // SAMPLE)]
    alike = _alike([pictures[i] for i in sample])
    free = np.ones(len(sample), bool)
    for leader in np.argsort(-alike.sum(axis=1), kind="stable").tolist():
        near = np.flatnonzero(alike[leader] & free)
        if free[leader] and len(near) >= LEAST_ALIKE:
            free[near] = False
            yield _background(pictures, sample[near])
    yield _background(pictures, sample)


def _background(pictures: Sequence[Cells], rows: Numbers) -> Background:
    return place.of_pictures([pictures[i] for i in thinned(rows.tolist())], visited=True)


def _is_grey(picture: Cells) -> bool:
    """Whether it has hardly a colour, as by infrared light."""
    colourful = int(np.count_nonzero(np.ptp(picture, axis=0) >= LEAST_COLOUR))
    return 100 * colourful < LEAST_COLOURFUL_PERCENT * int(picture[0].size)


def _is_before(picture: Cells, background: Background, rules: LookRules) -> bool:
    if not change.shows_the_same(picture, background.cells, rules):
        return False
    return place.look(picture, background, rules).seen in (Seen.NOTHING, Seen.SOMETHING)


def _alike(pictures: Sequence[Cells]) -> Mask:
    """(n, n): whether edges of the one rise the same way in the other, and the other way round."""
    edges = [_Edges.of(picture) for picture in pictures]
    same = np.array([[one.are_in(other) for other in edges] for one in edges], bool)
    return np.asarray(same & same.T)


@dataclass(frozen=True)
class _Edges:
    """Which way a picture rises from cell to cell, as the bits of long integers."""

    up: int
    down: int
    strong_up: int
    strong_down: int
    strong: int
    """How many are strong."""

    @classmethod
    def of(cls, picture: Cells) -> "_Edges":
        grey = picture.sum(axis=0, dtype=np.int32)
        rises = np.concatenate([np.diff(grey, axis=axis).ravel() for axis in (0, 1)])
        up, down = rises >= STRONG_EDGE, rises <= -STRONG_EDGE
        strong = int(np.count_nonzero(up | down))
        return cls(_bits(rises > 0), _bits(rises < 0), _bits(up), _bits(down), strong)

    def are_in(self, other: "_Edges") -> bool:
        """Whether enough of the strong ones rise the same way in another picture."""
        same = (self.strong_up & other.up).bit_count() + (self.strong_down & other.down).bit_count()
        return 100 * same >= ALIKE_PERCENT * self.strong > 0


def _bits(mask: Mask) -> int:
    return int.from_bytes(np.packbits(mask).tobytes(), "little")
