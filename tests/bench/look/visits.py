"""How often a visit's label is wrong, beside the labels of its single frames.

python -m tests.bench.look.visits --bundle build/bundle --split build/train/split.csv --data PHOTOS

Photos that were not trained on come as visitors: each enters, turns, comes nearer and goes back,
its light changes, and it leaves again, before rendered places, at 4 frames/s. Looking, boxes, model
and visits are those of the device. A visit that is not found counts as wrong for both.

With `--sides 1` a visitor is one flat photo, so its frames are wrong together; with more, it shows
so many photos of its class one after the other, as an animal shows its sides. What is unknown is
decided as on the device: by the bundle, or by `--threshold` as a setting.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from device.contract.arrays import Pixels
from device.contract.bundle import Bundle, load
from device.contract.look.looker import Looker
from device.contract.look.rules import Seen
from device.contract.photos import decode_frame, read_photo
from device.contract.preprocess import FrameResizer
from device.inference.classifier import Classifier, Prediction
from device.telemetry.unknown import UnknownRule
from device.visits.tracker import Going, Sight, State, step
from tests.support.films import NOISE, background

SIZE_PX = (480, 360)
FPS = 4
EMPTY_S, STAYS_S, GAP_S, END_S = 12.0, 8.0, 7.0, 5.0
COMES_S = 1.0
"""How long it takes to enter, and to leave."""
AT_A_PLACE = 12
"""Visits before the next place."""
TURNS_DEG = 35.0
LOW_LIGHT = 0.55


@dataclass(frozen=True)
class Pose:
    """How a visitor looks at a moment."""

    turned_deg: float
    size: float
    """As a share of the frame's height."""
    light: float
    x: float
    y: float
    """The place of its middle, as a share of width and height."""


@dataclass(frozen=True)
class Answer:
    """What the device says of a frame or visit."""

    best: int
    """The most probable class."""
    is_unknown: bool


@dataclass(frozen=True)
class Visited:
    """What came of one visit."""

    true: int
    frames: tuple[Answer, ...]
    """To single frames with a box."""
    said: tuple[Answer, ...]
    """To the visits that were told: one, none if it was missed, more if it fell to pieces."""


def poses(rng: np.random.Generator) -> Iterator[Pose]:
    """From one chosen each second to the next; it comes and goes at the side."""

    def draw() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array(
            [
                rng.uniform(-TURNS_DEG, TURNS_DEG),
                rng.uniform(0.25, 0.5),
                rng.uniform(LOW_LIGHT, 1.15),
                rng.uniform(0.3, 0.7),
                rng.uniform(0.35, 0.65),
            ]
        )

    chosen = [draw() for _ in range(int(STAYS_S) + 2)]
    for number in range(int(STAYS_S * FPS)):
        at_s = number / FPS
        first = int(at_s)
        now = chosen[first] + (at_s - first) * (chosen[first + 1] - chosen[first])
        away = max(0.0, 1 - at_s / COMES_S, 1 - (STAYS_S - at_s) / COMES_S)
        now[3] -= away * 0.8
        yield Pose(*map(float, now))


def drawn(place: Pixels, photo: Image.Image, pose: Pose, rng: np.random.Generator) -> Pixels:
    """A frame with a visitor, who moves while the frame is taken."""
    width, height = SIZE_PX
    side = round(pose.size * height)
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse([2, 2, side - 3, side - 3], fill=255)
    look = photo.resize((side, side)).rotate(pose.turned_deg, Image.Resampling.BILINEAR)
    look = look.filter(ImageFilter.BoxBlur(float(rng.uniform(0, 2.0))))
    look = look.point([min(255, round(value * pose.light)) for value in range(256)] * 3)
    frame = Image.fromarray(place)
    corner = round(pose.x * width - side / 2), round(pose.y * height - side / 2)
    frame.paste(look, corner, mask.filter(ImageFilter.GaussianBlur(3)))
    return noisy(np.asarray(frame), rng)


