"""Our recipe compared with those of others: same split, same weights, one run.

The others are those of `train.bench.others`; `ours` is `train.recipe.fit.run` with its defaults.

Each recipe runs in its own process, so that peak memory is measured separately. Clocks start after
TensorFlow is imported and include reading photos and weights.
"""

import device.interrupt  # noqa: F401

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from device import child
from device.console import guarded
from device.errors import UsageError
from device.files import write_text
from device.workstation.training import (
    CUTS,
    DATA,
    EVENTS,
    SPLIT,
    TIMINGS,
    Accuracy,
    Timings,
)
from train.bench.others import OTHERS
from train.bench.others import run as run_other
from train.errors import DataError, TrainingError
from train.network.backbone import Architecture
from train.network.backbones import BACKBONES, DEFAULT
from train.network.fetch_weights import fetch_weights
from train.recipe.config import TrainConfig

TUTORIAL, OURS = "tutorial", "ours"
RECIPES = (*OTHERS, OURS)
LESS_THAN_A_PHOTO = 1e-6
"""Tolerance for Keras' float32 accuracies: equal shares of photos must compare as equal."""


@dataclass(frozen=True)
class Measured:
    """One recipe's run."""

    recipe: str
    n: int
    """Photos of the test part."""
    test_accuracy: float
    interval: list[float]
    """95%, by event."""
    val_accuracy: list[float]
    """After each epoch."""
    ended_s: list[float]
    """When each epoch ended, validation included."""
    ended_processor_s: list[float]
    """The same in processor time of all threads, which other load on the machine hardly changes."""
    seconds: float
    """Of the whole run, up to the classified test part."""
    processor_s: float
    peak_memory_mib: float

    def reached(self, accuracy: float) -> tuple[float, float] | None:
        """Seconds and processor seconds until the validation accuracy was first at least this."""
        times = zip(self.val_accuracy, self.ended_s, self.ended_processor_s, strict=True)
        for reached, ended, processor in times:
            if reached >= accuracy - LESS_THAN_A_PHOTO:
                return ended, processor
        return None


@dataclass
class _Clock:
    """Notes when each epoch ended, and how good it was."""

    started: float = field(default_factory=time.perf_counter)
    started_processor: float = field(default_factory=time.process_time)
    ended: list[float] = field(default_factory=list)
    ended_processor: list[float] = field(default_factory=list)
    val: list[float] = field(default_factory=list)

    def note(self, val_accuracy: float) -> None:
        self.ended.append(self.seconds())
        self.ended_processor.append(self.processor_s())
        self.val.append(float(val_accuracy))

    def seconds(self) -> float:
        return round(time.perf_counter() - self.started, 1)

    def processor_s(self) -> float:
        return round(time.process_time() - self.started_processor, 1)


def changed(config: TrainConfig, changes: list[str]) -> TrainConfig:
    """The settings with some of them changed, each given as NAME=NUMBER.

    Raises:
        UsageError: if one of them is not of this form.
    """
    for change in changes:
        name, _, text = change.partition("=")
        known = [f.name for f in fields(config) if isinstance(getattr(config, f.name), int | float)]
        if name not in known:
            raise UsageError(f"--set {change}: give one of {', '.join(known)} as NAME=NUMBER")
        try:
            kind = type(getattr(config, name))
            # `bool` takes any text but an empty one as true.
            value: Any = bool(int(text)) if kind is bool else kind(text)
            config = replace(config, **{name: value})
        except ValueError as error:
            raise UsageError(f"--set {change}: {text!r} is not a number") from error
    return config


def _run_ours(
    training: Path,
    weights: Path,
    config: TrainConfig,
    clock: _Clock,
    caches: Sequence[Path],
    teachers: Sequence[Path],
) -> Accuracy:
    from train.network.cache import adopt
    from train.recipe.activations import CACHE_FOLDER
    from train.recipe.fit import run

    with tempfile.TemporaryDirectory(prefix="fieldguide-bench-", dir=training.parent) as folder:
        out = Path(folder) / "train"
        out.mkdir()
        adopt(Path(folder) / CACHE_FOLDER, caches)
        for name in (SPLIT, EVENTS, CUTS, DATA):
            shutil.copy(training / name, out)
        metrics = run(config, str(weights), out, teachers)
        timings = Timings.read(out / TIMINGS)
    clock.ended = list(timings.epochs_ended_s)
    clock.ended_processor = list(timings.epochs_ended_processor_s)
    clock.val = [epoch.val_accuracy for epoch in metrics.history]
    return metrics.test


