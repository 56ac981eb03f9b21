"""`python -m tests.bench.scale.torn`: events torn in two, found by a search and by comparing.

Features are made of real ones. One photo in ten shows nearly what the one before it shows, as an
event of its own. What is left of all without their surroundings is the same for both ways.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.console import guarded
from device.workstation.measures import wilson
from tests.bench.scale import pictures
from tests.bench.scale.features import made
from train.curate import apart
from train.curate.vectors import Vectors, of_length_one
from train.data.split import Row

Numbers = npt.NDArray[np.int64]

EACH = 10
"""One photo in so many is torn off the one before."""
NOISE = 0.3
"""Length of what they differ by at most, where features have length 1."""
NEVER = 10**9
"""So many photos that they are compared each with each."""


def _features(count: int, real: npt.NDArray[np.float32], out: Path) -> npt.NDArray[np.float32]:
    """Of `count` photos, each an event; rows of length 1."""
    names = [f"class {each}" for each in range(pictures.CLASSES)]
    rows = [Row("", names[i // EACH % len(names)], "", "", "", "") for i in range(count)]
    features, rng = made(rows, real, names, out)[:], np.random.default_rng(2)
    torn = np.arange(EACH - 1, count, EACH)
    noise = of_length_one(rng.standard_normal((len(torn), features.shape[1]), np.float32))
    features[torn] = features[torn - 1] + noise * rng.uniform(0, NOISE, (len(torn), 1))
    return of_length_one(features)


def _linked(own: Vectors, many: int) -> tuple[Numbers, float]:
    """Pairs of photos that are linked, a number for each, and seconds of a processor."""
    vars(apart)["MANY"], began, each = many, time.process_time(), np.arange(len(own))
    unknown, nothing = np.full(len(own), -1), np.empty(0, np.int64)
    links = apart._links(own, each, unknown, nothing)
    return links.ends[0] * len(own) + links.ends[1], time.process_time() - began


def _told(name: str, expected: Numbers, found: Numbers) -> str:
    caught = int(np.isin(expected, found).sum())
    low, high = wilson(caught / max(1, len(expected)), len(expected))
    share = caught / max(1, len(expected))
    return f"{name}: {caught:,} of {len(expected):,} ({share:.2%}, {low:.2%} to {high:.2%})"


def run(options: argparse.Namespace) -> int:
    """Both ways, of each number of photos."""
    options.out.mkdir(parents=True, exist_ok=True)
    real = np.load(options.real)[:, : options.numbers]
    for count in options.rows:
        features = _features(count, real, options.out)
        own = apart._own(features, np.arange(count))
        (searched, search_s), (compared, compare_s) = _linked(own, 2), _linked(own, NEVER)
        second = compared % count
        torn = (second % EACH == EACH - 1) & (compared // count == second - 1)
        print(f"{count:,} photos: searched {search_s:.1f} s, compared {compare_s:.1f} s")
        print(f"  {_told('pieces of events', compared[torn], searched)}")
        print(f"  {_told('all links', compared, searched)}")
        print(f"  {len(np.setdiff1d(searched, compared))} links that comparing does not find")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale.torn", description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("build/bench/split/real.npy"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/torn"))
    parser.add_argument("--rows", type=int, nargs="*", default=(20_000, 50_000, 100_000))
    parser.add_argument("--numbers", type=int, default=256, help="so many of each row's features")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