def noisy(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """As a cheap sensor gives it."""
    return (picture + rng.normal(0, NOISE, picture.shape)).clip(0, 255).astype(np.uint8)


class Camera:
    """A camera at one place after another, and all that follows its frames."""

    def __init__(self, classifier: Classifier, rule: UnknownRule, seed: int) -> None:
        self._classifier, self._rule, self._resizer = classifier, rule, FrameResizer()
        self._rng = np.random.default_rng([seed, 23])
        self._places, self._at_s = 100 * seed, 0.0
        self.move()

    def move(self) -> None:
        """Stand at a new place until it is known."""
        self._places += 1
        self._place = background(SIZE_PX, self._places).clip(0, 255).astype(np.uint8)
        self._looker, self._state = Looker(self._classifier.look), State()
        self.rest(EMPTY_S)

    def rest(self, seconds: float) -> list[Going]:
        """Film an empty place; returns visits that have ended."""
        ended = []
        for _ in range(int(seconds * FPS)):
            self._see(noisy(self._place, self._rng))
            ended += [self._state.ended] if self._state.ended else []
        return ended

    def visit(self, sides: Sequence[Image.Image], true: int) -> Visited:
        """Film a visitor, who shows one side after the other."""
        frames = []
        ended: list[Going] = []
        taken = [*poses(self._rng)]
        for number, pose in enumerate(taken):
            side = sides[number * len(sides) // len(taken)]
            found = self._see(drawn(self._place, side, pose, self._rng))
            frames += [self._of_frame(found)] if found is not None else []
            ended += [self._state.ended] if self._state.ended else []
        ended += self.rest(GAP_S)
        return Visited(true, tuple(frames), tuple(map(self._of_visit, ended)))

    def _of_frame(self, found: Prediction) -> Answer:
        return Answer(found.best, self._rule.turns_away(found.score, found.distance))

    def _of_visit(self, going: Going) -> Answer:
        best = int(going.evidence.probabilities().argmax())
        return Answer(best, self._rule.turns_away_visit(going.evidence))

    def _see(self, frame: Pixels) -> Prediction | None:
        self._at_s += 1 / FPS
        found = self._looker.see(frame, round(1000 * self._at_s))
        box, said = (0, 0, 0, 0), None
        if found.seen is Seen.SOMETHING:
            box = found.boxes[0]
            rules = self._classifier.preprocessing
            self._classifier.set_input(self._resizer.prepare_box(frame, box, rules))
            self._classifier.invoke()
            said = self._classifier.prediction()
        scores, distance = (said.scores.copy(), said.distance) if said else (None, None)
        sight = Sight(found.seen, self._at_s, self._at_s, scores, box, SIZE_PX, distance)
        self._state = step(self._state, sight, END_S)
        return said


Visitor = tuple[tuple[Path, ...], int]
"""Photos of its sides, and its class."""


def visitors(
    split: Path, data: Path, part: str, labels: Sequence[str], sides: int
) -> list[Visitor]:
    """Photos of one part of the split, so many at a time, with their classes in a random order."""
    with split.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["part"] == part]
    rng, found = np.random.default_rng(0), list[Visitor]()
    for true, label in enumerate(labels):
        paths = [data / row["path"] for row in rows if row["class"] == label]
        mixed = [paths[number] for number in rng.permutation(len(paths))]
        starts = range(0, len(mixed) - sides + 1, sides)
        found += [(tuple(mixed[start : start + sides]), true) for start in starts]
    return [found[number] for number in rng.permutation(len(found))]


def filmed(
    bundle: Bundle, found: Sequence[Visitor], seed: int, threshold: float | None
) -> list[Visited]:
    """All visits, one after the other."""
    classifier = Classifier.from_bundle(bundle)
    rule = UnknownRule.of(classifier.limit, threshold)
    camera, visits = Camera(classifier, rule, seed), []
    for number, (paths, true) in enumerate(found):
        if number and number % AT_A_PLACE == 0:
            camera.move()
        sides = [squared(Image.fromarray(decode_frame(read_photo(path)))) for path in paths]
        visits.append(camera.visit(sides, true))
    return visits


def squared(photo: Image.Image) -> Image.Image:
    """The middle of a photo."""
    side = min(photo.size)
    left, upper = (photo.width - side) // 2, (photo.height - side) // 2
    return photo.crop((left, upper, left + side, upper + side))


@dataclass(frozen=True)
class Rates:
    """Shares of all visits, 0 to 1."""

    wrong: float
    """The best class is another one, or there is none."""
    told_wrong: float
    """The same, and the answer is not `unknown`."""
    unknown: float
    """`unknown`, or none."""


def rates(answers: Sequence[tuple[Sequence[Answer], int]]) -> Rates:
    """What came of answers to visits; each visit counts the same, however many it has.

    Args:
        answers: to each visit, and its class.
    """
    found = np.array(
        [np.mean([_judged(one, true) for one in said] or [NONE], axis=0) for said, true in answers]
    )
    return Rates(*map(float, found.mean(axis=0)))


NONE = (1.0, 0.0, 1.0)
"""`Rates` of a visit without an answer."""


def _judged(answer: Answer, true: int) -> tuple[float, float, float]:
    wrong, unknown = answer.best != true, answer.is_unknown
    return float(wrong), float(wrong and not unknown), float(unknown)


def line(name: str, found: Rates) -> str:
    """A row of the table."""
    values = (found.wrong, found.told_wrong, found.unknown)
    return f"| {name} | " + " | ".join(f"{100 * value:.1f}%" for value in values) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True, help="split.csv of its training")
    parser.add_argument("--data", type=Path, required=True, help="folder of the photos")
    parser.add_argument("--part", default="test")
    parser.add_argument("--visits", type=int, default=240)
    parser.add_argument("--sides", type=int, default=1, help="photos of a visitor")
    parser.add_argument("--seed", type=int, default=1, help="of the films")
    parser.add_argument(
        "--threshold", type=float, help="score below which all is unknown, as in the settings"
    )
    options = parser.parse_args(arguments)
    bundle = load(options.bundle)
    found = visitors(options.split, options.data, options.part, bundle.labels, options.sides)
    visits = filmed(bundle, found[: options.visits], options.seed, options.threshold)
    pieces = [len(one.said) for one in visits]
    print(
        f"{len(visits)} visits, {np.mean([len(one.frames) for one in visits]):.0f} frames each; "
        f"missed {pieces.count(0)}, in pieces {sum(count > 1 for count in pieces)}\n"
        f"| | best class wrong | told and wrong | unknown |\n{'|---' * 4}|"
    )
    print(line("single frames", rates([(one.frames, one.true) for one in visits])))
    print(line("visits", rates([(one.said[:1], one.true) for one in visits])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
