"""How many instructions a look takes on an emulated core of a Pi, beside the int8 model.

    python -m tests.bench.look.instructions --bundle build/bundle [--core pi4]

Rendered films of 640x480 with noise, where some of the place is overexposed: with nothing there, a
subject, and subjects among leaves. The background is learned here, and looked at on the board, by
the emulator of `make test-arm`. Medians of 16 looks, without and with a step of the background,
which is due four times a second.
"""

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from device.console import guarded
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules
from tests.emulated.support import arm_invoke, arm_looks
from tests.emulated.support.arm_boards import SYSTEMS
from tests.emulated.support.qemu_user import BOARDS, Machine, machine
from tests.support.films import Film, Visit, background, shots
from tests.support.places import ROOT

FRAME_PX = (640, 480)
COUNTED = 16
FPS = 4.0
BRIGHTER = 40.0
"""So much that some of a place is overexposed."""
PLACE = 3


def _film(seconds: float, disturbance: str, *, height: float = 0.0) -> Film:
    place = background(FRAME_PX, PLACE) + np.float32(BRIGHTER)
    came_s = seconds - (arm_looks.WARM + COUNTED) / FPS - 2
    visits = (Visit(came_s, seconds + 9, height, seed=1),) if height else ()
    return Film(seconds, disturbance, visits, PLACE, FPS, FRAME_PX, behind=lambda at_s: place)


FILMS = {
    "nothing there": _film(20, "noise"),
    "a subject, 0.3 of the height": _film(20, "noise", height=0.3),
    "leaves, a subject of 0.3": _film(90, "leaves", height=0.3),
    "leaves, a subject of 0.5": _film(90, "leaves", height=0.5),
}


def learned(film: Film) -> dict[str, Any]:
    """A film's last frames, and the background that it would have shown before them."""
    last = [*deque(shots(film), arm_looks.WARM + COUNTED)]
    looker = Looker(LookRules())
    for shot in shots(replace(film, visits=())):
        if shot.at_ms < last[0].at_ms:
            looker.see(shot.pixels, shot.at_ms)
    known = looker.background
    assert known is not None
    frames = np.stack([shot.pixels for shot in last])
    return {"frames": frames, "cells": known.cells, "spread": known.spread}


def rows(board: Machine, bundle: Path, folder: Path) -> Iterator[tuple[str, list[int], str]]:
    """The model's instructions, then those of looks, without and with a step, and what was seen."""
    counter = folder / "count"
    given = {"bundle": str(bundle.resolve()), "counter": str(counter)}
    yield "the model", [_run(board, arm_invoke.__file__, given, counter)["instructions"]], ""
    films = {}
    for number, (name, film) in enumerate(FILMS.items()):
        films[name] = str(folder / f"{number}.npz")
        np.savez(films[name], **learned(film))
    found = _run(board, arm_looks.__file__, {"films": films, "counter": str(counter)}, counter)
    for name, ways in found.items():
        seen = " and ".join(sorted({kind for way in ways for kind in way["seen"]}))
        yield name, [way["instructions"] for way in ways], seen


def _run(board: Machine, program: str, given: dict[str, Any], counter: Path) -> dict[str, Any]:
    done = board.python("-P", program, our_wheel=ROOT, given=json.dumps(given), counter=counter)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.look.instructions", description=__doc__
    )
    parser.add_argument("--bundle", type=Path, default=Path("build/bundle"))
    parser.add_argument("--core", choices=tuple(BOARDS), default="pi4")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Count, and print."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        board = machine(BOARDS[options.core], SYSTEMS["bookworm"], folder / "board")
        print(f"million instructions, {board.board.cpu}, Bookworm (emulated)")
        print(f"| | seen | a look | share of the model | with a step | share |\n{'|---' * 6}|")
        model = 1
        for what, counts, seen in rows(board, options.bundle, folder):
            model = model if seen else counts[0]
            cells = [f"{count / 1e6:.2f} | {count / model:.2%}" for count in counts]
            print(f"| {what} | {seen} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
