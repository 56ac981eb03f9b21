"""`python -m tests.bench.faults`: two recipes under faults of cameras, on the same photos.

    python -m tests.bench.faults build build1 --against other other1 --part test

The builds of one recipe are asked beside those of another, which are on the same splits. Each photo
is shown as it is and under each fault at one strength, to the float network of each build, and to
the int8 models where all builds have been quantized. Loss is what is right without a fault minus
the mean of all faults. Intervals are 95%; all answers about an event count together.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convert.artifacts.exported import read_model
from convert.artifacts.training import LabelledPhoto, Training, load_network, read_training
from convert.verify.faults.answers import Case, spoiled_in_turn
from device.console import guarded
from device.errors import UsageError
from device.inference.classifier import Classifier
from device.workstation.conversion import INT8_MODEL
from device.workstation.engine.choice import done
from device.workstation.engine.work import Work
from device.workstation.faults.catalogue import FAULTS, Strength
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import Part
from train.bench.search import NORMAL_95, Difference

FLOAT, INT8 = "float", "int8"
HEAD = (
    "| {model} | n | as they are | minus the other's (95%) | mean of {n} faults | minus the other's"
    " (95%) | loss, points | the other's | share of it (95%) |"
)
Hits = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Asking:
    """The task of asking some models about a photo as it is and under faults."""

    training: Training
    """That reads the photos."""
    models: tuple[bytes, ...]
    cases: tuple[Case, ...]

    def setup(self) -> Callable[[LabelledPhoto], Hits]:
        """As for every task; the function gives (1 + cases, models): which answers are right."""
        training = self.training
        # One thread: each core has a worker.
        models = [
            Classifier(model, training.labels, training.preprocessing, threads=1)
            for model in self.models
        ]

        def right(photo: LabelledPhoto) -> Hits:
            shown = spoiled_in_turn(training, photo, self.cases)
            return np.array(
                [[one.classify(pixels).best == photo.label for one in models] for pixels in shown]
            )

        return right


@dataclass(frozen=True)
class Answers:
    """Which answers of one recipe's models are right, on some splits."""

    right: Hits
    """(n, 1 + faults): as the photos are, and under each fault."""
    events: tuple[str, ...]
    """Of each photo; the same in all splits."""
    splits: tuple[int, ...]
    """The number of the split of each photo."""

    @property
    def lost(self) -> Doubles:
        """float64 (n,): what faults cost each photo, -1..1."""
        return np.asarray(self.right[:, 0] - self.right[:, 1:].mean(axis=1), np.float64)

    def of_split(self, split: int) -> "Answers":
        """Those of one split."""
        own = np.array(self.splits) == split
        events = tuple(np.array(self.events)[own].tolist())
        return Answers(self.right[own], events, (split,) * int(own.sum()))


def lost_share(one: Answers, other: Answers) -> Difference | None:
    """The loss of one recipe as a share of the other's, with the standard error of the ratio.

    None if the other loses nothing.
    """
    lost, usual = one.lost, other.lost
    if not usual.mean():
        return None
    share = float(lost.mean() / usual.mean())
    around = Difference.of((lost - share * usual) / usual.mean(), one.events)
    return Difference(share, around.error)


def asked(
    builds: Sequence[Path], against: Sequence[Path], part: Part, cases: Sequence[Case]
) -> "dict[str, tuple[Answers, Answers]]":
    """What the models of both recipes say, by the kind of model.

    Raises:
        UsageError: if two builds are not on the same split.
        InputError: if a build has no training, or a photo is missing.
    """
    pairs = list(zip(builds, against, strict=True))
    exported = all(_int8_path(build).exists() for pair in pairs for build in pair)
    kinds = (FLOAT, INT8) if exported else (FLOAT,)
    rows, events, splits = [], [], []
    for split, pair in enumerate(pairs):
        one, other = (read_training(build / "train") for build in pair)
        photos = one.photos[part]
        if photos != other.photos[part]:
            raise UsageError(f"{pair[0]} and {pair[1]} are not on the same split")
        models = [_float(training) for training in (one, other)]
        models += [read_model(_int8_path(build)) for build in pair if exported]
        task = Asking(one.without_photos(), tuple(models), tuple(cases))
        rows += list(done(Work.of(task, photos, f"faults, split {split}")))
        events += [photo.event for photo in photos]
        splits += [split] * len(photos)
    right = np.stack(rows)
    both = [Answers(right[..., i], tuple(events), tuple(splits)) for i in range(right.shape[2])]
    return {kind: (both[2 * i], both[2 * i + 1]) for i, kind in enumerate(kinds)}