def run_recipe(
    recipe: str,
    training: Path,
    weights: Path,
    config: TrainConfig,
    most_epochs: int | None = None,
    caches: Sequence[Path] = (),
    teachers: Sequence[Path] = (),
) -> Measured:
    """Run one recipe in this process; all but ours use only size and seed of `config`.

    `most_epochs` limits each phase of the others' recipes. What our recipe finds in `caches` of
    other trainings is not computed again, and `teachers` teach it.
    """
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    clock = _Clock()
    if recipe == OURS:
        share = _run_ours(training, weights, config, clock, caches, teachers)
    else:
        given = (config.architecture.size_px, config.seed, clock.note, most_epochs)
        share = run_other(OTHERS[recipe], training, weights, *given)
    return Measured(
        recipe=recipe,
        n=share.n,
        test_accuracy=share.accuracy,
        interval=list(share.interval),
        val_accuracy=clock.val,
        ended_s=clock.ended,
        ended_processor_s=clock.ended_processor,
        seconds=clock.seconds(),
        processor_s=clock.processor_s(),
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def table(results: list[Measured]) -> str:
    """The recipes side by side, with their times also as ratios to ours."""
    by_name = {result.recipe: result for result in results}
    goal = by_name[TUTORIAL].val_accuracy[-1]
    ours = by_name[OURS].reached(goal)
    lines = [
        f"test part n = {results[0].n}; 'reached': the first epoch at which the validation "
        f"accuracy is at least the tutorial's last, {goal:.2%}; both clocks: seconds / processor "
        "seconds",
        "",
        f"{'recipe':14}{'test top-1':>11}{'95% interval':>20}{'whole run':>15}{'reached':>15}"
        f"{'times ours':>15}{'peak MiB':>10}",
    ]
    for result in results:
        low, high = result.interval
        reached = result.reached(goal)
        ratio = "-"
        if reached and ours:
            ratio = f"{reached[0] / ours[0]:.1f} / {reached[1] / ours[1]:.1f}"
        lines.append(
            f"{result.recipe:14}{result.test_accuracy:>11.2%}{f'{low:.2%} to {high:.2%}':>20}"
            f"{f'{result.seconds:.0f} / {result.processor_s:.0f}':>15}"
            f"{f'{reached[0]:.0f} / {reached[1]:.0f}' if reached else 'never':>15}{ratio:>15}"
            f"{result.peak_memory_mib:>10.0f}"
        )
    return "\n".join(lines)


def measure_all(options: argparse.Namespace) -> int:
    """Run every recipe in its own process; print the table and write it as JSON."""
    if options.set or options.caches or options.teacher or options.backbone != DEFAULT:
        raise UsageError(
            "--set, --backbone, --caches and --teacher are for one recipe: add --recipe ours"
        )
    if options.most_epochs:
        raise UsageError("--most-epochs is for one recipe of others: add --recipe NAME")
    if not {TUTORIAL, OURS} <= set(options.recipes):
        raise UsageError(
            f"--recipes: the table compares with {TUTORIAL} and {OURS}; name them, too, or give "
            "one with --recipe"
        )
    if not (options.training / SPLIT).exists():
        raise DataError(f"{options.training}: there is no split; run `make data` first")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    results = []
    for recipe in options.recipes:
        print(f"running the recipe '{recipe}'", file=sys.stderr)
        answer = options.out.with_name(f"{options.out.stem}_{recipe}.json")
        command = child.command("-m", "train.bench.recipes", "--recipe", recipe)
        command += ["--training", str(options.training), "--weights", str(options.weights)]
        command += ["--size", str(options.size), "--seed", str(options.seed)]
        command += ["--out", str(answer)]
        done = subprocess.run(command, stdout=sys.stderr, env=child.environment(), check=False)
        if done.returncode:
            raise TrainingError(f"the recipe '{recipe}' failed; see above")
        results.append(Measured(**json.loads(answer.read_text("utf-8"))))
    write_text(options.out, json.dumps([asdict(result) for result in results], indent=2) + "\n")
    print(table(results))
    return 0


def measure_one(options: argparse.Namespace) -> int:
    """Run one recipe in this process and write its figures into a file."""
    if options.recipe != OURS and options.backbone != DEFAULT:
        raise UsageError(f"--backbone: the recipe '{options.recipe}' has its own network")
    if options.recipe == OURS and options.most_epochs:
        raise UsageError("--most-epochs is for recipes of others: for ours, use --set epochs=N")
    architecture = Architecture(options.backbone, size_px=options.size)
    config = changed(TrainConfig(architecture=architecture, seed=options.seed), options.set)
    weights = fetch_weights(options.weights, architecture.spec.checkpoint)
    given = (options.recipe, options.training, weights, config)
    measured = run_recipe(*given, options.most_epochs, options.caches, options.teacher)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(asdict(measured)) + "\n")
    print(
        f"{options.recipe}: validation {max(measured.val_accuracy):.2%}, test "
        f"{measured.test_accuracy:.2%} (n = {measured.n}), {measured.seconds:.0f} s"
    )
    return 0


def _epochs(text: str) -> int:
    with suppress(ValueError):
        if int(text) > 0:
            return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1, such as 15")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m train.bench.recipes",
        description="Compare our training recipe with those of others. Takes over an hour.",
        epilog="example: python -m train.bench.recipes --recipe ours --set views=4 epochs=6 "
        "--out build/bench/fewer_views.json",
    )
    parser.add_argument("--training", type=Path, default=Path("build/train"))
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument(
        "--size", type=int, default=0, help="input size in pixels; 0: the backbone's own"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the training, not of the split"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench/train.json"))
    parser.add_argument(
        "--recipes",
        nargs="+",
        choices=RECIPES,
        default=RECIPES,
        metavar="NAME",
        help=f"some of {', '.join(RECIPES)} (default: all); tutorial and ours must be there",
    )
    parser.add_argument("--recipe", choices=RECIPES, help="run only this one, in this process")
    parser.add_argument(
        "--most-epochs",
        type=_epochs,
        metavar="N",
        help="end each phase of a recipe of others after so many epochs",
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=NUMBER", help="change settings of our recipe"
    )
    parser.add_argument("--backbone", choices=tuple(BACKBONES), default=DEFAULT, metavar="NAME")
    parser.add_argument(
        "--caches",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="caches of other trainings: what they have in common is not computed again",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="trainings on the same split that teach our recipe's network",
    )
    options = parser.parse_args(arguments)
    return guarded(lambda: measure_one(options) if options.recipe else measure_all(options))


if __name__ == "__main__":
    sys.exit(main())
