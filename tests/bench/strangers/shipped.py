"""`python -m tests.bench.strangers.shipped`: what bundles call unknown, of known photos and others.

All classes are known to these models. With the limits that it ships, each bundle is asked about the
test photos of its split, photos of other things, and rendered pictures: not those of the report,
but probably some of those that were in sight when the weight of decision 13 of convert was chosen.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convert.artifacts.training import read_training
from convert.verify.clutter import clutter
from convert.verify.confidence import area
from convert.verify.strangers import CLUTTER_PICTURES
from device.console import guarded
from device.contract import bundle as contract
from device.contract.photos import load_photo
from device.inference.classifier import Classifier, Prediction
from device.workstation.shares import share_by_event
from device.workstation.training import Part

RENDERED = 200
HEAD = (
    "| build | known photos kept, test | other things turned away | area | by the score |"
    " rendered turned away | area | by the score |"
)
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What a model says of pictures, and the event of each."""

    answers: tuple[Prediction, ...]
    events: tuple[str, ...]

    @cached_property
    def away(self) -> npt.NDArray[np.bool_]:
        """Which are called unknown."""
        return np.array([one.unknown for one in self.answers])

    @cached_property
    def far(self) -> Doubles:
        """How strange each is for its label."""
        return np.array([one.distance for one in self.answers], np.float64)

    @cached_property
    def doubt(self) -> Doubles:
        """Minus the highest probability."""
        return -np.array([one.score for one in self.answers], np.float64)


@dataclass(frozen=True)
class Asked:
    """What one bundle says."""

    known: Seen
    others: tuple[Seen, ...]
    """Of other things, and of rendered pictures."""

    @classmethod
    def about(cls, build: Path, folder: Path) -> "Asked":
        """Ask the bundle of a build about its test photos and the photos of a folder."""
        bundle, training = contract.load(build / "bundle"), read_training(build / "train")
        model, rules = Classifier.from_bundle(bundle, threads=1), bundle.preprocessing
        photos = training.photos[Part.TEST]
        known = [model.classify(training.pixels(photo, rules)) for photo in photos]
        paths = sorted(folder.iterdir())
        other = [model.classify(load_photo(path, rules)) for path in paths]
        size = (rules.height_px, rules.width_px)
        # Those before are in each report; decision 13 chose a weight by them and by 200 others.
        numbers = range(CLUTTER_PICTURES, CLUTTER_PICTURES + RENDERED)
        rendered = [model.classify(clutter(number, size)) for number in numbers]
        return cls(
            Seen(tuple(known), tuple(photo.event for photo in photos)),
            (
                Seen(tuple(other), tuple(path.name for path in paths)),
                Seen(tuple(rendered), tuple(map(str, numbers))),
            ),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.strangers.shipped", description=__doc__
    )
    parser.add_argument("builds", type=Path, nargs="+", help="with bundle and training")
    parser.add_argument(
        "--other", type=Path, required=True, help="folder of photos of other things"
    )
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Ask, and print the table."""
    found = [Asked.about(build, options.other) for build in options.builds]
    print(table([build.name for build in options.builds], found))
    return 0


def table(names: Sequence[str], found: Sequence[Asked]) -> str:
    """A row for each build, and one for all of them."""
    lines = [HEAD, "|---" * 8 + "|"]
    for name, asked in zip(names, found, strict=True):
        areas = [f"{_area(asked, one)} | {_area(asked, one, score=True)}" for one in asked.others]
        lines.append(_row(name, [asked], areas))
    if len(found) > 1:
        lowest = ["lowest above |"] * len(found[0].others)
        lines.append(_row("all", found, lowest))
    return "\n".join(lines)


def _row(name: str, found: Sequence[Asked], areas: Sequence[str]) -> str:
    cells = [_share([asked.known for asked in found], away=False)]
    for number, values in enumerate(areas):
        cells += [_share([asked.others[number] for asked in found], away=True), values]
    return f"| {name} | {' | '.join(cells)} |"


def _share(seen: Sequence[Seen], *, away: bool) -> str:
    """Of all answers about a photo by several models, its event counts once in the interval."""
    hits = np.concatenate([one.away == away for one in seen])
    found = share_by_event(hits, np.concatenate([one.events for one in seen]))
    low, high = found.interval
    return f"{found.value:.1%} ({100 * low:.1f} to {100 * high:.1f}, n = {found.n})"


def _area(asked: Asked, others: Seen, *, score: bool = False) -> str:
    known = asked.known
    values = (known.doubt, others.doubt) if score else (known.far, others.far)
    found = area(values[0], known.events, values[1], others.events)
    low, high = found.interval
    return f"{found.value:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    sys.exit(main())
