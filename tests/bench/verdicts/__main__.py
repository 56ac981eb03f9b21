"""`python -m tests.bench.verdicts`: the same bundle on several runtimes, picture by picture."""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.verify.clutter import clutter
from convert.verify.statistics import paired_interval_points
from device.console import guarded
from device.contract.arrays import Pixels
from device.contract.bundle import Bundle, load
from device.contract.photos import load_photo
from device.contract.statistics import LIMIT
from device.workstation.measures import wilson
from tests.bench.verdicts.ask import DEFAULT, PLAIN

CLUTTER = 200
STRANGER = -1
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """What one runtime said about all pictures."""

    name: str
    label: npt.NDArray[np.intp]
    unknown: Flags
    distance: npt.NDArray[np.float64]
    raw: dict[str, npt.NDArray[Any]]
    """Every output as the model wrote it, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask all runtimes and print a table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.verdicts", description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"), help="with its bundle")
    parser.add_argument("--out", type=Path, default=Path("build/bench/verdicts"))
    parser.add_argument("--python", type=Path, nargs="*", default=[], help="with other runtimes")
    options = parser.parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Ask, compare each with the first, and print."""
    bundle = load(options.build / "bundle")
    paths, truth = _photos(options.build, bundle)
    options.out.mkdir(parents=True, exist_ok=True)
    shown = options.out / "pictures.npy"
    np.save(shown, _pictures(paths, bundle))
    here = Path(sys.executable)
    cases = [(here, DEFAULT), (here, PLAIN), *((python, DEFAULT) for python in options.python)]
    found = [
        _asked(python, options.build / "bundle", shown, kernels, options.out / f"{number}.npz")
        for number, (python, kernels) in enumerate(cases)
    ]
    print(table(found, truth))
    return 0


def _photos(build: Path, bundle: Bundle) -> tuple[list[Path], npt.NDArray[np.intp]]:
    """All photos of the test part, and their classes; clutter follows them."""
    folder = Path(json.loads((build / "train" / "data.json").read_text())["folder"])
    with (build / "train" / "split.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == "test"]
    classes = [bundle.labels.index(row["class"]) for row in rows]
    return [folder / row["path"] for row in rows], np.array(classes + [STRANGER] * CLUTTER)


def _pictures(paths: Sequence[Path], bundle: Bundle) -> Pixels:
    rules = bundle.preprocessing
    size = (rules.height_px, rules.width_px)
    drawn = [clutter(number, size) for number in range(CLUTTER)]
    return np.stack([*(load_photo(path, rules) for path in paths), *drawn])


def _asked(python: Path, bundle: Path, shown: Path, kernels: str, out: Path) -> Answers:
    command = [str(python), "-m", "tests.bench.verdicts.ask", "--bundle", str(bundle)]
    command += ["--pictures", str(shown), "--kernels", kernels, "--out", str(out)]
    subprocess.run(command, check=True)
    with np.load(out) as kept:
        raw = {name: kept[name] for name in kept.files if name.startswith("raw_")}
        name = f"{kept['runtime']}, {kernels} kernels"
        return Answers(name, kept["label"], kept["unknown"], kept["distance"], raw)


def table(found: Sequence[Answers], truth: npt.NDArray[np.intp]) -> str:
    """Each runtime beside the first one, in Markdown.

    Args:
        found: of each runtime.
        truth: (n,), the class of each picture, or `STRANGER`.
    """
    first = found[0]
    number, photos = len(truth), int((truth != STRANGER).sum())
    lines = [
        f"{photos} test photos and {number - photos} rendered pictures;"
        f" {first.unknown.sum()} are unknown",
        "| runtime | right of the photos | gains, points (paired, 95%) | other labels |"
        " other verdicts (95%) | pictures with other bytes | other features |"
        " distance moves: median, most | farthest from the limit with another verdict |",
        "|---" * 9 + "|",
    ]
    for one in found:
        other = one.unknown != first.unknown
        low, high = wilson(float(other.mean()), number)
        moved = np.abs(one.distance - first.distance)
        margin = np.abs(first.distance[other] - LIMIT).max(initial=0.0)
        lines.append(
            f"| {one.name} | {_right(one, truth).mean():.2%} | {_gain(one, first, truth)} |"
            f" {(one.label != first.label).sum()} of {number} |"
            f" {other.sum()} of {number} ({low:.1%} to {high:.1%}) |"
            f" {_others(one, first).sum()} | {_features(one, first):.1%} |"
            f" {np.median(moved):.3f}, {moved.max():.3f} | {margin:.3f} |"
        )
    return "\n".join(lines)


def _right(one: Answers, truth: npt.NDArray[np.intp]) -> Flags:
    is_known = truth != STRANGER
    right: Flags = one.label[is_known] == truth[is_known]
    return right


def _gain(one: Answers, first: Answers, truth: npt.NDArray[np.intp]) -> str:
    now, before = _right(one, truth), _right(first, truth)
    won, lost = int((now & ~before).sum()), int((before & ~now).sum())
    low, high = paired_interval_points(won, lost, len(now))
    return f"{100 * (won - lost) / len(now):+.2f} ({low:+.2f} to {high:+.2f})"


def _others(one: Answers, first: Answers) -> Flags:
    """Pictures of which any byte of any output is another one."""
    other = np.zeros(len(one.label), bool)
    for name, values in one.raw.items():
        other |= (values != first.raw[name]).reshape(len(values), -1).any(axis=1)
    return other


def _features(one: Answers, first: Answers) -> float:
    """The share of all features of all pictures that have another byte."""
    return float((one.raw["raw_features"] != first.raw["raw_features"]).mean())


if __name__ == "__main__":
    sys.exit(main())
