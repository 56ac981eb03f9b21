"""`python -m tests.bench.scale.judges`: wrong labels found by judges who learned from a sample.

The audit's judges learn from at most 40,000 training photos. Here they look for wrong labels that
were put in, once so and once with all training photos as teachers. Features are made of real ones.
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
from device.workstation.training import Part
from tests.bench.scale import pictures
from tests.bench.scale.features import made
from train.curate import audit
from train.curate.vectors import InFile
from train.data.split import Row, rows_together

Flags = npt.NDArray[np.bool_]

WRONG = 0.02
"""Share of the labels that are wrong."""
PARTS = (*[Part.TRAIN] * 14, *[Part.VAL] * 3, *[Part.TEST] * 3)


def _row(number: int, label: str) -> Row:
    name = f"{number:012x}"
    return Row(f"{label}/{name}.jpg", label, PARTS[number % len(PARTS)], name, name, "")


def _planted(
    count: int, real: npt.NDArray[np.float32], out: Path
) -> tuple[Sequence[Row], InFile, Flags]:
    """Rows of which some have a wrong label, their features, and which these are."""
    rng = np.random.default_rng(0)
    names = [f"class {each}" for each in range(pictures.CLASSES)]
    truth = rng.integers(0, len(names), count)
    features = made([_row(i, names[label]) for i, label in enumerate(truth)], real, names, out)
    wrong = rng.uniform(size=count) < WRONG
    said = (truth + wrong * rng.integers(1, len(names), count)) % len(names)
    return rows_together(_row(i, names[label]) for i, label in enumerate(said)), features, wrong


def _suspects(rows: Sequence[Row], features: InFile, most: int) -> Flags:
    """(n,), which rows the judges suspect, taught by so many training photos at most."""
    audit.MOST_TAUGHT = most
    labels, began = sorted({row.label for row in rows}), time.process_time()
    found, judge = audit.mislabels(rows, labels, features)
    told = {path for finding in found for path in finding.paths}
    took = f"{time.process_time() - began:.0f} s of a processor"
    print(
        f"at most {most:,} teach: {len(found):,} suspects, accuracy {judge and judge.accuracy:.4f}"
    )
    print(f"  {took}")
    return np.array([row.path in told for row in rows], np.bool_)


def run(options: argparse.Namespace) -> int:
    """Both ways, and how they differ."""
    options.out.mkdir(parents=True, exist_ok=True)
    real = np.load(options.real)[:, : options.numbers]
    rows, features, wrong = _planted(options.rows, real, options.out)
    sample, everything = (_suspects(rows, features, n) for n in (audit.MOST_TAUGHT, len(rows)))
    for name, found in (("a sample", sample), ("all", everything)):
        caught, false = found & wrong, found & ~wrong
        share = caught.sum() / wrong.sum()
        low, high = wilson(share, int(wrong.sum()))
        shares = f"{share:.2%}, {low:.2%} to {high:.2%}"
        print(
            f"taught by {name}: {caught.sum():,} of {wrong.sum():,} wrong labels ({shares}) "
            f"and {false.sum():,} right ones are suspected"
        )
    only = (sample & ~everything & wrong).sum(), (everything & ~sample & wrong).sum()
    print(f"wrong labels that only a sample found: {only[0]:,}; only all: {only[1]:,}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale.judges", description=__doc__)
    parser.add_argument("--real", type=Path, default=Path("build/bench/split/real.npy"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/judges"))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--numbers", type=int, default=1280, help="so many of each row's features")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
