"""How many short visits are told, by how often a place is looked at while nothing is there.

    python -m tests.bench.look.rest --visits 60

Films of 10 frames/s at rendered places that were empty for long. A visitor comes in, hardly stays,
and leaves; how its frames fall between looks is drawn. Once something is seen, every frame is
looked at, as by the service. Each visitor is filmed once and looked at in all ways.
"""

import argparse
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Seen
from device.inference.pace import CALM_SHARE, Rest
from device.visits import tracker
from device.visits.tracker import Sight, State
from device.workstation.measures import wilson
from tests.bench.look.judge import END_S, REST_FPS, SURE
from tests.support.films import Film, Shot, Visit, shots

FPS = 10
SIZE_PX = (320, 240)
LEARN_S = 14.0
STAYS_S = (1.8, 2.0, 2.2, 2.5)
"""From where a visitor begins to come in to where it has left; each takes up to 1.5 s."""
EMPTY_S = 2.0
"""Before and after a visitor."""
MostFps = Callable[[Outcome | None, float], float]


def constant(fps: float) -> Callable[[], MostFps]:
    """As many looks a second at any empty place."""
    return lambda: lambda outcome, at_s: math.inf if outcome is None else fps


def _of_service() -> MostFps:
    # The place has been empty for long.
    resting = Rest(calm_s=0)
    return lambda outcome, at_s: resting.most_fps(outcome, at_s, REST_FPS)


WAYS: dict[str, Callable[[], MostFps]] = {
    "every frame": constant(math.inf),
    "5 a second": constant(REST_FPS),
    "3 a second": constant(REST_FPS * CALM_SHARE),
    "2.5 a second": constant(2.5),
    "as the service (5, and 3 of a calm place)": _of_service,
}


@dataclass(frozen=True)
class Told:
    """What came of one visitor."""

    told: bool
    seen_s: float
    """When something was seen first; infinite if never."""


def watched(film: Sequence[Shot], known: Looker, most_fps: MostFps, phase_s: float) -> Told:
    """Look at a film from a place that is known, the first time after `phase_s`.

    Whenever a look is due, it is at the newest frame, which may have come a moment before.
    """
    looker, state, due_s = copy.deepcopy(known), State(), phase_s
    told, seen_s = False, math.inf
    for shot in film:
        at_s = shot.at_ms / 1000
        if at_s + 1 / FPS <= due_s:
            continue
        outcome = looker.see(shot.pixels, shot.at_ms)
        scores = SURE if outcome.seen is Seen.SOMETHING else None
        state = tracker.step(state, Sight(outcome.seen, at_s, at_s, scores), END_S)
        told, seen_s = told or state.begun, min(seen_s, at_s if scores is not None else math.inf)
        # While anything goes on, the label is not yet `nothing`.
        rests = outcome.seen is Seen.NOTHING and state.going is None
        due_s = max(at_s, due_s) + 1 / most_fps(outcome if rests else None, at_s)
    return Told(told, seen_s)


def films(visits: int) -> Iterator[tuple[float, Sequence[Shot], Looker, float]]:
    """How long each visitor stays, its film, the place without it, and when the first look is."""
    rng = np.random.default_rng(0)
    for number in range(visits):
        seed, height = 200 + number, float(rng.uniform(0.15, 0.4))
        stays_s = STAYS_S[number % len(STAYS_S)]
        at = (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.3, 0.7)))
        visit = Visit(EMPTY_S, EMPTY_S + stays_s, height, at, seed)
        film = Film(EMPTY_S + stays_s + EMPTY_S, "noise", (visit,), seed, FPS, SIZE_PX)
        looker = Looker(LookRules())
        for shot in shots(replace(film, seconds=LEARN_S, visits=(), fps=2)):
            looker.see(shot.pixels, shot.at_ms - round(1000 * LEARN_S))
        yield stays_s, list(shots(film)), looker, float(rng.uniform(0, 0.4))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=120)
    options = parser.parse_args()
    print("| looks at an empty place | told | later by |" + "".join(f" {s} s |" for s in STAYS_S))
    print("|---" * (3 + len(STAYS_S)) + "|")
    found: dict[str, list[tuple[float, Told]]] = {way: [] for way in WAYS}
    for stays_s, film, known, phase_s in films(options.visits):
        for way, begin in WAYS.items():
            found[way].append((stays_s, watched(film, known, begin(), phase_s)))
    for way, each in found.items():
        print(_line(way, each, found["every frame"]))


def _line(way: str, each: Sequence[tuple[float, Told]], most: Sequence[tuple[float, Told]]) -> str:
    told = [one.told for _, one in each]
    low, high = (100 * end for end in wilson(float(np.mean(told)), len(told)))
    later_s = [
        one.seen_s - other.seen_s
        for (_, one), (_, other) in zip(each, most, strict=True)
        if math.isfinite(one.seen_s) and math.isfinite(other.seen_s)
    ]
    cells = [f"{sum(told)} of {len(told)} ({low:.0f} to {high:.0f}%)"]
    cells.append(f"{np.mean(later_s):.2f} s")
    for wanted_s in STAYS_S:
        some = [one.told for stays_s, one in each if stays_s == wanted_s]
        cells.append(f"{sum(some)} of {len(some)}")
    return f"| {way} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
