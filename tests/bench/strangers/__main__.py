"""`python -m tests.bench.strangers`: each class in turn as the stranger to networks of the others.

Each network is trained by the recipe without one class, so it was never shown it: the hard case.
Limits are chosen by validation photos of the other classes. `--set` changes the recipe, and
`--against` names a run that is compared with. What was trained is kept: the command goes on.
`--share` judges the same networks with weights on the way from ImageNet's to the trained ones.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from device.console import guarded
from device.workstation.quiet import quiet_tensorflow


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what is not there yet, print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.strangers", description=__doc__)
    parser.add_argument("--trainings", type=Path, nargs="+", default=[Path("build/train")])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the splits")
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--share", type=float, default=1.0, help="of the way; 1: as trained")
    parser.add_argument("--classes", nargs="+", help="that are left out; default: each in turn")
    parser.add_argument("--other", type=Path, help="folder of photos of other things")
    parser.add_argument("--against", nargs="*", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--out", type=Path, default=Path("build/bench/strangers"))
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Train what is not there yet, and print the tables."""
    from tests.bench.strangers.table import Run, by_class, table

    for training, seed in zip(options.trainings, options.seeds, strict=True):
        train(training, seed, options)
    runs, against = (
        [Run.read(folder(options.out, seed, changes), options.classes) for seed in options.seeds]
        for changes in (described(options), options.against)
    )
    for one in runs:
        print(f"{one.name}\n{by_class(one)}\n")
    print(table(runs, against))
    return 0


def described(options: argparse.Namespace) -> list[str]:
    """What is not as by default."""
    return [*options.set, *([] if options.share == 1 else [f"share={options.share:g}"])]


def folder(out: Path, seed: int, changes: Sequence[str]) -> Path:
    """Where the networks of a recipe and a split are described."""
    return out / "-".join([str(seed), *changes])


def train(training: Path, seed: int, options: argparse.Namespace) -> None:
    """Train what is not there yet."""
    with quiet_tensorflow():
        from tests.bench.strangers.networks import Frozens, LeftOut, keep
        from train.bench.recipes import changed
        from train.network.backbone import Architecture
        from train.network.fetch_weights import fetch_weights
        from train.recipe.config import TrainConfig

    config = changed(TrainConfig(architecture=Architecture(), seed=seed), options.set)
    weights = fetch_weights(options.weights, config.architecture.spec.checkpoint)
    out = folder(options.out, seed, described(options))
    trained = folder(options.out, seed, options.set)
    for each in (out, trained):
        each.mkdir(parents=True, exist_ok=True)
    frozen = Frozens.of(training, config, weights, options.out / "cache")
    others = None
    for number, label in enumerate(frozen.photos.labels):
        if label not in (options.classes or [label]):
            continue
        path, state = out / f"{label}.npz", trained / f"{label}.state.npz"
        if not path.exists():
            began = time.process_time()
            others = others or frozen.strangers(options.other)
            left_out = LeftOut(frozen, number)
            keep(path, left_out.shown(left_out.trained(state, options.share), others))
            taken = time.process_time() - began
            print(f"{label}: {taken:.0f} s of processor time", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
