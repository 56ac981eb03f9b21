"""What a look costs beside the int8 model in the same run, and the memory that it needs.

    python -m tests.bench.look.cost --bundle build/bundle [--rounds 200]

Processor times of one thread, medians; model and look take turns, so that other load meets both.
"""

import argparse
import itertools
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from device.contract.bundle import load
from device.contract.look.looker import Looker
from device.contract.look.rules import LookRules
from device.contract.preprocess import prepare_frame
from device.inference.classifier import Classifier
from tests.support.films import Film, Shot, Visit, shots

FRAME_PX = (640, 480)
FROM_S = 13
FILMS = {
    "nothing": ("noise", ()),
    "a subject": ("noise", (Visit(12, 99, 0.3, seed=1),)),
    "shadows": ("clouds", ()),
}
LOOP_MS, STEP_MS = 1, 250
Work = Callable[[], object]


def learned(film: Sequence[Shot]) -> Looker:
    """A looker that has seen a film once."""
    looker = Looker(LookRules())
    for shot in film:
        looker.see(shot.pixels, shot.at_ms)
    return looker


def look(film: Sequence[Shot], step_ms: int) -> Work:
    """Look at the end of a film again and again."""
    looker = learned(film)
    last = itertools.cycle([shot.pixels for shot in film if shot.at_ms >= 1000 * FROM_S])
    times = itertools.count(film[-1].at_ms, step_ms)
    return lambda: looker.see(next(last), next(times))


def medians_us(works: Sequence[Work], rounds: int) -> list[float]:
    """The median time of each, in microseconds; they take turns."""
    spent = np.zeros((rounds, len(works)))
    for number in range(rounds):
        for place, work in enumerate(works):
            began_ns = time.thread_time_ns()
            work()
            spent[number, place] = (time.thread_time_ns() - began_ns) / 1000
    return [float(value) for value in np.median(spent, axis=0)]


def memory_bytes(film: Sequence[Shot]) -> tuple[int, int]:
    """What a looker keeps once it has learned, and the most that it needs at any time."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    looker = learned(film)
    kept, most = (size - before for size in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert looker.background is not None
    return kept, most


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args(arguments)
    bundle = load(options.bundle)
    classifier = Classifier.from_bundle(bundle, threads=1)
    films = {
        name: list(shots(Film(16, light, visits, fps=4, size_px=FRAME_PX)))
        for name, (light, visits) in FILMS.items()
    }
    pixels = films["nothing"][0].pixels
    classifier.set_input(prepare_frame(pixels, bundle.preprocessing))
    works: list[Work] = [classifier.invoke, lambda: prepare_frame(pixels, bundle.preprocessing)]
    works += [look(film, step) for film in films.values() for step in (LOOP_MS, STEP_MS)]
    invoke_us, *others = medians_us(works, options.rounds)
    names = ["crop and resize, for comparison"]
    names += [f"look: {name}{step}" for name in films for step in ("", ", with a step")]
    print("| what | us | share of the model |\n|---|---|---|")
    print(f"| the model ({classifier.runtime.name}) | {invoke_us:.0f} | 100% |")
    for name, spent_us in zip(names, others, strict=True):
        print(f"| {name} | {spent_us:.0f} | {spent_us / invoke_us:.1%} |")
    kept, most = memory_bytes(films["nothing"])
    print(f"\nMemory: {kept / 1e6:.2f} MB kept, {most / 1e6:.2f} MB at most (while learning ends).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
