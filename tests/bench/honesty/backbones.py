"""Whole builds of one world with several backbones: what each reports, and what is true."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from device.console import guarded
from device.workstation.conversion import VERIFICATION, Interval, VerificationRecord
from device.workstation.measures import wilson
from tests.bench.honesty import full
from tests.bench.honesty.judge import NEW, SAME
from tests.bench.honesty.worlds import render, world
from train.network.backbones import BACKBONES, DEFAULT

SIX_CLASSES = 15
"""A world of six classes and eight places, whose photos have the right time."""


def main(arguments: list[str] | None = None) -> int:
    """Render the world, build it with each backbone, print a table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.honesty.backbones", description=__doc__
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="has flowers/")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/backbones"))
    parser.add_argument("--world", type=int, default=SIX_CLASSES)
    parser.add_argument(
        "--backbones", nargs="+", choices=BACKBONES, default=[DEFAULT], metavar="NAME"
    )
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Build what is not there yet, and print the table."""
    root = options.out / f"world{options.world:02d}"
    render(world(options.world), options.shared / "flowers", root)
    lines = ["| backbone | | reported (95%) | true (95%) |", "|---|---|---|---|"]
    for backbone in options.backbones:
        build = options.out / f"{root.name}-{backbone}"
        full.make(root, build, options.weights, backbone)
        lines += _rows(backbone, build, root)
    print("\n".join(lines))
    return 0


def _rows(backbone: str, build: Path, root: Path) -> Iterator[str]:
    record = VerificationRecord.read(build / "bundle" / VERIFICATION)
    same, new = (full.truth(build, root / name) for name in (SAME, NEW))
    tested = f"test part, n = {record.n} in {record.events} events"
    for what, share, interval, true in (
        (tested, record.int8_accuracy, record.int8_accuracy_interval, same),
        ("held out in turn", record.same_places_accuracy, record.same_places_interval, same),
        ("new places", record.new_places_accuracy, record.new_places_interval, new),
    ):
        said = "not told" if share is None or interval is None else _share(share, interval)
        yield f"| {backbone} | {what} | {said} | {_share(true[0], wilson(*true))}, n = {true[1]} |"


def _share(value: float, interval: Interval | Sequence[float]) -> str:
    low, high = interval
    return f"{value:.1%} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    sys.exit(main())
