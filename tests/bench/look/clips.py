"""Whether frames of short films are taken where somebody is, by how the background is found.

    python -m tests.bench.look.clips --seeds 6

Films as cameras with motion detectors make them: somebody is there for most of the time.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from unittest.mock import patch

from device.contract.arrays import Box
from device.contract.look import place
from device.contract.look.cells import Cells
from device.contract.look.change import Background
from device.contract.look.rules import LookRules
from tests.support.films import Film, Visit, shots
from train.data.films import choosing
from train.data.films.background import behind
from train.data.films.reading import Shot
from train.data.films.rules import FilmRules

SIZE = (320, 240)
LEAST_OVERLAP = 0.5
Behind = Callable[[Sequence[Cells], LookRules], Background | None]


def median(lessons: Sequence[Cells], rules: LookRules) -> Background | None:
    """Of all pictures."""
    return place.of_pictures(lessons, visited=True)


def first(lessons: Sequence[Cells], rules: LookRules) -> Background | None:
    """Of the first ten seconds, as a device that has just been turned on."""
    return place.of_pictures(lessons[: rules.learn_ms // rules.tick_ms], visited=False)


WAYS: dict[str, Behind] = {"as decided": behind, "median": median, "first 10 s": first}
FILMS = {
    "comes and goes, half of 12 s": Film(12, visits=(Visit(3, 9, 0.3),)),
    "there at first, half of 12 s": Film(12, visits=(Visit(-3, 6, 0.3),)),
    "rests for 10 of 12 s": Film(12, visits=(Visit(1, 11, 0.3),)),
    "there at first, 16 of 20 s": Film(20, visits=(Visit(-3, 16, 0.3),)),
    "stays to the end, 16 of 20 s": Film(20, visits=(Visit(4, 25, 0.3),)),
    "rests for 45 of 60 s": Film(60, visits=(Visit(5, 50, 0.3),)),
    "wanders, always there": Film(
        16,
        visits=(Visit(-3, 6, 0.3), Visit(5, 11, 0.3, (0.75, 0.4)), Visit(10, 19, 0.3, (0.2, 0.6))),
    ),
    "never moves away": Film(12, visits=(Visit(-5, 20, 0.3),)),
}
DISTURBANCES = ("noise", "clouds", "leaves", "exposure")


@dataclass(frozen=True)
class Counts:
    """Of the frames that were taken."""

    right: int = 0
    """Boxes around somebody."""
    wrong: int = 0
    """Boxes elsewhere, with somebody in the picture."""
    empty: int = 0
    """Boxes in pictures of nobody."""
    whole: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            *(a + b for a, b in zip(self.parts, other.parts, strict=True)),
        )

    @property
    def parts(self) -> tuple[int, int, int, int]:
        """All four."""
        return self.right, self.wrong, self.empty, self.whole


def measured(film: Film, way: Behind) -> Counts:
    """Take the frames of a film with a background that was found in some way."""
    filmed = list(shots(film))
    reel = [Shot(shot.at_ms, shot.pixels) for shot in filmed]
    with patch.object(choosing, "behind", way):
        choice = choosing.choose(lambda step_ms: reel, FilmRules())
    truth = {shot.at_ms: shot.boxes for shot in filmed}
    found = Counter(_kind(frame.box, truth[frame.at_ms]) for frame in choice.frames)
    return Counts(**found)


def _kind(box: Box | None, subjects: Sequence[Box]) -> str:
    if box is None:
        return "whole"
    if not subjects:
        return "empty"
    best = max(_overlap(box, _square(subject)) for subject in subjects)
    return "right" if best >= LEAST_OVERLAP else "wrong"


def _square(subject: Box) -> Box:
    """The square that a box is meant to be, with its margin."""
    left, upper, right, lower = subject
    wide, high = SIZE
    side = min(high, max(right - left, lower - upper) * 13 // 10)
    x = min(max(0, (left + right - side) // 2), wide - side)
    y = min(max(0, (upper + lower - side) // 2), high - side)
    return x, y, x + side, y + side


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0, wide) * max(0, high)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)


def films(seeds: int) -> Iterator[tuple[str, list[Film]]]:
    """Each kind of film, with other places, visitors and positions."""
    for name, film in FILMS.items():
        yield name, [_seeded(film, seed) for seed in range(seeds)]
    for disturbance in DISTURBANCES[1:]:
        film = replace(FILMS["there at first, 16 of 20 s"], disturbance=disturbance)
        yield f"the same, {disturbance}", [_seeded(film, seed) for seed in range(seeds)]


def _seeded(film: Film, seed: int) -> Film:
    visits = tuple(
        replace(visit, seed=seed, at=(visit.at[0] - 0.1 + 0.05 * (seed % 5), visit.at[1]))
        for visit in film.visits
    )
    return replace(film, visits=visits, seed=seed, fps=4.0, size_px=SIZE)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    options = parser.parse_args()
    print("frames with a right box, a wrong one, a box in an empty picture, whole")
    print(f"{'':34}" + "".join(f"{way:>20}" for way in WAYS))
    for name, some in films(options.seeds):
        cells = []
        for way in WAYS.values():
            counts = sum((measured(film, way) for film in some), Counts())
            cells.append(" ".join(f"{n:>4}" for n in counts.parts))
        print(f"{name:34}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
