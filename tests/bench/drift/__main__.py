"""`python -m tests.bench.drift`: camera-years of drift, simulated; a page and a record."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from device.console import guarded
from device.files import write_text
from tests.bench.drift import lives
from tests.bench.drift.cached import RENDERED, Cached, cached
from tests.bench.drift.findings import Findings
from tests.bench.drift.worlds import YEAR_DAYS, Cameras

PAGE, RECORD, CACHE = "drift.html", "drift.json", "cached.npz"
AT_ONCE = 100
"""Cameras in memory at the same time."""
FAULTY_PART = 4
"""One of so many cameras is also given each fault."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulation; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drift", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"), help="with its bundle")
    parser.add_argument("--out", type=Path, default=Path("build/bench/drift"))
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--days", type=int, default=YEAR_DAYS)
    parser.add_argument("--photos", type=int, default=500, help="most of the test part")
    parser.add_argument("--strangers", type=Path, help="photos of no class; else rendered clutter")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Simulate, print the table, write page and record."""
    known = cached(options.build, options.out / CACHE, options.photos, options.strangers)
    found = simulate(known, options.cameras, options.days, options.seed)
    found = replace(found, strangers=options.strangers.name if options.strangers else RENDERED)
    write_text(options.out / RECORD, json.dumps(found.record(), indent=1) + "\n")
    write_text(options.out / PAGE, found.page())
    print(f"{found.table()}\npage: {options.out / PAGE}")
    return 0


def simulate(known: Cached, cameras: int, days: int, seed: int) -> Findings:
    """The lives of so many cameras, and what became of them."""
    years, faults = [], []
    for first in range(0, cameras, AT_ONCE):
        number = min(AT_ONCE, cameras - first)
        drawn = Cameras.drawn(number, known, np.random.default_rng([seed, first]))
        years.append(lives.years(drawn, known, seed + first, days))
        some = Cameras.drawn(
            -(-number // FAULTY_PART), known, np.random.default_rng([seed, first, 1])
        )
        told = [lives.found(some, known, seed + first, one) for one in lives.EXPECTED]
        faults.append([*told, lives.foreign(some, known, seed + first)])
        print(f"{first + number} of {cameras} cameras", file=sys.stderr, flush=True)
    return Findings(
        model=known.model_sha256[:12],
        has_distance=bool(np.isfinite(known.distance).any()),
        photos=int((known.truth >= 0).sum()),
        cameras=cameras,
        days=days,
        years=lives.Years.together(years),
        score_offset=known.score_offset.value,
        faults=tuple(lives.Found.together(same) for same in zip(*faults, strict=True)),
    )


if __name__ == "__main__":
    sys.exit(main())
