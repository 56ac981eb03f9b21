"""Promises of the statistics of features in a bundle: whole, or refused with one line."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from device.contract import bundle as contract
from device.contract.preprocess import prepare_frame
from device.contract.statistics import FeatureStatistics
from device.errors import BundleError
from device.inference.classifier import Classifier
from tests.support.cli import device
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.pictures import LABELS, RULES, picture

LIMIT_BYTES = 200_000


def archive(**arrays: npt.NDArray[Any]) -> bytes:
    data = io.BytesIO()
    np.savez(data, allow_pickle=True, **arrays)
    return data.getvalue()


def parts(
    classes: int = len(LABELS), features: int = 4, directions: int = 2
) -> dict[str, npt.NDArray[Any]]:
    return {
        "mean": np.zeros((classes, directions), np.float32),
        "directions": np.ones((features, directions), np.float16),
        "center": np.zeros(features, np.float32),
    }


def test_the_bundle_s_statistics_are_of_its_model_and_small(tiny_bundle: Path) -> None:
    bundle = contract.load(tiny_bundle)
    records = bundle.manifest["outputs"]
    assert bundle.statistics.center.shape == tuple(records["features"]["shape"][1:])
    assert len(bundle.statistics.mean) == len(bundle.labels)
    assert bundle.manifest["files"][contract.STATISTICS]["bytes"] <= LIMIT_BYTES


def test_a_known_picture_is_nearer_than_noise(tiny_classifier: Classifier) -> None:
    known = [tiny_classifier.classify(prepare_frame(picture(c, 0), RULES)) for c in range(3)]
    noise = np.random.default_rng(0).integers(0, 256, RULES.shape, np.uint8)
    strange = tiny_classifier.classify(noise).distance
    assert strange is not None
    assert all(seen.distance is not None and 0 < seen.distance < strange for seen in known)


def test_without_statistics_a_picture_has_no_distance(tiny_bundle: Path) -> None:
    model = (tiny_bundle / contract.MODEL).read_bytes()
    seen = Classifier(model, LABELS, RULES).classify(np.zeros(RULES.shape, np.uint8))
    assert seen.distance is None and seen.record()["distance"] is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"PK" + data[2:99],
        lambda data: archive(mean=parts()["mean"]),
        lambda data: archive(**parts(), more=np.zeros(3)),
        lambda data: archive(**parts(classes=2)),
        lambda data: archive(**parts(directions=0)),
        lambda data: archive(**{**parts(), "center": np.zeros(5, np.float32)}),
        lambda data: archive(**{**parts(), "center": np.full(4, np.nan, np.float32)}),
        lambda data: archive(**{**parts(), "mean": np.array("text")}),
        lambda data: archive(**{**parts(), "mean": np.array([object()])}),
    ],
)
def test_damaged_statistics_are_refused_with_one_line(damage: Callable[[bytes], bytes]) -> None:
    whole = archive(**parts())
    assert FeatureStatistics.read(whole, len(LABELS)).distance(np.zeros(4, np.float32)) == 0
    with pytest.raises(BundleError, match=r"statistics\.npz .*build it again") as caught:
        FeatureStatistics.read(damage(whole), len(LABELS))
    assert len(str(caught.value).splitlines()) == 1


def test_a_bundle_without_statistics_is_refused_with_how_to_make_a_new_one(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    files = read_folder(tiny_bundle)
    del files[contract.STATISTICS]
    old = write_folder(tmp_path / "old", resealed(files))
    assert contract.STATISTICS not in json.loads((old / contract.MANIFEST).read_text())["files"]
    done = device("selftest", "--bundle", old)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "statistics.npz" in done.stderr and "again with `make bundle`" in done.stderr


def test_statistics_of_another_model_are_refused(tiny_bundle: Path) -> None:
    model = (tiny_bundle / contract.MODEL).read_bytes()
    other = FeatureStatistics.read(archive(**parts()), len(LABELS))
    with pytest.raises(BundleError, match="1280 features, the statistics are of 4"):
        Classifier(model, LABELS, RULES, statistics=other)
