"""False boxes in films without a subject, and how well boxes lie around subjects.

python -m tests.bench.look.films [--minutes 10] [--seeds 2]
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from device.contract.arrays import Box
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules, Outcome, Seen
from tests.support.films import DISTURBANCES, Film, Shot, Visit, shots

VISIT_S = 20.0
GAP_S = 25.0
CLOSE = 0.5


@dataclass(frozen=True)
class Judged:
    """What was found in a film."""

    seen: Counter[Seen]
    false_boxes: int
    """Frames with a box and nothing in them."""
    false_visits: int
    """Runs of at least two such frames, at most two frames apart."""
    visits: int
    visits_found: int
    """With a box that overlaps in at least two frames."""
    overlaps: tuple[float, ...]
    """Of the boxes of all frames with a whole subject; 0 without a box."""


def looked(film: Film, rules: LookRules) -> list[tuple[Shot, Outcome]]:
    """Look at a film from the beginning."""
    looker = Looker(rules)
    return [(shot, looker.see(shot.pixels, shot.at_ms)) for shot in shots(film)]


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


def judged(film: Film, rules: LookRules) -> Judged:
    """Look at a film and compare with what was drawn."""
    frames = looked(film, rules)
    overlaps, found = [], Counter[int]()
    for shot, outcome in frames:
        best = max(
            (
                overlap(b, squared(t, film.size_px, rules))
                for b in outcome.boxes
                for t in shot.boxes
            ),
            default=0.0,
        )
        for number, visit in enumerate(film.visits):
            if visit.enters_s + 1.5 <= shot.at_ms / 1000 < visit.leaves_s - 1.5:
                overlaps.append(best)
                found[number] += best >= CLOSE
    empty = [bool(outcome.boxes) and not shot.boxes for shot, outcome in frames]
    return Judged(
        Counter(outcome.seen for _, outcome in frames),
        sum(empty),
        _runs(empty),
        len(film.visits),
        sum(count >= 2 for count in found.values()),
        tuple(overlaps),
    )


def _runs(flags: Sequence[bool]) -> int:
    """Runs of at least two, at most two apart."""
    places = [number for number, flag in enumerate(flags) if flag]
    runs, length, last = 0, 0, -9
    for place in places:
        length = length + 1 if place - last <= 3 else 1
        runs += length == 2
        last = place
    return runs


def visits(seconds: float, seed: int) -> tuple[Visit, ...]:
    """Subjects of 1/8 to 1/2 of the height, one after another."""
    rng = np.random.default_rng([seed, 11])
    starts = np.arange(15, seconds - VISIT_S, VISIT_S + GAP_S)
    return tuple(
        Visit(
            float(start),
            float(start) + VISIT_S,
            float(np.exp(rng.uniform(np.log(1 / 8), np.log(1 / 2)))),
            (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.25, 0.75))),
            int(rng.integers(1 << 30)),
        )
        for start in starts
    )


def row(name: str, minutes: float, seeds: int, rules: LookRules) -> str:
    """A line of the table."""
    films = [Film(60 * minutes, name, seed=seed) for seed in range(seeds)]
    empty = [judged(film, rules) for film in films]
    full = [judged(replace(film, visits=visits(film.seconds, film.seed)), rules) for film in films]
    hours = sum(film.seconds for film in films) / 3600
    overlaps = np.array([value for one in full for value in one.overlaps])
    seen = sum((one.seen for one in empty), Counter[Seen]())
    frames = seen.total()
    shares = [f"{100 * seen[kind] / frames:.0f}" for kind in Seen]
    return (
        f"| {name} | {sum(one.false_visits for one in empty) / hours:.0f} "
        f"| {100 * sum(one.false_boxes for one in empty) / frames:.2f} "
        f"| {sum(one.visits_found for one in full)}/{sum(one.visits for one in full)} "
        f"| {100 * np.mean(overlaps > 0):.0f} | {100 * np.mean(overlaps >= CLOSE):.0f} "
        f"| {np.median(overlaps):.2f} | {' / '.join(shares)} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of each film")
    parser.add_argument("--seeds", type=int, default=2, help="places")
    parser.add_argument("--only", nargs="*", default=sorted(DISTURBANCES))
    parser.add_argument("--rule", nargs="*", default=[], help="NAME=NUMBER of LookRules")
    options = parser.parse_args(arguments)
    changed = {name: int(value) for name, value in (rule.split("=") for rule in options.rule)}
    rules = replace(LookRules(), **changed)
    print(
        "| film | false visits an hour, empty | empty frames with a box, % | visits found "
        "| frames with a box, % | overlap >= 0.5, % | median overlap "
        f"| {' / '.join(kind.value for kind in Seen)}, % of empty |\n|{'---|' * 8}"
    )
    for name in options.only:
        print(row(name, options.minutes, options.seeds, rules), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
