"""Command line of the training stage: data, audit, weights, fit, report, distill."""

import device.interrupt  # noqa: F401

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from device import console
from device.errors import UsageError
from device.workstation.expected import NewPlaces
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import REPORT, Metrics
from device.workstation.wording import at_the_same_places, counted, rather_than, sampled
from train.network.backbones import BACKBONES, DEFAULT

if TYPE_CHECKING:
    from device.workstation.photo_files import Source
    from train.curate.prepare import SplitInputs
    from train.data.events.occasions import EventSettings
    from train.data.films.rules import FilmRules

EXAMPLES = """examples:
  python -m train data --data photos/ --out build/train
  python -m train weights --out build/weights
  python -m train fit --out build/train --weights build/weights --epochs 10
"""


def data(options: argparse.Namespace) -> int:
    """Find the photos, split them, write split.csv and data.json."""
    from train import stamps
    from train.curate.prepare import split_photos

    inputs = _split_inputs(options)
    print(split_photos(inputs).text())
    if options.stamp:
        # Written last: whatever happens to the frames of films from now on is noticed.
        kept = str(inputs.kept.folder)
        stamps.write_if_changed(options.stamp.with_name(stamps.FILMS), stamps.films_digest(kept))
    return 0


def _split_inputs(options: argparse.Namespace) -> "SplitInputs":
    """What is split and how; the photos are looked for last, once all else is known to be right."""
    from train.curate.prepare import SplitInputs

    events, films = _events(options), _films(options)
    return SplitInputs(
        photos=_photos(options),
        out=options.out,
        seed=options.seed,
        audit=options.clean,
        events=events,
        region=options.region,
        films=films,
    )


def _events(options: argparse.Namespace) -> "EventSettings":
    from train.data.events.given import event_settings

    return event_settings(options.event_s, options.events, options.place)


def _films(options: argparse.Namespace) -> "FilmRules":
    from train.data.films.rules import film_rules

    return film_rules(options.film_fps)


def _photos(options: argparse.Namespace) -> "Source":
    """Where the photos are; their stamp is written first, so that no later change is missed."""
    from train import stamps
    from train.data.shards.source import find_source

    source = find_source(options.data, options.store, options.out)
    if options.stamp:
        stamps.write_if_changed(
            options.stamp, stamps.photos_digest(options.data or "", str(options.store))
        )
    return source


def audit(options: argparse.Namespace) -> int:
    """Look for what would spoil training; write audit.json and audit.html."""
    inputs = _split_inputs(options)
    with quiet_tensorflow():
        from train.curate.audit_page import run

    print(run(inputs, _weights_source(options.weights, DEFAULT)))
    return 0


def _weights_source(given: str, backbone: str) -> str:
    """What `backbone.load_weights` takes; for a folder, the backbone's are fetched into it."""
    from train.network.fetch_weights import fetch_weights
    from train.network.limits import KERAS_DOWNLOAD

    if given == KERAS_DOWNLOAD:
        return given
    # make passes WEIGHTS= on as it is: no shell has expanded a "~".
    path = Path(os.path.expanduser(given))
    return str(fetch_weights(path, BACKBONES[backbone].checkpoint) if path.is_dir() else path)


def shards(options: argparse.Namespace) -> int:
    """Write the photos of a folder as tar shards."""
    from train.data.shards.write import write_shards

    folder = Path(os.path.expanduser(options.data))
    if not folder.is_dir():
        raise UsageError(f"--data {folder}: no such folder; it must hold one folder per class")
    print(*write_shards(folder, options.out, options.mb * 10**6), sep="\n")
    return 0


def weights(options: argparse.Namespace) -> int:
    """Fetch the ImageNet weights of a backbone."""
    from train.network.fetch_weights import fetch_weights

    print(fetch_weights(options.out, BACKBONES[options.backbone].checkpoint))
    return 0


def trials(options: argparse.Namespace) -> int:
    """Say which networks a sweep tries."""
    from train.network.trials import trials as named

    print(*named(options.sweep), sep="\n")
    return 0


