"""`python -m tests.bench.look`: films of fixed cameras, empty and visited; a page and a record."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from device.console import guarded
from device.contract.look.rules import LookRules
from device.files import write_text
from tests.bench.look import footage, scenes
from tests.bench.look.findings import Findings
from tests.bench.look.judge import Judged, judged
from tests.bench.look.scenes import Scene

PAGE, RECORD = "look.html", "look.json"
VIDEO_SHARE = 4
"""Films as video are so many times shorter: they take as many times longer a frame."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.look", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench/look"))
    parser.add_argument("--hours", type=float, default=24, help="empty, all films together")
    parser.add_argument("--minutes", type=float, default=10, help="visited, of each film")
    parser.add_argument("--only", nargs="*", help="films whose names contain one of these")
    parser.add_argument("--places", type=int, nargs="*", default=scenes.HELD_OUT, help="drawn")
    parser.add_argument("--rule", nargs="*", default=[], help="NAME=NUMBER of LookRules")
    parser.add_argument("--paced", action="store_true", help="as the service looks at 10 frames/s")
    parser.add_argument("--no-real", action="store_true", help="fetch no real footage")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write page and record."""
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.out / "footage"
    missing = {} if options.no_real else footage.fetch(folder)
    for name, why in missing.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    real = [] if options.no_real else scenes.real(folder)
    chosen = [
        scene
        for scene in (*scenes.drawn(options.places), *scenes.as_video(), *real)
        if options.only is None or any(part in scene.name for part in options.only)
    ]
    found = Findings(tuple(_all(chosen, options)), missing)
    write_text(options.out / RECORD, json.dumps(found.record(), indent=1) + "\n")
    write_text(options.out / PAGE, found.page())
    print(f"{found.table()}\npage: {options.out / PAGE}")
    return 0


def _all(chosen: Sequence[Scene], options: argparse.Namespace) -> list[Judged]:
    changed = {name: int(value) for name, value in (rule.split("=") for rule in options.rule)}
    rules = replace(LookRules(), **changed)
    parts = sum(1 / VIDEO_SHARE if s.bits_per_s else 1 for s in chosen)
    empty_s = 3600 * options.hours / max(1.0, parts)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        waiting = [
            pool.submit(
                judged,
                scene.as_camera() if options.paced else scene,
                *_lengths(scene, empty_s, 60 * options.minutes),
                rules,
                paced=options.paced,
            )
            for scene in chosen
        ]
        return [one.result() for one in waiting]


def _lengths(scene: Scene, empty_s: float, visited_s: float) -> tuple[float, float]:
    share = VIDEO_SHARE if scene.bits_per_s else 1
    return empty_s / share, visited_s / share


if __name__ == "__main__":
    sys.exit(main())
