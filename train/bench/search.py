"""A recipe judged by validation alone, on several splits at once: the test parts stay unseen.

One split's validation part is too small to tell recipes apart: one of two equal ones is ahead by
half a point. So the answers of all splits are pooled, and two recipes are compared photo by photo.
"""

import device.interrupt  # noqa: F401

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from device.commit import commit
from device.console import guarded
from device.errors import UsageError
from device.files import write_text
from device.workstation.training import CUTS, DATA, EVENTS, SPLIT, STRANGERS, Part
from train.bench.recipes import changed
from train.errors import DataError, TrainingError
from train.network.backbone import Architecture
from train.network.backbones import BACKBONES, DEFAULT
from train.network.fetch_weights import fetch_weights
from train.recipe.config import TrainConfig

if TYPE_CHECKING:
    from train.recipe.fit import FineTuned

NORMAL_95 = 1.96


@dataclass(frozen=True)
class Judged:
    """What a recipe's networks say of the validation photos of all splits."""

    backbone: str
    changes: list[str]
    """Of the default recipe, as NAME=NUMBER."""
    teachers: list[list[str]]
    """Folders of the teachers of each split."""
    commit: str
    photos: list[str]
    """Seed of the split and path of each photo: "0 rose/1.jpg"."""
    events: list[str]
    """Of each photo; the same in all splits."""
    right: list[bool]
    """Whether the kept epoch's answer is."""
    losses: list[float]
    """Nats of the true class, by probabilities with a temperature that was fitted to the split."""
    val_accuracy: list[list[float]]
    """After each epoch, by split."""
    best_epochs: list[int]
    processor_s: list[float]
    """Of each split's training, views included that no cache had."""