def fit(options: argparse.Namespace) -> int:
    """Train and write the model with its metrics and report."""
    # TensorFlow takes seconds to import and prints a lot: import it only here, and quietly.
    with quiet_tensorflow():
        from train.network.backbone import Architecture
        from train.network.cache import adopt
        from train.recipe.activations import CACHE_FOLDER
        from train.recipe.config import TrainConfig
        from train.recipe.fit import run

    config = TrainConfig(
        architecture=Architecture(options.backbone, options.alpha, options.size),
        seed=options.seed,
        epochs=options.epochs,
        views=options.views,
        robust=options.robust,
        train_photos=options.train_photos,
    )
    adopt(options.out.parent / CACHE_FOLDER, options.caches)
    source = _weights_source(options.weights, options.backbone)
    metrics = run(config, source, options.out, options.teacher)
    test = metrics.test
    low, high = test.interval
    sample = sampled(metrics.trained_photos, metrics.training_photos)
    print(
        f"trained on {metrics.data.description}{sample and '; '}{sample}\n"
        f"test top-1 {test.accuracy:.1%} (95% interval {low:.1%} to {high:.1%}, "
        f"n = {counted(test.n, test.events)}), best epoch {metrics.best_epoch}\n"
        f"{_same_places(metrics)}{_new_places(metrics.new_places)}"
        f"report: {options.out / REPORT}"
    )
    return 0


def tidy(options: argparse.Namespace) -> int:
    """Remove of the caches of finished trainings what only an unfinished one needs."""
    from train.network.cache import keep_first_views

    for folder in options.caches:
        keep_first_views(folder)
    return 0


def _same_places(metrics: Metrics) -> str:
    """A line on other events; empty where the test part says it well enough."""
    if metrics.same_places is None:
        return ""
    expected, test = metrics.same_places, metrics.test
    n = metrics.data.photos(expected.without)
    estimate = (expected.accuracy, expected.interval, n, expected.events, expected.without)
    return f"{at_the_same_places(*estimate)}; {rather_than(test.n, test.events)}\n"


def _new_places(expected: NewPlaces | None) -> str:
    """A line on places that have no photo here; empty where nothing is expected of them."""
    if expected is None:
        return ""
    low, high = expected.interval
    return f"at a new place expect {expected.accuracy:.0%} ({low:.0%} to {high:.0%})\n"


def report(options: argparse.Namespace) -> int:
    """Write the report of a finished training run again."""
    with quiet_tensorflow():
        from train.artifacts import read_training
        from train.report.publish import write_report

    metrics, network = read_training(options.out)
    write_report(options.out, network, metrics)
    print(options.out / REPORT)
    return 0


