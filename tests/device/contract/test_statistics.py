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
from device.contract.statistics import OUTSIDE_WEIGHT, FeatureStatistics
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
        "directions": np.eye(features, directions, dtype=np.float16),
        "usual": np.array([[0.0, 1.0], [0.0, 1.0]]),
        "classes": np.array([[0.0, 1.0]] * classes),
    }


def test_the_bundle_s_statistics_are_of_its_model_and_small(tiny_bundle: Path) -> None:
    bundle = contract.load(tiny_bundle)
    records = bundle.manifest["outputs"]
    assert [len(bundle.statistics.directions)] == records["features"]["shape"][1:]
    assert len(bundle.statistics.classes) == len(bundle.labels)
    assert bundle.manifest["files"][contract.STATISTICS]["bytes"] <= LIMIT_BYTES


def test_a_known_picture_is_nearer_than_noise(tiny_classifier: Classifier) -> None:
    known = [tiny_classifier.classify(prepare_frame(picture(c, 0), RULES)) for c in range(3)]
    noise = np.random.default_rng(0).integers(0, 256, RULES.shape, np.uint8)
    strange = tiny_classifier.classify(noise).distance
    assert strange is not None
    assert all(seen.distance is not None and seen.distance < strange for seen in known)


@pytest.mark.parametrize(
    ("features", "outside"),
    [([1, 2, 0, 0], 0), ([0, 0, 1, 2], 1), ([3, 0, 0, 4], 16 / 25), ([0, 0, 0, 0], 1)],
)
def test_what_lies_beside_the_known_directions_is_outside_however_bright_it_is(
    features: list[float], outside: float
) -> None:
    known = FeatureStatistics.unscaled(np.eye(4, 2, dtype=np.float32), 3)
    for bright in (0.01, 1.0, 100.0):
        row = np.array(features, np.float32) * np.float32(bright)
        assert known.outside(row) == pytest.approx(outside, abs=1e-6)


def test_what_is_like_strangers_that_taught_is_farther_outside_however_bright_it_is() -> None:
    taught = np.array([0, 0.5, 0, 0.25], np.float32)
    known = FeatureStatistics.unscaled(np.eye(4, 2, dtype=np.float32), 3)
    known = FeatureStatistics(known.directions, known.usual, known.classes, taught)
    for bright in (0.01, 1.0, 100.0):
        row = np.array([3, 0, 0, 4], np.float32) * np.float32(bright)
        assert known.outside(row) == pytest.approx(16 / 25 + 0.25 * 4 / 5, abs=1e-6)
    assert known.outside(np.zeros(4, np.float32)) == 1
    back = FeatureStatistics.read(known.content(), 3)
    assert back.taught is not None and (back.taught == taught).all()


def test_a_distance_is_0_in_the_middle_of_known_photos_and_1_at_the_limit_of_its_label() -> None:
    known = FeatureStatistics(
        np.eye(4, 2, dtype=np.float32),
        usual=np.array([[-5.0, 2.0], [0.25, 0.125]]),
        classes=np.array([[0.0, 4.0], [1.0, 3.0]]),
    )
    usual = known.measured(np.array([5, 0], np.float32), np.array([3**0.5, 0, 1, 0], np.float32))
    assert usual == pytest.approx([-5, 0.25])
    assert known.distance(0, usual) == pytest.approx(0, abs=1e-6)
    assert known.distance(1, usual) == pytest.approx(-0.5)
    doubt = -5 + 2 * (4 - OUTSIDE_WEIGHT)
    assert known.distance(0, np.array([doubt, 0.375])) == pytest.approx(1)
    both = known.strangeness(np.array([[-5, 0.25], [-3, 0.375]]))
    assert both == pytest.approx([0, 1 + OUTSIDE_WEIGHT])


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
        lambda data: archive(usual=parts()["usual"]),
        lambda data: archive(**parts(), more=np.zeros(3)),
        lambda data: archive(**parts(classes=2)),
        lambda data: archive(**parts(), taught=np.zeros(3, np.float16)),
        lambda data: archive(**parts(), taught=np.full(4, np.nan, np.float16)),
        lambda data: archive(**parts(directions=0)),
        lambda data: archive(**{**parts(), "usual": np.zeros((2, 2))}),
        lambda data: archive(**{**parts(), "classes": np.ones((3, 2))}),
        lambda data: archive(**{**parts(), "classes": np.full((3, 2), np.nan)}),
        lambda data: archive(**{**parts(), "usual": np.array("text")}),
        lambda data: archive(**{**parts(), "usual": np.array([object()])}),
    ],
)
def test_damaged_statistics_are_refused_with_one_line(damage: Callable[[bytes], bytes]) -> None:
    whole = archive(**parts())
    assert FeatureStatistics.read(whole, len(LABELS)).distance(0, np.zeros(2)) == 0
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
