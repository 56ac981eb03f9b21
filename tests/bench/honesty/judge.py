"""Judges one world: what our split and estimates report beside what is true.

The network is a linear classifier on frozen features, an event counting once: it takes a second
where a training takes minutes, and takes backgrounds for hints as a network does.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from device.contract.preprocess import Preprocessing
from device.workstation.events.listed import Occasion
from device.workstation.expected import NewPlaces, SamePlaces
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import LEFT_OUT, Part
from device.workstation.weights import event_weights
from tests.bench.honesty.worlds import Truth, read_truth
from train.data.dataset import scan
from train.data.photo import Photo
from train.data.split import Row, assign, part
from train.recipe.evaluate import accuracy
from train.recipe.expected.estimates import expected
from train.recipe.photos import Photos

Floats = npt.NDArray[np.float32]
STRENGTH, ITERATIONS = 12.0, 200
TRAIN, SAME, NEW = "train", "same", "new"


@dataclass(frozen=True)
class Shot:
    """A picture of a world, by its path from the folder of all worlds."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Claim:
    """A figure that is reported, beside the truth."""

    reported: float
    interval: tuple[float, float]
    true: float
    n_true: int

    @property
    def off(self) -> float:
        """Reported minus true."""
        return self.reported - self.true

    @property
    def holds(self) -> bool:
        """Whether the interval contains the truth."""
        return self.interval[0] <= self.true <= self.interval[1]


@dataclass(frozen=True)
class Outcome:
    """What came out for one world and one seed of the split."""

    world: str
    exif: bool
    events: int
    """That there are."""
    found_events: int
    torn: int
    """Events on several sides of the split, among classes of at least three events."""
    places: int
    found_places: int
    same: Claim
    """Of the test part."""
    held_out: Claim | None
    """At the same places too, of whole events held out in turn; None where it is not estimated."""
    new: Claim | None
    """None where fewer than three places are known, or it was not asked for."""


def shots(worlds: Sequence[Path]) -> list[Shot]:
    """Every picture of the worlds, with its digest."""
    return [
        Shot(
            path.relative_to(world.parent).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for world in worlds
        for path in sorted(world.rglob("*.jpg"))
    ]


@dataclass(frozen=True)
class Known:
    """A world with everything that does not depend on the split."""

    root: Path
    exif: bool
    """Whether Exif has the right time."""
    photos: Sequence[Photo]
    """Of the folder that a user would have."""
    truth: Mapping[str, Truth]
    features: Callable[[Sequence[str]], Floats]
    """By SHA-256, (n, channels)."""
    tests: Mapping[str, Sequence[Shot]]
    """New events at the same places, and at new ones."""

    @classmethod
    def read(
        cls, root: Path, exif: bool, taken: Sequence[Shot], features: Mapping[str, Floats]
    ) -> "Known":
        """Scan a rendered world."""
        own = [shot for shot in taken if shot.path.startswith(f"{root.name}/")]
        return cls(
            root=root,
            exif=exif,
            photos=scan(root / TRAIN, Preprocessing()),
            truth=read_truth(root),
            features=lambda digests: np.stack([features[digest] for digest in digests]),
            tests={name: [s for s in own if s.path.split("/")[1] == name] for name in (SAME, NEW)},
        )


@dataclass(frozen=True)
class _Pictures:
    """The features of a world's photos; the linear classifier is shown no other backgrounds."""

    world: Known

    def features(self, rows: Sequence[Row]) -> Floats:
        return _of_rows(self.world, rows)

    def views(self, rows: Sequence[Row]) -> None:
        return None


def judge(world: Known, seed: int, *, expect: bool) -> Outcome:
    """Split, teach, report and compare with the truth; `expect` something of new places, too.

    Without the places of photos, nothing is expected of new ones.
    """
    rows = assign(world.photos, seed)
    labels = tuple(sorted({row.label for row in rows}))
    occasions = {row.path: Occasion(row.group, row.place if expect else "") for row in rows}
    parts = {name: part(rows, name) for name in Part}
    photos = Photos(PhotoFiles(world.root / TRAIN), labels, parts, occasions)
    model = _taught(world, photos)
    hits = {name: _hits(world, model, photos, name) for name in (Part.VAL, Part.TEST)}
    share = accuracy(hits[Part.TEST], photos.events(Part.TEST))
    said = expected(photos, hits, _Pictures(world), seed)
    true, elsewhere = (_true(world, model, labels, name) for name in (SAME, NEW))
    used = [row for row in rows if row.part != LEFT_OUT]
    truth = [world.truth[f"{TRAIN}/{row.path}"] for row in used]
    return Outcome(
        world=world.root.name,
        exif=world.exif,
        events=len({one.event for one in truth}),
        found_events=len({row.group for row in used}),
        torn=_torn(used, truth),
        places=len({one.place for one in truth}),
        found_places=len({row.place for row in used} - {""}),
        same=Claim(share.accuracy, share.interval, *true),
        held_out=_claim(said.same_places, true),
        new=_claim(said.new_places, elsewhere),
    )


def _claim(said: SamePlaces | NewPlaces | None, true: tuple[float, int]) -> Claim | None:
    return Claim(said.accuracy, said.interval, *true) if said else None


def _taught(world: Known, photos: Photos) -> LogisticRegression:
    events = photos.events(Part.TRAIN)
    weights = event_weights(events) * len(set(events)) / len(events)
    model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS)
    pictures = _of_rows(world, photos.rows[Part.TRAIN])
    return model.fit(pictures, photos.numbers(Part.TRAIN), sample_weight=weights)


def _of_rows(world: Known, rows: Sequence[Row]) -> Floats:
    return world.features([row.sha256 for row in rows])


def _hits(
    world: Known, model: LogisticRegression, photos: Photos, name: Part
) -> npt.NDArray[np.bool_]:
    answers = model.predict(_of_rows(world, photos.rows[name]))
    right: npt.NDArray[np.bool_] = answers == photos.numbers(name)
    return right


def _true(
    world: Known, model: LogisticRegression, labels: Sequence[str], name: str
) -> tuple[float, int]:
    """The share of new events that are classified rightly, and how many there are."""
    tested = world.tests[name]
    truth = np.array([labels.index(shot.path.split("/")[2]) for shot in tested])
    right = model.predict(world.features([shot.sha256 for shot in tested])) == truth
    return float(right.mean()), len(tested)


def _torn(rows: Sequence[Row], truth: Sequence[Truth]) -> int:
    """Events with photos on several sides; not of classes with one or two, which must be cut."""
    sides, of_class = defaultdict(set), defaultdict(set)
    for row, one in zip(rows, truth, strict=True):
        sides[row.label, one.event].add(row.part)
        of_class[row.label].add(one.event)
    return sum(len(parts) > 1 and len(of_class[label]) > 2 for (label, _), parts in sides.items())
