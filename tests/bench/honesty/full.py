"""The default recipe on whole worlds, by the commands that `make` uses; minutes for each."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from device import child
from device.commit import UNKNOWN, commit
from device.contract.bundle import MANIFEST, load
from device.inference.classifier import Classifier
from device.inference.photos import files
from device.settings.sections import LOOK_AUTO
from device.workstation.conversion import VERIFICATION, Interval, VerificationRecord
from device.workstation.events.listed import read_occasions
from device.workstation.training import EVENTS, LEFT_OUT
from tests.bench.honesty.judge import NEW, SAME, TRAIN, Claim, Outcome
from train.data.split import read_csv
from train.errors import TrainingError
from train.network.backbones import DEFAULT

SEEDS = (7, 8, 9)
WORLD = "cases/26-events/world.py"


def outcomes(seeds: Sequence[int], shared: Path, weights: Path, out: Path) -> list[Outcome]:
    """What the default recipe reports of some worlds beside the truth; a bundle is kept."""
    if seeds and not (shared / WORLD).exists():
        print(f"default recipe skipped: {shared / WORLD} is not there", file=sys.stderr)
        return []
    return [_outcome(seed, shared, weights, out) for seed in seeds]


def _outcome(seed: int, shared: Path, weights: Path, out: Path) -> Outcome:
    root, build = world(seed, shared, out), out / f"build{seed}"
    make(root, build, weights)
    record = VerificationRecord.read(build / "bundle" / VERIFICATION)
    true, elsewhere = (truth(build, root / name) for name in (SAME, NEW))
    same = Claim(record.int8_accuracy, record.int8_accuracy_interval, *true)
    held_out = _claim(record.same_places_accuracy, record.same_places_interval, true)
    new = _claim(record.new_places_accuracy, record.new_places_interval, elsewhere)
    return _counted(f"world{seed}", build, same, held_out, new)


def world(seed: int, shared: Path, out: Path) -> Path:
    """The folder of a rendered world."""
    root = out / f"world{seed}"
    if not (root / NEW).exists():
        _run(str(shared / WORLD), str(root), str(seed), str(shared / "flowers"))
    return root


def _claim(
    accuracy: float | None, interval: Interval | None, true: tuple[float, int]
) -> Claim | None:
    return None if accuracy is None or interval is None else Claim(accuracy, interval, *true)


def make(
    root: Path, build: Path, weights: Path, backbone: str = DEFAULT, *, robust: bool = True
) -> None:
    """Fill a build folder from the photos of a world, by default settings but for those given.

    A bundle that this commit made is kept; another would be judged in the name of this code.
    """
    if is_of_this_commit(build / "bundle" / MANIFEST):
        return
    shutil.rmtree(build, ignore_errors=True)
    training, models = str(build / "train"), str(build / "convert")
    _run("-m", "train", "data", "--data", str(root / TRAIN), "--out", training)
    given = ["--weights", str(weights), "--backbone", backbone]
    given += [] if robust else ["--no-robust"]
    _run("-m", "train", "fit", *given, "--out", training)
    _run("-m", "convert", "export", "--training", training, "--out", models)
    bundle = ("--training", training, "--models", models, "--out", str(build / "bundle"))
    shipped = ("--allow-regression", "--allow-cpu-operators", "--faults", "none")
    _run("-m", "convert", "verify", *bundle, *shipped)
    _run("-m", "convert", "bundle", *bundle)


def is_of_this_commit(manifest: Path) -> bool:
    """Whether every step of a bundle was run by the code that runs now."""
    if not manifest.exists():
        return False
    made_by = set(json.loads(manifest.read_text("utf-8")).get("commits", {}).values())
    return made_by == {commit()} != {UNKNOWN}


def _run(*command: str) -> None:
    done = subprocess.run(
        child.command(*command), stdout=sys.stderr, env=child.environment(), check=False
    )
    if done.returncode:
        raise TrainingError(f"{' '.join(command)} failed; see above")


def truth(build: Path, folder: Path) -> tuple[float, int]:
    """The share of the photos of a folder that int8 classifies rightly, and how many there are.

    They are cut, or not, as `device classify` cuts them.
    """
    right = [*hits(build, folder).values()]
    return float(np.mean(right)), len(right)


def hits(build: Path, folder: Path) -> dict[str, bool]:
    """Whether int8 classifies each photo of a folder rightly, by its class and name.

    They are cut, or not, as `device classify` cuts them.
    """
    loaded = load(build / "bundle")
    rules, classifier = files.rules_of(loaded, LOOK_AUTO), Classifier.from_bundle(loaded)
    return {
        "/".join(answer.path.parts[-2:]): answer.prediction.label == answer.path.parent.name
        for answer in files.answers([folder], classifier, rules)
        if answer.prediction
    }


def _counted(
    name: str, build: Path, same: Claim, held_out: Claim | None, new: Claim | None
) -> Outcome:
    """Events and places are in the names of this world's photos."""
    rows = [row for row in read_csv(build / "train" / "split.csv") if row.part != LEFT_OUT]
    occasions = read_occasions(build / "train" / EVENTS)
    events = {row.path: row.path.rsplit("_", 1)[0] for row in rows}
    sides = {(events[row.path], row.part) for row in rows}
    return Outcome(
        world=name,
        exif=True,
        events=len(set(events.values())),
        found_events=len({row.group for row in rows}),
        torn=len(sides) - len(set(events.values())),
        places=len({Path(row.path).name.split("_")[0] for row in rows}),
        found_places=len({occasions[row.path].place for row in rows} - {""}),
        same=same,
        held_out=held_out,
        new=new,
    )
