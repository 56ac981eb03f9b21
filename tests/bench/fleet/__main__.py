"""`python -m tests.bench.fleet`: releases to many boards, and the load of their checks."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from device.console import guarded
from device.files import write_text
from tests.bench.fleet import software
from tests.bench.fleet.lives import GOOD, KINDS, SOME
from tests.bench.fleet.load import Load, loads
from tests.bench.fleet.ramps import Ramp, ramps

RECORD = "fleet.json"
MOST_SHARE = 0.02
RELEASES = {"model": KINDS, "software": software.KINDS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument(
        "--releases", choices=RELEASES, nargs="+", default=list(RELEASES), help="of what"
    )
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--out", type=Path, default=Path("build/bench/fleet"))
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Run ramps and loads; print tables, and write a record."""
    with TemporaryDirectory() as folder:
        found = []
        # A fleet for each: what was signed lasts for two weeks of days.
        for name in options.releases:
            for ramp in ramps(Path(folder) / name, options.boards, RELEASES[name]):
                found.append(ramp)
                print(ramp, file=sys.stderr, flush=True)
        public = Path(folder) / options.releases[0] / "fleet" / "public"
        borne = list(loads(public, options.seconds))
    record = {
        "boards": options.boards,
        "ramps": [asdict(each) for each in found],
        "loads": [asdict(each) for each in borne],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / RECORD, json.dumps(record, indent=1) + "\n")
    print("\n".join([*ramp_table(found, options.boards), "", *load_table(borne)]))
    return int(not all(as_promised(each, options.boards) for each in found))


def as_promised(ramp: Ramp, boards: int) -> bool:
    """A good release reaches all; one that is bad everywhere is stopped at 2% of the boards."""
    if ramp.kind in (GOOD, software.GOOD):
        return ramp.kept == boards and not ramp.halted
    return ramp.halted and (ramp.tried <= MOST_SHARE * boards or ramp.kind == SOME)


def ramp_table(found: Iterable[Ramp], boards: int) -> Iterable[str]:
    """Lines of Markdown."""
    yield "| release | offered to | boards that took it | run it in the end | requests |"
    yield "|---|---|---|---|---|"
    for each in found:
        stages = ", ".join(f"{one:g}" for one in each.stages) + "%"
        end = ", halted" if each.halted else ""
        share = f"{each.tried} ({100 * each.tried / boards:.1f}%)"
        yield f"| {each.kind} | {stages}{end} | {share} | {each.kept} | {each.requests:,} |"


def load_table(found: Iterable[Load]) -> Iterable[str]:
    """Lines of Markdown."""
    yield "| server | asked for | requests/s | server's time | bytes | boards |"
    yield "|---|---|---|---|---|---|"
    for each in found:
        boards = f"{each.boards:,.0f}"
        asked = (f"{each.per_s:,.0f}", f"{each.cpu_us:.0f} us", f"{each.wire_bytes:,}")
        cells = (each.server, each.what, *asked, boards)
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
