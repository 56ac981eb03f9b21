"""Strangers of the user's own that are hardly any, through the commands that `make` runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.contract import bundle as contract
from device.contract.provenance import OTHER
from device.inference.classifier import Classifier
from device.workstation.training import DATA, DataRecord
from tests.support.builds.build_folder import Build, copy, succeeded, train
from tests.support.pictures import encoded

pytestmark = pytest.mark.slow


def with_strangers(build: Build, tmp_path: Path, strangers: list[bytes]) -> tuple[Build, list[str]]:
    """A bundle of the same network with an `_other`, and what was said about it."""
    again = copy(build, tmp_path, "train", "convert", "bundle")
    photos = Path(DataRecord.read(again.train / DATA).folder)
    folder = tmp_path / photos.name
    shutil.copytree(photos, folder)
    for number, content in enumerate(strangers):
        (folder / OTHER).mkdir(exist_ok=True)
        (folder / OTHER / f"{number}.png").write_bytes(content)
    said = succeeded(train("data", "--data", folder, "--out", again.train))
    assert (again.train / "split.csv").read_bytes() == (build.train / "split.csv").read_bytes()
    succeeded(again.export())
    # How much int8 loses on so few photos is chance, and no matter here.
    succeeded(again.convert("verify", "--allow-regression"))
    succeeded(again.convert("bundle"))
    return again, [line for line in said.splitlines() if line.startswith(f"{OTHER}:")]


def noise() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return encoded(Image.fromarray(pixels))


def test_one_photo_in_other_judges_and_the_bundle_classifies(build: Build, tmp_path: Path) -> None:
    again, said = with_strangers(build, tmp_path, [noise()])
    assert "none teaches; 1 photo judges what is called unknown" in said[0]
    claimed = contract.load(again.bundle).manifest["verification"]["strangers"]
    assert (claimed["n"], claimed["events"]) == (1, 1)
    classifies_as(build, again)


@pytest.mark.long
def test_copies_of_class_photos_in_other_judge_nothing_and_the_bundle_classifies(
    build: Build, tmp_path: Path
) -> None:
    folder = Path(DataRecord.read(build.train / DATA).folder)
    copies = [folder / row["path"] for row in build.rows()[:20]]
    again, said = with_strangers(build, tmp_path, [path.read_bytes() for path in copies])
    assert said == [f"{OTHER}: 20 photos left out, so none teaches or judges"]
    assert contract.load(again.bundle).manifest["verification"]["strangers"] is None
    classifies_as(build, again)


def classifies_as(build: Build, again: Build) -> None:
    """Its own photos have the answers of the bundle without strangers."""
    photos = Path(DataRecord.read(build.train / DATA).folder)
    test = [photos / row["path"] for row in build.rows() if row["part"] == "test"]
    bundles = [contract.load(one.bundle) for one in (build, again)]
    answers = [
        [Classifier.from_bundle(bundle).classify_file(path).record() for path in test]
        for bundle in bundles
    ]
    assert answers[0] == answers[1]
