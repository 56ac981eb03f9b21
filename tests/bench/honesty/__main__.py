"""`python -m tests.bench.honesty`: render worlds, judge them, write a page and a record."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from threadpoolctl import threadpool_limits

from device.console import guarded
from device.files import write_text
from tests.bench.honesty import full
from tests.bench.honesty.features import features_of
from tests.bench.honesty.judge import Known, Outcome, judge, shots
from tests.bench.honesty.summary import Findings
from tests.bench.honesty.worlds import FLOWERS, WORLDS, render, world

PAGE, RECORD = "honesty.html", "honesty.json"
SPLITS, EXPECTING_SPLITS = 8, 2
"""Splits of every world: a single test part is a matter of luck. What is expected of new places
hardly depends on it, and takes longer: so it is asked for with a few."""


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.honesty", description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="has flowers/")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/honesty"))
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--splits", type=int, default=SPLITS, help="of every world")
    parser.add_argument(
        "--full",
        type=int,
        nargs="*",
        default=full.SEEDS,
        metavar="SEED",
        help="worlds for the default recipe; none: leave it out",
    )
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write page and record."""
    flowers = options.shared / "flowers"
    missing = [name for name in FLOWERS if not (flowers / name).is_dir()]
    if missing:
        print(f"skipped: {flowers} has no folder {missing[0]!r}, which subjects are cut from")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes = linear(options, flowers)
    trained = full.outcomes(options.full, options.shared, options.weights, options.out)
    found = Findings.of(outcomes, trained)
    write_text(options.out / RECORD, json.dumps(asdict(found), indent=1, allow_nan=False) + "\n")
    write_text(options.out / PAGE, found.page())
    print(f"{found.table()}\npage: {options.out / PAGE}")
    return 0


def linear(options: argparse.Namespace, flowers: Path) -> list[Outcome]:
    """Worlds judged with a linear classifier on frozen features."""
    out, splits = options.out, range(options.splits)
    roots = [out / f"{number:02d}" for number in range(options.worlds)]
    for number, root in enumerate(roots):
        render(world(number), flowers, root)
    taken = shots(roots)
    features = features_of(taken, out, options.weights)
    result = []
    for number, root in enumerate(roots):
        known = Known.read(root, world(number).clock == "right", taken, features)
        with threadpool_limits(1):
            result += [judge(known, n, expect=n < EXPECTING_SPLITS) for n in splits]
        print(f"world {number}: {len(known.photos)} photos judged", file=sys.stderr)
    return result


if __name__ == "__main__":
    sys.exit(main())
