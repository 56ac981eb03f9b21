"""The worlds of the benchmark: which classes, places, clocks and names each has, and its photos.

A world is a handful of fixed cameras. A photo is a flower before a background that stays; an
event is a few frames of one flower that moves a little. A class has a share of its events at a
place of its own, as animals and visitors do.
"""

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tests.bench.honesty.scenes import Scene, Subject, background, frames

FLOWERS = ("daisy", "dandelion", "rose", "sunflower", "tulip")
BLUE = "blue_tulip"
"""The sixth class: half of the tulips, with red and blue exchanged."""
WORLDS = 24
TRAINING_PHOTOS = 440
"""About how many photos a world has to learn from and to be judged by."""
TRUE_EVENTS = 180
"""New events, of one frame each, that tell the truth at the same places; as many at new ones."""
NEW_PLACES = 9
TRUTH = "truth.csv"
Clock = Literal["right", "1970", "none"]


@dataclass(frozen=True)
class World:
    """What one world is like."""

    number: int
    classes: int
    places: int
    frames: tuple[int, int]
    """Fewest and most frames of an event; short events are more frequent."""
    clock: Clock
    """What the photos' Exif says: the right time, seconds since 1970 at each start, or nothing."""
    scrambled: bool
    """Whether file names are random; otherwise they count the frames of each film."""
    one_event: bool
    """Whether the last class was photographed on one occasion."""
    one_model: bool
    """Whether two cameras are of one model, without serial numbers."""
    uneven: bool
    home_share: float
    """Share of a class's events at its own place."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        known = (*FLOWERS, BLUE) if self.classes > len(FLOWERS) else FLOWERS
        return tuple(known[(self.number + k) % len(known)] for k in range(self.classes))

    @property
    def events(self) -> tuple[int, ...]:
        """Events to learn from, by class."""
        low, high = self.frames
        mean = (high - low) / np.log(high / low) if high > low else low
        each = int(np.clip(TRAINING_PHOTOS / (self.classes * mean), 8, 45))
        shares = [1.0 if not self.uneven else 2.0 / (1 + k) for k in range(self.classes)]
        counts = [max(6, round(each * share)) for share in shares]
        return (*counts[:-1], 1) if self.one_event else tuple(counts)


def world(number: int) -> World:
    """The world of a number, 0 and up; neighbours differ in everything."""
    clocks: tuple[Clock, ...] = ("right", "none", "right", "1970", "right")
    lengths = ((1, 60), (1, 8), (8, 8), (3, 14), (2, 30), (1, 1), (4, 20))
    return World(
        number=number,
        classes=3 + number % 4,
        places=3 + (number * 3 + number // 7) % 7,
        frames=lengths[number % 7],
        clock=clocks[number % 5],
        scrambled=number % 3 != 1,
        one_event=number % 6 == 4,
        one_model=number % 4 == 2,
        uneven=number % 5 == 3,
        home_share=(0.5, 0.2, 0.35, 0.0)[number // 2 % 4],
    )


@dataclass(frozen=True)
class _Event:
    """One occasion, before it is rendered."""

    name: str
    label: str
    photo: Path
    place: int
    frames: int


def render(made: World, flowers: Path, root: Path) -> None:
    """Write the photos: `train`, `same` and `new` below `root`, and what is true of them.

    `truth.csv` has the columns path (from `root`), event and place. Nothing is written if it is
    there already.

    Args:
        made: which world.
        flowers: folder of class folders that the subjects are cut from.
        root: folder of the world.
    """
    if (root / TRUTH).exists():
        return
    rng = np.random.default_rng([26, made.number])
    scenes = [
        Scene(background(np.random.default_rng([made.number, place])), place)
        for place in range(made.places + NEW_PLACES)
    ]
    rows = []
    for part, event in _plan(made, _subjects(made, flowers, rng), rng):
        rows += [
            (path.relative_to(root).as_posix(), event.name, f"place{event.place}")
            for path in _write(made, event, scenes[event.place], root / part, rng)
        ]
    with (root / TRUTH).open("w", newline="") as file:
        csv.writer(file).writerows([("path", "event", "place"), *rows])


def _subjects(made: World, flowers: Path, rng: np.random.Generator) -> dict[str, list[Path]]:
    """The photos of each class in random order; the tulips are shared out between two."""
    found = {name: sorted((flowers / name).glob("*.jpg")) for name in FLOWERS}
    mixed = {
        name: [photos[i] for i in rng.permutation(len(photos))] for name, photos in found.items()
    }
    if BLUE in made.labels:
        tulips = mixed["tulip"]
        mixed["tulip"], mixed[BLUE] = tulips[::2], tulips[1::2]
    return mixed


def _plan(
    made: World, subjects: dict[str, list[Path]], rng: np.random.Generator
) -> Iterator[tuple[str, _Event]]:
    """Every event with its part. The three parts have the same mix of classes."""
    total, serial = sum(made.events), 0
    for k, (label, count) in enumerate(zip(made.labels, made.events, strict=True)):
        true = max(2, round(TRUE_EVENTS * count / total))
        photos = iter(subjects[label])
        for part, number in (("train", count), ("same", true), ("new", true)):
            for _ in range(number):
                place = _new_place(made, rng) if part == "new" else _place(made, k, rng)
                length = _length(made, rng) if part == "train" else 1
                if made.one_event and count == 1 and part == "train":
                    length = max(length, 16)
                yield part, _Event(f"e{serial:04d}", label, next(photos), place, length)
                serial += 1


def _place(made: World, k: int, rng: np.random.Generator) -> int:
    at_home = rng.random() < made.home_share
    return k % made.places if at_home else int(rng.integers(made.places))


def _new_place(made: World, rng: np.random.Generator) -> int:
    return made.places + int(rng.integers(NEW_PLACES))


def _length(made: World, rng: np.random.Generator) -> int:
    """Frames of an event: log-uniform, so that most events are short."""
    low, high = made.frames
    return int(np.clip(np.exp(rng.uniform(np.log(low), np.log(high + 1))), low, high))


def _write(
    made: World, event: _Event, scene: Scene, part: Path, rng: np.random.Generator
) -> Iterator[Path]:
    folder = part / event.label
    folder.mkdir(parents=True, exist_ok=True)
    started_s, gap_s = _start(made, rng), float(rng.uniform(1, 6))
    subject = Subject(event.photo, blue=event.label == BLUE)
    for number, picture in enumerate(frames(subject, scene, event.frames, rng)):
        name = rng.bytes(8).hex() if made.scrambled else f"film{event.name[1:]}_{number:04d}"
        path = folder / f"{name}.jpg"
        picture.save(path, quality=88, exif=_exif(made, event.place, started_s + gap_s * number))
        yield path


def _start(made: World, rng: np.random.Generator) -> float:
    """When an event begins, in seconds since 1970; cameras at 1970 count from when they start."""
    if made.clock == "1970":
        return float(rng.uniform(3, 9))
    return 1_700_000_000 + float(rng.integers(30 * 86_400))


def _exif(made: World, place: int, taken_s: float) -> Image.Exif:
    exif = Image.Exif()
    if made.clock == "none":
        return exif
    taken = time.strftime("%Y:%m:%d %H:%M:%S", time.gmtime(taken_s))
    twins = made.one_model and place < 2
    exif[0x010F], exif[0x0110], exif[0x0132] = "Trap", "Twin" if twins else f"Cam{place}", taken
    exif.get_ifd(0x8769)[0x9003] = taken
    return exif


@dataclass(frozen=True)
class Truth:
    """What is true of one photo."""

    event: str
    place: str


def read_truth(root: Path) -> dict[str, Truth]:
    """By path from `root`, the event and place of every photo."""
    with (root / TRUTH).open(newline="") as file:
        return {row["path"]: Truth(row["event"], row["place"]) for row in csv.DictReader(file)}