def distill(options: argparse.Namespace) -> int:
    """Teach a small network for microcontrollers what the trained one knows."""
    with quiet_tensorflow():
        from train.distill.run import DistillConfig, run
    architecture = replace(DistillConfig().architecture, size_px=options.size)
    config = DistillConfig(architecture, epochs=options.epochs, seed=options.seed)
    metrics = run(config, options.training, options.out)
    test = metrics.test
    low, high = test.interval
    console.say(
        f"distilled from {options.training}: test top-1 {test.accuracy:.1%} (95% interval "
        f"{low:.1%} to {high:.1%}, n = {counted(test.n, test.events)}), the teacher "
        f"{metrics.teacher.test_accuracy:.1%}"
    )
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return console.run(_parser(), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = console.parser(
        "python -m train", "Fine-tune a network on a folder of class folders.", EXAMPLES
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("data", help="find and split the photos")
    command.add_argument(
        "--data",
        help="folder of class folders, shards, or an address; 'rendered' for the project's own "
        "pictures (default: the official flower photos, or rendered ones without network)",
    )
    command.add_argument("--store", type=Path, default=Path("data"), help="default: data")
    command.add_argument("--stamp", type=Path, help="where make keeps the state of the photos")
    command.add_argument("--seed", type=int, default=0, help="another seed, another split")
    _add_events(command)
    command.add_argument("--clean", type=Path, help="audit.json whose safe removals to apply")
    _add_region(command)
    command.add_argument("--out", type=Path, default=Path("build/train"))
    command.set_defaults(command=data)

    command = commands.add_parser("audit", help="look for photos that would spoil training")
    command.add_argument("--data", help="as for data")
    command.add_argument("--store", type=Path, default=Path("data"), help="default: data")
    command.add_argument("--stamp", type=Path, help="where make keeps the state of the photos")
    command.add_argument("--weights", default="build/weights", help="as for fit")
    command.add_argument("--seed", type=int, default=0, help="of the split")
    _add_events(command)
    _add_region(command)
    command.add_argument("--out", type=Path, default=Path("build/train"))
    command.set_defaults(command=audit, clean=None)

    command = commands.add_parser("shards", help="write the photos of a folder as tar shards")
    command.add_argument("--data", required=True, help="folder of class folders")
    command.add_argument("--out", type=Path, required=True, help="folder that is not there yet")
    command.add_argument("--mb", type=int, default=256, help="size of a shard (default: 256)")
    command.set_defaults(command=shards)

    command = commands.add_parser("weights", help="fetch the ImageNet weights")
    _add_backbone(command)
    command.add_argument("--out", type=Path, default=Path("build/weights"))
    command.set_defaults(command=weights)

    command = commands.add_parser("trials", help="name the networks that a sweep tries")
    command.add_argument("sweep", metavar="SWEEP", help='such as "mobilenet-v2@160,192" or all')
    command.set_defaults(command=trials)

    command = commands.add_parser("fit", help="train on the split")
    _add_backbone(command)
    command.add_argument("--out", type=Path, default=Path("build/train"))
    command.add_argument(
        "--weights",
        default="build/weights",
        help="folder for the weights, a checkpoint file, or 'imagenet' for Keras' download",
    )
    command.add_argument("--alpha", type=float, default=1.0, help="width multiplier")
    command.add_argument(
        "--size", type=int, default=0, help="input size in pixels (default: the backbone's own)"
    )
    command.add_argument("--epochs", type=int, default=10, help="of fine-tuning; 0: head alone")
    command.add_argument("--views", type=int, default=8, help="cached views per training photo")
    command.add_argument(
        "--no-robust",
        dest="robust",
        action="store_false",
        help="no view shows a fault of cameras; else half of them do",
    )
    command.add_argument(
        "--train-photos",
        type=int,
        default=100_000,
        metavar="N",
        help="train on a sample of at most N training photos (default: 100000)",
    )
    command.add_argument(
        "--teacher",
        type=Path,
        nargs="+",
        default=(),
        metavar="FOLDER",
        help="finished trainings of larger networks on the same split, which teach this one",
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument(
        "--caches",
        type=Path,
        nargs="*",
        default=(),
        metavar="FOLDER",
        help="caches of other trainings: what they have in common is not computed again",
    )
    command.set_defaults(command=fit)

    command = commands.add_parser("tidy", help="remove caches that only a training needs")
    command.add_argument("caches", type=Path, nargs="*", metavar="FOLDER")
    command.set_defaults(command=tidy)

    command = commands.add_parser("report", help="write the report of a training again")
    command.add_argument("--out", type=Path, default=Path("build/train"))
    command.set_defaults(command=report)

    command = commands.add_parser("distill", help="teach a small network for microcontrollers")
    command.add_argument("--training", type=Path, default=Path("build/train"))
    command.add_argument("--out", type=Path, default=Path("build/micro/train"))
    command.add_argument("--size", type=int, default=96, help="input size in pixels (default: 96)")
    command.add_argument("--epochs", type=int, default=30)
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(command=distill)
    return parser


def _add_backbone(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--backbone",
        choices=tuple(BACKBONES),
        default=DEFAULT,
        metavar="NAME",
        help=f"{', '.join(BACKBONES)} (default: {DEFAULT})",
    )


def _add_events(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--event-s",
        default="60",
        metavar="SECONDS",
        help="photos of one camera at most this far apart are of one event (default: 60)",
    )
    command.add_argument(
        "--events", type=Path, metavar="FILE", help="a list path,event,place that overrides"
    )
    command.add_argument(
        "--place",
        choices=("auto", "folder"),
        default="auto",
        help="places are found (auto), or are the sub-folders of each class",
    )
    command.add_argument(
        "--film-fps",
        default="1",
        metavar="NUMBER",
        help="at most so many frames of a second of film are taken (default: 1)",
    )


def _add_region(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--region",
        choices=("auto", "change", "whole"),
        default="auto",
        help="what of pictures is seen: what stands before a fixed camera's background (change), "
        "the whole picture, or the former if most training photos can be cut so (auto)",
    )


if __name__ == "__main__":
    sys.exit(main())
