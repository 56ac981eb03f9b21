"""The background of a place from pictures of it, and where something is in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from device.contract.look import box, change, light, sway
from device.contract.look.cells import FULL, Cells
from device.contract.look.change import Background, Plane
from device.contract.look.light import Gains
from device.contract.look.rules import LookRules, Seen

USUAL_OF_TEN = {True: 5, False: 9}
"""Of ten pictures so many differ from the background by no more than the spread: fewer if visitors
are in many of them."""
SCATTERED = 3
"""Subjects have at least one in so many of all changed cells; drops and leaves are scattered."""
MOST_SPREAD = 255 * change.SMOOTHED


@dataclass(frozen=True)
class Look:
    """What one picture shows before a background."""

    seen: Seen
    """NOTHING, SOMETHING, LIGHT or MOVED."""
    subjects: tuple[box.Subject, ...]
    changed: change.Mask
    count: int
    """Of changed cells."""
    smoothed: Plane
    """How much each cell differs."""
    of_light: Gains
    expected: Cells
    """The background under the picture's light."""
    apart: Cells
    """What is seen less what is expected."""
    uneven: change.Mask | None
    """Which cells have a light of their own; None if nothing was to be told from light."""


def of_pictures(pictures: Sequence[Cells], *, visited: bool) -> Background:
    """The median of pictures of one place, once their light is divided out.

    Args:
        pictures: at least one, all of one shape. What visits must be elsewhere, or absent, in more
            than half of them.
        visited: whether something is in many of them, as in photos that were kept.
    """
    sums = [int(picture.sum(dtype=np.int64)) for picture in pictures]
    middle = pictures[sums.index(sorted(sums)[len(sums) // 2])]
    first = _median([light.unlit(p, light.gains(p, middle)) for p in pictures])
    # Once more: the middle picture itself may show a visitor.
    even = [_evened(picture, first) for picture in pictures]
    cells = _median(even)
    apart = np.stack([change.smoothed(change.difference(picture, cells)) for picture in even])
    apart.partition(rank := (len(even) - 1) * USUAL_OF_TEN[visited] // 10, axis=0)
    return Background(cells, np.minimum(apart[rank], MOST_SPREAD))


def stood_still(pictures: Sequence[Cells], background: Background, rules: LookRules) -> bool:
    """Whether pictures show one place: at least half of them have the edges of their median.

    A camera that pans gives a median without a thing that is really there. A plain place tells
    nothing, and is believed.
    """
    if change.is_plain(background.cells):
        return True
    same = [change.shows_the_same(picture, background.cells, rules) for picture in pictures]
    return 2 * sum(same) >= len(same)


def look(
    picture: Cells,
    background: Background,
    rules: LookRules,
    allowed: change.Mask | None = None,
) -> Look:
    """Find what stands before a background.

    Args:
        picture: of the same shape as the background.
        background: of the place.
        rules: of looking.
        allowed: where subjects may be; anywhere if not given. Light and moves are told by all.
    """
    of_light = light.gains(picture, background.cells)
    expected = light.lit(background.cells, of_light)
    least = change.thresholds(background.spread, int(of_light.max()), rules)
    apart = picture - expected
    differs = change.in_sum(apart)
    uneven: change.Mask | None = None
    # Its neighbours only add to how much a cell differs.
    surely = np.count_nonzero(differs > least) >= rules.least_cells
    if surely or (view := _View.of(differs, least)).count >= rules.least_cells:
        # Perhaps only a shadow: most frames need not be looked at that closely.
        expected, uneven = _under_local_light(expected, picture, background)
        apart = picture - expected
        view = _View.of(change.in_sum(apart), least)
    seen, found = _judged(picture, background, view, rules, allowed)
    if found and not (found := _steady(found, picture, expected, background, rules)):
        seen = Seen.NOTHING
    changed, count, smoothed = view.changed, view.count, view.smoothed
    return Look(seen, found, changed, count, smoothed, of_light, expected, apart, uneven)


def _under_local_light(
    expected: Cells, picture: Cells, background: Background
) -> tuple[Cells, change.Mask]:
    """What is expected under the light of regions, and which cells have a light of their own."""
    local = light.local_gains(picture, expected, background.over)
    uneven: change.Mask = np.abs(local - light.ONE) > light.UNEVEN
    return _overexposed(picture, light.lit(expected, local), background), uneven


def _overexposed(picture: Cells, expected: Cells, background: Background) -> Cells:
    """What is expected, with the picture itself where nobody knows how bright it should be."""
    if background.is_over:
        # Overexposed where it was learned: it may be as bright as it likes now.
        np.maximum(expected, picture, out=expected, where=background.over)
    if change.anywhere(now := picture >= light.OVEREXPOSED):
        # Beside what is overexposed, one of a cell's two samples may be cut off.
        beside = change.grown_each(now)
        np.minimum(expected, picture, out=expected, where=beside & (picture >= FULL // 2))
    return expected


@dataclass(frozen=True)
class _View:
    """How a picture differs from what is expected."""

    smoothed: Plane
    least: Plane
    changed: change.Mask
    count: int
    """Of changed cells."""

    @classmethod
    def of(cls, differs: Plane, least: Plane) -> "_View":
        smoothed = change.smoothed(differs)
        changed = smoothed > least
        return cls(smoothed, least, changed, int(np.count_nonzero(changed)))


def _judged(
    picture: Cells,
    background: Background,
    view: _View,
    rules: LookRules,
    allowed: change.Mask | None,
) -> tuple[Seen, tuple[box.Subject, ...]]:
    if view.count < rules.least_cells:
        return Seen.NOTHING, ()
    too_large = 100 * view.count > rules.most_percent * view.changed.size
    if too_large or change.is_widespread(view.changed, view.count, rules):
        same = change.shows_the_same(picture, background.cells, rules)
        return (Seen.LIGHT if same else Seen.MOVED), ()
    changed = view.changed if allowed is None else view.changed & allowed
    found = tuple(box.subjects(view.smoothed, view.least, changed, rules))
    count = view.count if allowed is None else int(np.count_nonzero(changed))
    if SCATTERED * sum(subject.cells for subject in found) < count:
        return Seen.NOTHING, ()
    return (Seen.SOMETHING if found else Seen.NOTHING), found


def _steady(
    found: tuple[box.Subject, ...],
    picture: Cells,
    expected: Cells,
    background: Background,
    rules: LookRules,
) -> tuple[box.Subject, ...]:
    """Without leaves that only sway further than before."""
    return tuple(
        subject
        for subject in found
        if not sway.is_swaying(subject.mask, picture, expected, background.spread, rules)
    )


def _evened(picture: Cells, like: Cells) -> Cells:
    of_light = light.gains(picture, like)
    over = like >= light.OVEREXPOSED
    local = light.local_gains(picture, light.lit(like, of_light), over)
    return light.unlit(light.unlit(picture, of_light), local)


def _median(pictures: Sequence[Cells]) -> Cells:
    stack = np.stack(pictures)
    stack.partition(middle := len(pictures) // 2, axis=0)
    # A copy: a view would keep all of them in memory.
    return np.array(stack[middle], np.int16)
