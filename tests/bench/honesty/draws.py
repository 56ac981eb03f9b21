"""`python -m tests.bench.honesty.draws`: does it matter which flowers a world is made of?

The benchmark's subjects are photos of a sharing site, sorted by name, which starts with a number
that counts uploads. Neighbours by name are often of one series: the same plant on the same day. A
series is one event in truth, but a world makes as many events of it as it has photos.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tests.bench.honesty.features import features_of
from tests.bench.honesty.judge import ITERATIONS, STRENGTH, Shot
from tests.bench.honesty.scenes import Scene, Subject, background, frames

LABELS = ("rose", "tulip", "sunflower")
POOL, TAUGHT = 300, 30
"""Photos of each class, and those that a world teaches with."""
SHARED_PLACES = 3
NEAR = 1e-4
"""Uploads whose numbers differ by less than this share of them are of one series."""
DIRECTIONS, FOLDS, STEP = 200, 5, 6

Numbers = npt.NDArray[np.int64]
Draw = tuple[Numbers, Numbers]
"""Positions by name of the photos that teach and of those that tell the truth."""


@dataclass(frozen=True)
class Pool:
    """One frame of one event for each of n photos."""

    features: npt.NDArray[np.float32]
    """(n, channels)."""
    labels: Numbers
    positions: Numbers
    """In the order of names, by class."""
    series: Numbers


def series(uploads: Mapping[int, int]) -> dict[int, int]:
    """The number of the series by position, of upload numbers by position."""
    found, current, before = {}, -1, None
    for position, upload in sorted(uploads.items(), key=lambda pair: pair[1]):
        if before is None or upload - before > NEAR * upload:
            current += 1
        found[position], before = current, upload
    return found


def off(pool: Pool, draw: Draw, groups: Numbers, seed: int) -> float:
    """Reported minus true, if whole groups are held out in turn to report."""
    taught, truth = (np.isin(pool.positions, positions) for positions in draw)
    names = np.unique(groups[taught])
    folds = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    fold = np.where(taught, folds[np.searchsorted(names, groups).clip(0, len(names) - 1)], -1)
    reported, true = [], []
    for k in range(FOLDS):
        teach, ask = taught & (fold != k), fold == k
        model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS)
        model.fit(pool.features[teach], pool.labels[teach])
        right = model.predict(pool.features) == pool.labels
        reported.extend(right[ask])
        true.append(right[truth].mean())
    return float(np.mean(reported) - np.mean(true))


def neighbours() -> list[Draw]:
    """Photos that follow one another by name; the truth is at least 30 away."""
    return [
        (
            np.arange(start, start + TAUGHT),
            np.setdiff1d(np.arange(POOL), np.arange(start - TAUGHT, start + 2 * TAUGHT)),
        )
        for start in range(0, POOL - TAUGHT + 1, STEP)
    ]


def at_random(count: int) -> list[Draw]:
    """Photos from anywhere; the truth is all others."""
    orders = [np.random.default_rng([5, n]).permutation(POOL) for n in range(count)]
    return [(order[:TAUGHT], order[TAUGHT:]) for order in orders]


def _render(flowers: Path, root: Path) -> Iterator[tuple[Shot, int, int, int]]:
    """Every frame with its class, position and upload number."""
    rng = np.random.default_rng(26)
    places = len(LABELS) + SHARED_PLACES
    scenes = [Scene(background(np.random.default_rng([99, n])), n) for n in range(places)]
    for k, label in enumerate(LABELS):
        (root / label).mkdir(parents=True, exist_ok=True)
        for position, photo in enumerate(sorted((flowers / label).glob("*.jpg"))[:POOL]):
            # Half of a class's events are at a place of its own.
            place = int(rng.choice([k] * SHARED_PLACES + list(range(len(LABELS), places))))
            (picture,) = frames(Subject(photo, blue=False), scenes[place], 1, rng)
            path = root / label / f"{position:03d}.jpg"
            picture.save(path, quality=88)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            shot = Shot(path.relative_to(root).as_posix(), digest)
            yield shot, k, position, int(photo.name.split("_")[0])


def _pool(flowers: Path, root: Path, weights: Path) -> Pool:
    shots, labels, positions, uploads = zip(*_render(flowers, root), strict=True)
    known = features_of(shots, root, weights)
    rows = np.stack([known[shot.sha256] for shot in shots])
    middle = rows.mean(axis=0)
    directions = np.linalg.svd(rows - middle, full_matrices=False)[2][:DIRECTIONS].T
    of_class = [
        series({p: u for j, p, u in zip(labels, positions, uploads, strict=True) if j == k})
        for k in range(len(LABELS))
    ]
    numbers = [k * POOL + of_class[k][p] for k, p in zip(labels, positions, strict=True)]
    features = ((rows - middle) @ directions).astype(np.float32)
    return Pool(features, np.array(labels), np.array(positions), np.array(numbers))


def _line(name: str, values: Sequence[float]) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{name:44}{100 * np.mean(values):+6.1f} +- {100 * error:.1f}   {len(values)} draws"


def main(arguments: list[str] | None = None) -> int:
    """Print reported minus true accuracy, in points, for neighbours and for random photos."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.honesty.draws", description=__doc__
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="has flowers/")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/honesty/draws"))
    options = parser.parse_args(arguments)
    pool = _pool(options.shared / "flowers", options.out, options.weights)
    draws = {"neighbours by name": neighbours(), "at random": at_random(len(neighbours()))}
    events = pool.labels * POOL + pool.positions
    several = np.bincount(pool.series)[pool.series] > 1
    print(f"{several.mean():.0%} of {len(several)} photos are in a series of several")
    with threadpool_limits(1):
        for name, some in draws.items():
            for what, groups in (("events", events), ("series", pool.series)):
                offs = [off(pool, draw, groups, seed) for seed, draw in enumerate(some)]
                print(_line(f"{name}, whole {what} held out", offs), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
