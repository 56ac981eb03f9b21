"""What a look found in a film, beside what was drawn into it."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from device.contract.arrays import Box, Pixels
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Seen
from device.inference.pace import Rest
from device.visits import tracker
from device.visits.tracker import Sight, State
from tests.bench.look.scenes import Scene
from tests.support.films import Film, Shot

CLOSE = 0.5
MOVES_S = 1.5
"""A visitor enters and leaves in this time; then it rests."""
END_S = 5.0
"""A visit ends after this long without anything, as the device's settings say."""
REST_FPS = 5.0
"""Looks a second while nothing is there, as the device's settings say."""
WORST = 2
"""Of each film so many frames are kept."""
SURE = np.ones(1, np.float32)


@dataclass(frozen=True)
class Frame:
    """A frame that was judged badly, for the page."""

    scene: str
    at_s: float
    overlap: float
    """-1: a false visit."""
    pixels: Pixels
    found: tuple[Box, ...]
    true: tuple[Box, ...]


@dataclass(frozen=True)
class Visited:
    """One visit that was drawn."""

    height: float
    """As a share of the frame's."""
    found: bool
    """A visit of the device went on while its box overlapped by half."""
    overlaps: tuple[float, ...]
    """Of the box of each frame at rest; 0 without a box."""


@dataclass(frozen=True)
class Judged:
    """What was found in a scene, once empty and once visited."""

    scene: str
    empty_hours: float
    false_visits: int
    boxed_frames: float
    """The share of empty frames with a box."""
    seen: dict[str, float]
    """The share of empty frames of each kind."""
    visits: tuple[Visited, ...]
    false_among: int
    """Visits in the visited film that no visitor explains."""
    worst: tuple[Frame, ...]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)


def squared(box: Box, size_px: tuple[int, int], rules: LookRules) -> Box:
    """The square that is wanted around a subject: what `box.square` makes of its true box."""
    shorter = min(size_px)
    side = max(box[2] - box[0], box[3] - box[1]) * (100 + 2 * rules.margin_percent) // 100
    side = min(shorter, max(side, shorter * rules.least_side_percent // 100))
    x = min(max(0, (box[0] + box[2] - side) // 2), size_px[0] - side)
    y = min(max(0, (box[1] + box[3] - side) // 2), size_px[1] - side)
    return x, y, x + side, y + side


def best_overlap(shot: Shot, outcome: Outcome, rules: LookRules) -> float:
    """Of any box with any true one; 0 if there is none."""
    size_px = shot.pixels.shape[1], shot.pixels.shape[0]
    wanted = [squared(box, size_px, rules) for box in shot.boxes]
    return max((overlap(b, t) for b in outcome.boxes for t in wanted), default=0.0)


def judged(
    scene: Scene, empty_s: float, visited_s: float, rules: LookRules, *, paced: bool = False
) -> Judged:
    """Look at a scene, once empty and once visited, each from the beginning.

    Args:
        scene: what is filmed.
        empty_s: how long it is empty.
        visited_s: how long it is visited.
        rules: of looking.
        paced: whether frames are left out while nothing is there, as by the service, but at once
            and not after a minute. Only films of more than 3 frames/s show it.
    """
    worst: list[tuple[float, int, Frame]] = []
    seen, false, boxed = Counter[str](), 0, 0
    for shot, outcome, state in _looked(scene, empty_s, rules, visited=False, paced=paced):
        seen[outcome.seen.value] += 1
        boxed += bool(outcome.boxes)
        false += state.begun
        if state.begun:
            _keep(worst, scene, shot, outcome, -1.0)
    visits, among = _visited(scene, visited_s, rules, worst, paced)
    frames = max(1, seen.total())
    return Judged(
        scene.name,
        empty_s / 3600,
        false,
        boxed / frames,
        {kind.value: seen[kind.value] / frames for kind in Seen},
        visits,
        among,
        tuple(frame for *_, frame in sorted(worst, key=lambda kept: kept[0])),
    )


def _looked(
    scene: Scene, seconds: float, rules: LookRules, *, visited: bool, paced: bool
) -> Iterator[tuple[Shot, Outcome, State]]:
    """Each frame that is looked at with what was found, and the device's visits."""
    looker, state, resting, due_s = Looker(rules), State(), Rest(calm_s=0), 0.0

    def due(at_s: float) -> bool:
        # Whenever a look is due, it is at the newest frame.
        return not paced or at_s + 1 / scene.film.fps > due_s

    for shot in scene.shots(seconds, visited=visited, due=due):
        at_s = shot.at_ms / 1000
        outcome = looker.see(shot.pixels, shot.at_ms)
        scores = SURE if outcome.seen is Seen.SOMETHING else None
        state = tracker.step(state, Sight(outcome.seen, at_s, at_s, scores), END_S)
        most_fps = resting.most_fps(None if state.going else outcome, at_s, REST_FPS)
        due_s = max(at_s, due_s) + 1 / most_fps
        yield shot, outcome, state


@dataclass
class _Unexplained:
    """Counts visits during which nobody was there."""

    count: int = 0
    going: bool = False
    explained: bool = False

    def take(self, state: State, *, anyone: bool) -> None:
        """Take the next frame."""
        self.count += self.going and state.visit is None and not self.explained
        self.going = state.visit is not None
        self.explained = (self.explained and not state.begun) or anyone


def _visited(
    scene: Scene,
    seconds: float,
    rules: LookRules,
    worst: list[tuple[float, int, Frame]],
    paced: bool,
) -> tuple[tuple[Visited, ...], int]:
    film = scene.filmed(seconds, visited=True)
    overlaps: list[list[float]] = [[] for _ in film.visits]
    found, unexplained = set[int](), _Unexplained()
    for shot, outcome, state in _looked(scene, seconds, rules, visited=True, paced=paced):
        unexplained.take(state, anyone=bool(shot.boxes))
        number = _at_rest(film, shot.at_ms / 1000)
        if number is None:
            continue
        close = best_overlap(shot, outcome, rules)
        overlaps[number].append(close)
        if close < CLOSE:
            _keep(worst, scene, shot, outcome, close)
        elif state.visit is not None:
            found.add(number)
    visits = (
        Visited(visit.height, number in found, tuple(overlaps[number]))
        for number, visit in enumerate(film.visits)
    )
    return tuple(visits), unexplained.count


def _at_rest(film: Film, at_s: float) -> int | None:
    """Which visitor rests at a time; they come one after another."""
    for number, visit in enumerate(film.visits):
        if visit.enters_s + MOVES_S <= at_s < visit.leaves_s - MOVES_S:
            return number
    return None


def _keep(
    worst: list[tuple[float, int, Frame]],
    scene: Scene,
    shot: Shot,
    outcome: Outcome,
    close: float,
) -> None:
    """Keep a frame if it is among the worst; of equally bad ones the first."""
    if len(worst) == WORST and close >= -worst[0][0]:
        return
    frame = Frame(scene.name, shot.at_ms / 1000, close, shot.pixels, outcome.boxes, shot.boxes)
    kept = (-close, -shot.at_ms, frame)
    (heapq.heappush if len(worst) < WORST else heapq.heapreplace)(worst, kept)
