"""Facts and answers of real photos in each condition, computed once and kept."""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from convert.verify.clutter import clutter
from device.contract.accuracy import TAKEN_AT_THEIR_WORD, ScoreOffset
from device.contract.arrays import Pixels
from device.contract.bundle import Bundle, load
from device.contract.preprocess import Preprocessing, prepare
from device.drift.sample import Floats, look
from device.errors import UsageError
from device.inference.classifier import Classifier
from tests.bench.drift.conditions import ALL, all_shown

PLACES = 16
STRANGERS = 24
RENDERED = "rendered clutter"
"""What strangers are unless a folder of photos is given."""
PICTURES = ("*.jpg", "*.jpeg", "*.png")
SHIFT = 0.3
"""A camera that was moved looks this much of its picture aside."""


Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cached:
    """What the simulation replays; arrays begin with photo, condition."""

    scores: Floats
    """(photos, conditions, classes)."""
    distance: Floats
    """(photos, conditions); NaN if the model has none."""
    accepted: Flags
    """(photos, conditions): whether the answer is not unknown."""
    truth: npt.NDArray[np.intp]
    """(photos,): index of the class; -1 for a stranger."""
    place_facts: Floats
    """(2, places, conditions, 4): brightness, contrast, sharpness and cast of a place, before and
    after the camera was moved."""
    place_layouts: Floats
    """(2, places, conditions, cells)."""
    labels: tuple[str, ...]
    model_sha256: str
    score_offset: ScoreOffset = TAKEN_AT_THEIR_WORD


def cached(build: Path, file: Path, most: int, strangers: Path | None = None) -> Cached:
    """Read the file, or make it from a build and its photos.

    Args:
        build: a build folder with its bundle and split.
        file: where it is kept.
        most: photos of the test part.
        strangers: a folder with photos of what is none of the classes; None: rendered clutter.

    Raises:
        UsageError: if there is no photo in the folder.
    """
    bundle = load(build / "bundle")
    made_of = [hashlib.sha256(bundle.model).hexdigest(), most, PLACES, STRANGERS, len(ALL)]
    # Statistics, too: another way to tell what is strange gives other distances of the same model.
    made_of += [
        str(strangers or RENDERED),
        hashlib.sha256(bundle.statistics.content()).hexdigest(),
    ]
    key = json.dumps(made_of)
    if file.exists():
        with np.load(file) as kept:
            if str(kept["key"]) == key:
                return _from(kept, bundle)
    arrays = _compute(bundle, build, most, strangers)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, allow_pickle=False, key=np.array(key), **arrays)
    with np.load(file) as kept:
        return _from(kept, bundle)


def _from(kept: "np.lib.npyio.NpzFile", bundle: Bundle) -> Cached:
    names = ("scores", "distance", "accepted", "truth", "place_facts", "place_layouts")
    digest = hashlib.sha256(bundle.model).hexdigest()
    arrays = {name: kept[name] for name in names}
    offset = bundle.score_offset
    return Cached(**arrays, labels=bundle.labels, model_sha256=digest, score_offset=offset)


def _compute(
    bundle: Bundle, build: Path, most: int, strangers: Path | None
) -> dict[str, npt.NDArray[Any]]:
    rules = bundle.preprocessing
    photos = Path(json.loads((build / "train" / "data.json").read_text())["folder"])
    known = _rows(build, photos, "test")
    chance = np.random.default_rng(0)
    chosen = [known[i] for i in chance.permutation(len(known))[:most]]
    classifier = Classifier.from_bundle(bundle, threads=1)
    pictures = [(_prepared(path, rules), bundle.labels.index(name)) for path, name in chosen]
    pictures += [(pixels, -1) for pixels in _strangers(strangers, rules)]
    answers = [_answers(classifier, pixels) for pixels, _ in pictures]
    teaching = _rows(build, photos, "train")
    places = [teaching[i][0] for i in chance.permutation(len(teaching))[:PLACES]]
    views = [[_of_place(path, moved) for path in places] for moved in (False, True)]
    return {
        "scores": np.stack([one[0] for one in answers]),
        "distance": np.stack([one[1] for one in answers]),
        "accepted": np.stack([one[2] for one in answers]),
        "truth": np.array([truth for _, truth in pictures]),
        "place_facts": np.stack([[facts for facts, _ in one] for one in views]),
        "place_layouts": np.stack([[layouts for _, layouts in one] for one in views]),
    }


def _strangers(folder: Path | None, rules: Preprocessing) -> list[Pixels]:
    if folder is None:
        size = (rules.height_px, rules.width_px)
        return [clutter(number, size) for number in range(STRANGERS)]
    paths = sorted(path for pattern in PICTURES for path in folder.glob(pattern))
    if not paths:
        raise UsageError(f"{folder}: there is no photo")
    order = np.random.default_rng(0).permutation(len(paths))[:STRANGERS]
    return [_prepared(paths[i], rules) for i in order]


def _rows(build: Path, photos: Path, part: str) -> list[tuple[Path, str]]:
    with (build / "train" / "split.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == part]
    return [(photos / row["path"], row["class"]) for row in rows]


def _prepared(path: Path, rules: Preprocessing) -> Pixels:
    with Image.open(path) as image:
        return prepare(image.convert("RGB"), rules)


def _answers(classifier: Classifier, pixels: Pixels) -> tuple[Floats, Floats, Flags]:
    scores, distances, accepted = [], [], []
    for seen in all_shown(pixels, seed=0):
        found = classifier.classify(seen)
        scores.append(found.scores)
        accepted.append(not found.unknown)
        distances.append(np.nan if found.distance is None else found.distance)
    return np.stack(scores), np.array(distances, np.float32), np.array(accepted)


def _of_place(path: Path, moved: bool) -> tuple[Floats, Floats]:
    with Image.open(path) as image:
        photo = image.convert("RGB")
    width, height = (round(side * (1 - SHIFT)) for side in photo.size)
    left, upper = (photo.width - width, photo.height - height) if moved else (0, 0)
    view = prepare(photo.crop((left, upper, left + width, upper + height)), Preprocessing())
    found = [_facts(seen) for seen in all_shown(view, seed=0)]
    return np.stack([one[0] for one in found]), np.stack([one[1] for one in found])


def _facts(pixels: Pixels) -> tuple[Floats, Floats]:
    found = look(pixels)
    values = (found.brightness, found.contrast, found.sharpness, found.cast)
    return np.array(values, np.float32), found.layout