def _int8_path(build: Path) -> Path:
    return build / "convert" / INT8_MODEL


def _float(training: Training) -> bytes:
    with quiet_tensorflow():
        from convert.quantize.export import float_model

    return float_model(load_network(training.model_path))


def table(model: str, one: Answers, other: Answers) -> str:
    """A row of all splits, and one for each."""
    lines = [HEAD.format(model=model, n=one.right.shape[1] - 1), "|---" * 9 + "|"]
    lines.append(_row("all", one, other))
    for split in sorted(set(one.splits)):
        lines.append(_row(f"split {split}", one.of_split(split), other.of_split(split)))
    return "\n".join(lines)


def _row(name: str, one: Answers, other: Answers) -> str:
    share = lost_share(one, other)
    cells = [
        name,
        f"{len(one.events):,}",
        *_beside(one.right[:, 0], other.right[:, 0], one.events),
        *_beside(one.right[:, 1:].mean(axis=1), other.right[:, 1:].mean(axis=1), one.events),
        f"{100 * one.lost.mean():.2f}",
        f"{100 * other.lost.mean():.2f}",
        _ratio(share) if share else "",
    ]
    return f"| {' | '.join(cells)} |"


def _ratio(share: Difference) -> str:
    reach = NORMAL_95 * share.error
    return f"{share.mean:.2f} ({share.mean - reach:.2f} to {share.mean + reach:.2f})"


def _beside(
    one: "Hits | Doubles", other: "Hits | Doubles", events: Sequence[str]
) -> tuple[str, str]:
    """The share of one, and how many points it is ahead of the other."""
    apart = one.astype(np.float64) - other
    return f"{one.mean():.2%}", Difference.of(apart, events).text(100, 2)


def by_fault(cases: Sequence[Case], found: "dict[str, tuple[Answers, Answers]]") -> str:
    """A row for each fault: what both recipes get right, by the kind of model."""
    cells = [f"{kind} | the other's | points more (95%)" for kind in found]
    lines = [f"| fault, {cases[0][1]} | {' | '.join(cells)} |", "|---" * (1 + 3 * len(found)) + "|"]
    for column, (fault, strength) in enumerate(cases, 1):
        shown = [f"{fault.title}, {fault.shown(strength)}"]
        for one, other in found.values():
            rights = one.right[:, column], other.right[:, column]
            share, more = _beside(*rights, one.events)
            shown += [share, f"{rights[1].mean():.2%}", more]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def run(options: argparse.Namespace) -> int:
    """Ask, and print the tables."""
    if len(options.builds) != len(options.against):
        raise UsageError("--against: give as many builds as of the first recipe, in the same order")
    cases = [(fault, options.strength) for fault in FAULTS if not fault.missing()]
    found = asked(options.builds, options.against, options.part, cases)
    for kind, both in found.items():
        print(f"{table(kind, *both)}\n")
    print(by_fault(cases, found))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults", description=__doc__)
    parser.add_argument("builds", type=Path, nargs="+", help="of one recipe")
    parser.add_argument("--against", type=Path, nargs="+", required=True, metavar="BUILD")
    parser.add_argument("--part", type=Part, default=Part.VAL, choices=tuple(Part))
    parser.add_argument(
        "--strength", type=Strength, default=Strength.MEDIUM, choices=tuple(Strength)
    )
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
