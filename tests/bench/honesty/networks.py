"""Other networks and recipes on the worlds of the default recipe, photo by photo beside it.

    python -m tests.bench.honesty.networks --ways mobilenet-v2 efficientnet-lite0+robust
    python -m tests.bench.honesty.networks --ways --bound mobilenet-v2 efficientnet-lite0
    python -m tests.bench.honesty.networks --ways --bare mobilenet-v2+robust

A way is a backbone, and `+robust` where half of the views show a fault of cameras. All worlds show
the same flowers at other places, so photos of one flower count together in every interval. The
first way is what the others are compared with. Two more tables bound them, on the flowers alone,
before they are put into any scene: `--bound` tells what a linear classifier on frozen features of
some backbones reaches, and `--bare` what some ways reach.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.console import guarded
from device.workstation.quiet import quiet_tensorflow
from tests.bench.honesty import full
from tests.bench.honesty.bare import bare
from tests.bench.honesty.judge import NEW, SAME
from train.network.backbones import BACKBONES, DEFAULT

ROBUST = "+robust"
DRAWS = 10_000
"""Bootstrap samples of flowers."""
Hits = dict[str, bool]
"""By world, class and flower, whether a photo was classified rightly."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A network and how it is trained."""

    name: str

    @property
    def backbone(self) -> str:
        """Of the network."""
        return self.name.removesuffix(ROBUST)

    @property
    def robust(self) -> bool:
        """Whether faults of cameras are among its views."""
        return self.name.endswith(ROBUST)


def share(hits: Hits) -> tuple[float, float, float]:
    """The share of photos that are right, and its 95% interval over flowers."""
    return _with_interval(np.array([*hits.values()], float), _flowers(hits))


def gain(hits: Hits, usual: Hits) -> tuple[float, float, float]:
    """How much larger the share of photos that are right is, with its paired 95% interval."""
    apart = np.array([float(hits[key]) - float(usual[key]) for key in hits])
    return _with_interval(apart, _flowers(hits))


def _flowers(hits: Hits) -> list[str]:
    """The flower of each photo: `world/class/p3_e012_0.jpg` shows number 12 of its class."""
    return [key.split("/")[1] + key.rsplit("_", 2)[1] for key in hits]


def _with_interval(values: Floats, flowers: Sequence[str]) -> tuple[float, float, float]:
    of = np.unique(flowers, return_inverse=True)[1]
    sums, counts = np.bincount(of, values), np.bincount(of)
    drawn = np.random.default_rng(0).integers(len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def main(arguments: list[str] | None = None) -> int:
    """Build what is not there yet, print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.honesty.networks", description=__doc__
    )
    names = [name + robust for name in BACKBONES for robust in ("", ROBUST)]
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="has flowers/")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--out", type=Path, default=Path("build/bench/honesty"))
    parser.add_argument("--worlds", type=int, nargs="+", default=full.SEEDS)
    parser.add_argument("--ways", nargs="*", choices=names, default=[DEFAULT], metavar="WAY")
    parser.add_argument("--bound", nargs="*", choices=BACKBONES, default=[], metavar="NAME")
    parser.add_argument("--bare", nargs="*", choices=names, default=[], metavar="WAY")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Print a table of the ways, and one of what bounds them."""
    if not (options.shared / full.WORLD).exists():
        print(f"skipped: {options.shared / full.WORLD} is not there")
        return 0
    ways = [Way(name) for name in options.ways]
    _print("way", {way: [_hits(way, options, name) for name in (SAME, NEW)] for way in ways})
    if options.bare:
        _print("no scene", {Way(name): _bare(Way(name), options) for name in options.bare})
    if options.bound:
        _print_bounds(options)
    return 0


def _print(title: str, found: dict[Way, list[Hits]]) -> None:
    if found:
        head = "same places (95%) | against the first | new places (95%) | against the first"
        print(f"| {title} | {head} |\n{'|---' * 5}|")
    for way, sides in found.items():
        first = next(iter(found.values()))
        cells = [text for pair in zip(sides, first, strict=True) for text in _cells(*pair)]
        print(f"| {way.name}, n = {len(sides[0])} | {' | '.join(cells)} |")


def _bare(way: Way, options: argparse.Namespace) -> list[Hits]:
    """What is said of the flowers of both sides after training on flowers alone."""
    root = bare(options.shared, options.out, options.worlds)
    build = options.out / f"bare-{way.name}"
    full.make(root, build, options.weights, way.backbone, robust=way.robust)
    sides = [full.hits(build, root / side) for side in (SAME, NEW)]
    return [{f"bare/{key}": hit for key, hit in side.items()} for side in sides]


def _hits(way: Way, options: argparse.Namespace, side: str) -> Hits:
    found: Hits = {}
    for seed in options.worlds:
        root = full.world(seed, options.shared, options.out)
        build = options.out / f"{root.name}-{way.name}"
        full.make(root, build, options.weights, way.backbone, robust=way.robust)
        found |= {f"{seed}/{key}": hit for key, hit in full.hits(build, root / side).items()}
    return found


def _cells(hits: Hits, usual: Hits) -> Iterator[str]:
    value, low, high = (100 * number for number in share(hits))
    yield f"{value:.1f}% ({low:.1f} to {high:.1f})"
    value, low, high = (100 * number for number in gain(hits, usual))
    yield f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _print_bounds(options: argparse.Namespace) -> None:
    with quiet_tensorflow():
        from tests.bench.honesty.bound import linear

        found = {name: linear(name, options) for name in options.bound}
    print("| frozen features, no scene | right (95%) | against the first |\n|---|---|---|")
    for name, hits in found.items():
        cells = _cells(hits, found[options.bound[0]])
        print(f"| {name}, n = {len(hits)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
