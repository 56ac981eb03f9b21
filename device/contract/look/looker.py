"""Looking at the frames of one camera, one after the other."""

from collections.abc import Callable, Sequence

import numpy as np

from device.contract.arrays import Pixels
from device.contract.look import box, change, light, place
from device.contract.look.cells import FULL, Cells, Grid, Sampled
from device.contract.look.change import Background, Mask, Plane
from device.contract.look.known import UPSET, Known
from device.contract.look.light import ONE
from device.contract.look.place import Look
from device.contract.look.rules import LookRules, Outcome, Seen

Allowed = Callable[[Grid], Mask]
MOST_STEPS = 8
"""Frames that come rarely move a background by at most this much at once."""
HURRY, HURRY_MS = 4, 15_000
"""After a nudge, which is no whole number of cells, the background steps faster for a while."""
LESSONS = 16
"""A background is learned from about so many pictures."""
RECENT_STEP = 8
"""How far the fast background moves in a tick."""
SPREAD_UP, SPREAD_DOWN = 72, 4
"""Steps of the spread in a tick: a quantile of 18 in 19."""
STILL_PERCENT = 90
STILL = 36
"""A cell stands still if its colours differ by less than this from those of the last seconds."""
GAIN_KEPT = (ONE * 2 // 5, ONE * 5 // 2)
"""Outside of this light the background takes on the light that there is."""


class Looker:
    """Knows the background of one camera; not safe for two threads at once.

    It takes frames of any size, and learns from the beginning where the size changes. What it finds
    depends on frames and times alone.
    """

    def __init__(
        self,
        rules: LookRules,
        background: Background | None = None,
        others: Sequence[Background] = (),
    ) -> None:
        """Begin with learning, or with what is known of the place.

        Args:
            rules: of looking.
            background: from `place.of_pictures` or `background` of another run; forgotten if it is
                of another shape than the first frame's.
            others: `others` of that run.
        """
        self._rules = rules
        self._grid: Grid | None = None
        self._allowed: Mask | None = None
        self._allowed_in: Allowed | None = None
        self._background = background
        self._lessons: list[Cells] = []
        self._next_lesson_ms = self._learned_from_ms = self._tick_ms = 0
        self._upset_ms: int | None = None
        self._known = Known(rules, others)
        self._hurried_until_ms = 0
        self._held: Mask | None = None

    @property
    def background(self) -> Background | None:
        """What is known of the place; None while it is learned."""
        return self._background

    @property
    def others(self) -> tuple[Background, ...]:
        """What it had learned of the place before, as by infrared light; the latest first."""
        return self._known.backgrounds

    def look_only(self, allowed_in: Allowed | None) -> None:
        """Find subjects only in allowed places; what is known of the background stays.

        Args:
            allowed_in: returns the cells (rows, columns) of a grid in which subjects may be; None:
                anywhere.
        """
        self._allowed_in = allowed_in
        self._allowed = allowed_in(self._grid) if allowed_in and self._grid else None

    def see(self, frame: Pixels | Sampled, at_ms: int) -> Outcome:
        """Look at the next frame.

        Args:
            frame: uint8 (h, w, 3) in R, G, B order, any size, or what gives its pixels.
            at_ms: when it was taken, by any clock that does not go backwards.
        """
        height_px, width_px = frame.shape[:2]
        grid = self._grid
        if grid is None or (grid.width_px, grid.height_px) != (width_px, height_px):
            grid = Grid.of(width_px, height_px, self._rules)
            self._begin(grid, at_ms)
        picture = grid.cells(frame)
        if self._background is None:
            return self._learn(picture, at_ms)
        found = place.look(picture, self._background, self._rules, self._allowed)
        if found.seen in UPSET:
            found = self._as_known(found, picture, at_ms)
        if found.seen in UPSET:
            return self._upset(found, picture, at_ms)
        self._upset_ms = None
        ticks = (at_ms - self._tick_ms) // self._rules.tick_ms
        if ticks > 0:
            self._tick_ms += ticks * self._rules.tick_ms
            self._ticks += ticks
            self._background = self._step(self._background, picture, found, ticks)
        return self._outcome(found, grid)

    def _begin(self, grid: Grid, at_ms: int) -> None:
        known = self._background
        is_first, self._grid = self._grid is None, grid
        self.look_only(self._allowed_in)
        if not is_first or known is None or known.spread.shape != grid.shape:
            self._known = Known(self._rules)
            self._forget(at_ms)
        else:
            self._start_from(known, at_ms)

    def _forget(self, at_ms: int) -> None:
        self._background, self._lessons, self._upset_ms = None, [], None
        self._learned_from_ms = self._next_lesson_ms = at_ms

    def _start_from(self, background: Background, at_ms: int) -> None:
        self._background, self._tick_ms = background, at_ms
        shape = background.spread.shape
        self._ticks = self._still_ticks = 0
        self._held, self._held_since = None, np.zeros(shape, np.int32)
        self._changed, self._recent = np.zeros(shape, bool), background.cells

    def _learn(self, picture: Cells, at_ms: int) -> Outcome:
        if at_ms >= self._next_lesson_ms:
            self._lessons.append(picture)
            self._next_lesson_ms = at_ms + self._rules.learn_ms // LESSONS
        long_enough = at_ms - self._learned_from_ms >= self._rules.learn_ms
        if long_enough and len(self._lessons) >= self._rules.least_pictures:
            background = place.of_pictures(self._lessons, visited=False)
            if not place.stood_still(self._lessons, background, self._rules):
                self._forget(at_ms)
                return Outcome(Seen.MOVED)
            self._start_from(background, at_ms)
            self._lessons = []
        return Outcome(Seen.LEARNING)

    def _as_known(self, found: Look, picture: Cells, at_ms: int) -> Look:
        """Look again with what was known before, and as if the camera had been nudged."""
        assert self._background is not None
        fitting = self._known.fitting(picture, self._allowed)
        if fitting is None:
            fitting = self._known.nudged(picture, self._background, self._allowed)
            if fitting is None:
                return found
            self._hurried_until_ms = at_ms + HURRY_MS
        background, found = fitting
        self._known.add(self._background)
        self._start_from(background, at_ms)
        return found

    def _upset(self, found: Look, picture: Cells, at_ms: int) -> Outcome:
        """The whole picture is another one; learn from the beginning if it stays so."""
        if self._upset_ms is None:
            self._upset_ms = at_ms
        elif at_ms - self._upset_ms >= self._rules.settle_ms:
            if self._background is not None:
                self._known.add(self._background)
            self._forget(at_ms)
            self._learn(picture, at_ms)
        return Outcome(found.seen, (), _permille(found))

    def _outcome(self, found: Look, grid: Grid) -> Outcome:
        subjects = found.subjects[: self._rules.most_boxes]
        boxes = tuple(box.square(subject, grid, self._rules) for subject in subjects)
        return Outcome(found.seen, boxes, _permille(found))

    def _step(self, known: Background, picture: Cells, found: Look, ticks: int) -> Background:
        """Bring everything that is known up to a new tick."""
        held, before = _around(found), self._changed
        steps = min(ticks, MOST_STEPS)
        if self._tick_ms < self._hurried_until_ms:
            steps *= HURRY
        self._recent = _towards(self._recent, picture, RECENT_STEP * steps)
        cells = _stepped(known.cells, picture, found, held, steps)
        if held is None:
            self._still_ticks = 0
        elif change.anywhere(taken := self._belonging(picture, found, held, ticks)):
            cells = np.where(taken, light.unlit(picture, found.of_light), cells)
            self._held_since[taken] = self._ticks
        self._held, self._changed = held, found.changed
        # What was not here a tick ago is no subject that rests: rain, a leaf.
        resting = None if held is None else held & before & found.changed
        return Background(cells, _spread(known.spread, found.smoothed, resting))

    def _belonging(self, picture: Cells, found: Look, held: Mask, ticks: int) -> Mask:
        """The cells that belong to the background from now on."""
        rules = self._rules
        # Not from the last frame on: the camera may have been off for hours.
        begun = held if self._held is None else held > self._held
        np.copyto(self._held_since, self._ticks, where=begun)
        long_ticks = -(-1000 * rules.absorb_s // rules.tick_ms)
        absorbed = held & (self._held_since <= self._ticks - long_ticks)
        still = change.difference(picture, self._recent) < STILL
        of_held = int(np.count_nonzero(held))
        is_still = 100 * int(np.count_nonzero(still & held)) >= STILL_PERCENT * of_held > 0
        self._still_ticks = self._still_ticks + ticks if is_still else 0
        if self._still_ticks * rules.tick_ms >= rules.ghost_ms:
            self._still_ticks = 0
            for subject in found.subjects:
                if _is_uncovered(subject.mask, picture, found.expected):
                    absorbed = absorbed | change.grown(subject.mask)
        return absorbed


def _stepped(cells: Cells, picture: Cells, found: Look, held: Mask | None, steps: int) -> Cells:
    """The slow background: an approximate median (McFarlane and Schofield 1995)."""
    low, high = GAIN_KEPT
    if held is None and not low <= int(found.of_light[1, 0, 0]) <= high:
        cells = found.expected
    # Of what is overexposed nobody knows how bright it is.
    unknown = picture >= light.OVEREXPOSED
    if found.uneven is not None and change.anywhere(found.uneven):
        unknown |= (np.abs(found.apart) <= found.expected >> light.EXACT_BITS) & found.uneven
    if held is not None:
        unknown |= held
    moved = found.apart.clip(-steps, steps)
    np.copyto(moved, 0, where=unknown)
    moved += cells
    return moved.clip(0, FULL, out=moved)


def _spread(spread: Plane, smoothed: Plane, resting: Mask | None) -> Plane:
    """A high quantile by steps up and down, but not where a subject rests."""
    moved = (smoothed > spread) * np.int16(SPREAD_UP + SPREAD_DOWN)
    moved += spread
    moved -= SPREAD_DOWN
    moved.clip(0, place.MOST_SPREAD, out=moved)
    if resting is not None:
        np.copyto(moved, spread, where=resting)
    return moved


def _around(found: Look) -> Mask | None:
    """The cells of which nothing is learned: subjects with all that they enclose, and neighbours.

    Inside of a subject there may be cells of the background's colour; learned from, they would
    drift to the subject's, and stay behind when it leaves.
    """
    if not found.subjects:
        return None
    held = found.changed.copy()
    for subject in found.subjects:
        held[subject.upper : subject.lower, subject.left : subject.right] = True
    return change.grown(held)


def _is_uncovered(mask: Mask, picture: Cells, expected: Cells) -> bool:
    """Whether what has changed has no edge of its own around it.

    Then the background shows a visitor who has left, or there is a patch of light. Edges were 0.9
    to 12 times as strong in the background where a visitor had left, and at most 0.71 times where
    one was there.
    """
    now, usual = (change.step_across(p, mask) for p in (picture, expected))
    return 5 * usual > 4 * now


def _towards(values: Cells, goal: Cells, most: int) -> Cells:
    return np.asarray(values + (goal - values).clip(-most, most), np.int16)


def _permille(found: Look) -> int:
    return 1000 * found.count // found.changed.size
