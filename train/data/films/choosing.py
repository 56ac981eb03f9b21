"""Which frames of a film are learned from, and where something is in them.

The background is learned from the film's first minute and then followed, as on a device whose
camera has stood there for a while.
"""

import io
import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.look.cells import Cells, Grid
from device.contract.look.change import Background
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Seen
from device.errors import PhotoError
from train.data.films.background import behind
from train.data.films.evenly import evenly
from train.data.films.reading import Shot
from train.data.films.rules import FilmRules

QUALITY = 95
"""Of the JPEGs."""
FLAT = 24
"""Cells, 0 to 510, of a picture of one colour differ by at most this much."""
LEARN_MS = 60_000
"""A film's background is learned from so much of its beginning."""
MOST_UNSTEADY = 0.5
"""If the whole picture is another one in more of the frames, somebody held the camera."""


class Kind(StrEnum):
    """What a film is to learning."""

    SEEN = "seen"
    """Something was seen before a background; its frames have boxes."""
    STILL = "still"
    """Nothing moves before the background; a few frames are taken, whole."""
    HELD = "held"
    """The camera moves, or the film is too short for a background; frames are whole."""


@dataclass(frozen=True)
class Chosen:
    """A frame to learn from."""

    at_ms: int
    """Since the film's first frame."""
    box: Box | None
    """Where something is, in pixels of the frame; None: the frame is whole."""
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True)
class Choice:
    """What was chosen of a film."""

    kind: Kind
    looked_at: int
    """Frames."""
    nothing: int
    """Frames in which nothing was seen."""
    frames: tuple[Chosen, ...]


def choose(shots: Callable[[int], Iterable[Shot]], rules: FilmRules) -> Choice:
    """Choose frames of a film.

    Args:
        shots: gives the film's pictures from its beginning, one in so many ms at most.
        rules: of choosing.

    Raises:
        PhotoError: as reading the film does, or if all of it is of one colour.
    """
    tick_ms = rules.look.tick_ms
    background = _background(shots(tick_ms), rules.look)
    if background is not None:
        found = _looked_at(shots(min(tick_ms, rules.step_ms)), background, rules)
        if found is not None:
            return found
    whole = _Spaced(rules)
    for shot in shots(rules.step_ms):
        whole.offer(shot, None)
    return Choice(Kind.HELD, whole.offered, 0, tuple(whole.chosen))


def _looked_at(shots: Iterable[Shot], background: Background, rules: FilmRules) -> Choice | None:
    """The frames of a camera that stands still; None if it was moved again and again."""
    boxed, whole, seen = _Spaced(rules), _Spaced(rules), Counter[Seen]()
    looker = Looker(rules.look, background)
    for shot in shots:
        outcome = looker.see(shot.pixels, shot.at_ms)
        seen[outcome.seen] += 1
        if outcome.boxes:
            boxed.offer(shot, outcome.boxes[0])
        elif not boxed.chosen:
            whole.offer(shot, None)
    if seen[Seen.MOVED] + seen[Seen.LEARNING] > MOST_UNSTEADY * seen.total():
        return None
    if boxed.chosen:
        return Choice(Kind.SEEN, seen.total(), seen[Seen.NOTHING], tuple(boxed.chosen))
    few = evenly(whole.chosen, rules.most_still)
    return Choice(Kind.STILL, seen.total(), seen[Seen.NOTHING], tuple(few))


class _Spaced:
    """At most so many frames, and so far apart; where there are more, every second one goes."""

    def __init__(self, rules: FilmRules) -> None:
        self._step_ms, self._most = rules.step_ms, rules.most
        self.chosen: list[Chosen] = []
        self.offered = 0

    def offer(self, shot: Shot, box: Box | None) -> None:
        self.offered += 1
        if self.chosen and shot.at_ms < self.chosen[-1].at_ms + self._step_ms:
            return
        self.chosen.append(Chosen(shot.at_ms, box, _jpeg(shot.pixels)))
        if len(self.chosen) > self._most:
            self.chosen, self._step_ms = self.chosen[::2], 2 * self._step_ms


def _background(shots: Iterable[Shot], rules: LookRules) -> Background | None:
    """Of a film's beginning; None if that is too short, or its pictures change their size."""
    lessons: list[Cells] = []
    grids: set[Grid] = set()
    for shot in itertools.takewhile(lambda shot: shot.at_ms <= LEARN_MS, shots):
        grid = Grid.of(shot.pixels.shape[1], shot.pixels.shape[0], rules)
        grids.add(grid)
        lessons.append(grid.cells(shot.pixels))
    if all(int(lesson.max()) - int(lesson.min()) <= FLAT for lesson in lessons):
        raise PhotoError("a film that shows one colour and nothing else")
    return behind(lessons, rules) if len(grids) == 1 else None


def _jpeg(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