@dataclass(frozen=True)
class Difference:
    """A mean over photos with its standard error, which takes an event's photos together."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64], events: Sequence[str]) -> "Difference":
        """Of one value per photo."""
        _, event = np.unique(np.array(events, str), return_inverse=True)
        sums = np.bincount(event, values - values.mean())
        return cls(float(values.mean()), float(np.sqrt((sums**2).sum()) / len(values)))

    def text(self, scale: float, digits: int) -> str:
        """With its 95% interval, in other units."""
        mean, reach = self.mean * scale, self.error * scale * NORMAL_95
        return f"{mean:+.{digits}f} ({mean - reach:+.{digits}f} to {mean + reach:+.{digits}f})"


def compared(one: Judged, other: Judged) -> str:
    """One recipe minus another, paired by photo.

    Raises:
        UsageError: if they were judged by other photos.
    """
    if one.photos != other.photos:
        raise UsageError("--against: these recipes were judged by other photos")
    right = np.array(one.right, float) - np.array(other.right, float)
    losses = np.array(one.losses) - np.array(other.losses)
    only_one, only_other = int((right > 0).sum()), int((right < 0).sum())
    return (
        f"{Difference.of(right, one.events).text(100, 2)} points ({only_one} photos only this one, "
        f"{only_other} only the other); loss {Difference.of(losses, one.events).text(1000, 1)} e-3"
    )


def summary(judged: Judged) -> str:
    """One line: how good a recipe is, and what it costs."""
    by_split = [f"{history[best]:.2%}" for history, best in _kept(judged)]
    last = float(np.mean([history[-1] for history in judged.val_accuracy]))
    return (
        f"{' '.join(judged.changes) or 'default'}: validation {np.mean(judged.right):.2%} "
        f"(n = {len(judged.right)}; by split {', '.join(by_split)}), last epoch {last:.2%}, "
        f"loss {np.mean(judged.losses):.4f}, best epochs {judged.best_epochs}, processor "
        f"{', '.join(f'{seconds:.0f}' for seconds in judged.processor_s)} s"
    )


def _kept(judged: Judged) -> list[tuple[list[float], int]]:
    return list(zip(judged.val_accuracy, judged.best_epochs, strict=True))


def judge(options: argparse.Namespace) -> Judged:
    """Train on each split and ask about its validation part.

    Raises:
        DataError: if a folder has no split.
        TrainingError: if a training was interrupted.
        UsageError: if a change cannot be made.
    """
    for training in options.trainings:
        if not (training / SPLIT).exists():
            raise DataError(f"{training}: there is no split; run `make data` first")
    architecture = Architecture(options.backbone, size_px=options.size)
    weights = fetch_weights(options.weights, architecture.spec.checkpoint)
    rows: dict[str, list[Any]] = {}
    for number, training in enumerate(options.trainings):
        seed = options.seeds[number] if options.seeds else number
        config = changed(TrainConfig(architecture=architecture, seed=seed), options.set)
        teachers = [Path(each.format(seed)) for each in options.teacher]
        keep = options.keep / str(seed) if options.keep else None
        for name, values in _of_split(training, config, weights, teachers, keep).items():
            rows.setdefault(name, []).extend(values)
    return Judged(options.backbone, list(options.set), commit=commit(), **rows)


def _of_split(
    training: Path,
    config: TrainConfig,
    weights: Path,
    teachers: list[Path],
    keep: Path | None,
) -> dict[str, list[Any]]:
    """The fields of `Judged` for one split; its caches are those beside the training."""
    from train.network.cache import adopt
    from train.network.temperature import fit_temperature
    from train.recipe.activations import CACHE_FOLDER
    from train.recipe.fit import fine_tuned

    started, made_by = time.process_time(), commit()
    with tempfile.TemporaryDirectory(prefix="fieldguide-search-", dir=training.parent) as folder:
        out, cache = Path(folder) / "train", Path(folder) / CACHE_FOLDER
        out.mkdir()
        adopt(cache, sorted(training.parent.glob("cache*")))
        for name in (SPLIT, EVENTS, CUTS, DATA, STRANGERS):
            shutil.copy(training / name, out)
        done = fine_tuned(config, str(weights), out, teachers)
        kept = training.parent / f"cache-{config.cut}"
        adopt(kept, [cache])
        for state in kept.glob("*.state.npz"):
            state.unlink()
        if done.tuned.interrupted:
            raise TrainingError("interrupted: a recipe is judged after all its epochs")
        taken = round(time.process_time() - started, 1)
        if keep:
            _keep(done, made_by, keep)
    rows, events = done.photos.rows[Part.VAL], done.photos.events(Part.VAL)
    labels = done.photos.numbers(Part.VAL)
    temperature = fit_temperature(done.logits, labels, events)
    losses = _losses(done.logits / temperature, labels)
    return {
        "teachers": [[str(teacher) for teacher in teachers]],
        "photos": [f"{config.seed} {row.path}" for row in rows],
        "events": list(events),
        "right": (done.logits.argmax(axis=1) == labels).tolist(),
        "losses": losses.tolist(),
        "val_accuracy": [[epoch.val_accuracy for epoch in done.tuned.history]],
        "best_epochs": [done.tuned.best_epoch],
        "processor_s": [taken],
    }


def _keep(done: "FineTuned", made_by: str, folder: Path) -> None:
    """Leave a whole training in `folder`, which can be quantized and can teach."""
    from train.network.cache import adopt
    from train.recipe.activations import CACHE_FOLDER
    from train.recipe.fit import finish

    finish(done, made_by)
    out = done.training.out
    adopt(folder / CACHE_FOLDER, [out.parent / CACHE_FOLDER])
    shutil.copytree(out, folder / out.name, dirs_exist_ok=True)


def _losses(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    from scipy.special import log_softmax

    chosen = log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels]
    return -np.asarray(chosen, np.float64)


def work(options: argparse.Namespace) -> int:
    """Judge a recipe, write the record, and print how it compares."""
    judged = judge(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(asdict(judged)) + "\n")
    print(summary(judged))
    if options.against:
        other = Judged(**json.loads(options.against.read_text("utf-8")))
        print(f"minus {' '.join(other.changes) or 'default'}: {compared(judged, other)}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the search; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m train.bench.search",
        description="Judge a recipe by the validation parts of several splits, and no test photo.",
        epilog="example: python -m train.bench.search --trainings build/train build1/train "
        "--set epochs=20 --against build/bench/search/default.json --out 20.json",
    )
    parser.add_argument("--trainings", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument(
        "--seeds", type=int, nargs="+", metavar="N", help="of each training; default: 0 1 2 ..."
    )
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--backbone", choices=tuple(BACKBONES), default=DEFAULT, metavar="NAME")
    parser.add_argument(
        "--size", type=int, default=0, help="input size in pixels; 0: the backbone's own"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=NUMBER", help="change settings of the recipe"
    )
    parser.add_argument(
        "--teacher",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="trainings that teach; {} in a name becomes the seed",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="leave each split's training in FOLDER/SEED/train, to quantize it or to teach; its "
        "metrics.json has the test part",
    )
    parser.add_argument("--against", type=Path, metavar="FILE", help="--out of another recipe")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    return guarded(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
