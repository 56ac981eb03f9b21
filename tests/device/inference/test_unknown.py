"""What the device does not know it calls unknown, by the threshold that its bundle brings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.contract import bundle as contract
from device.errors import BundleError
from device.inference.classifier import Classifier, Prediction
from tests.support.cli import Call, lines
from tests.support.device.bundle_files import THRESHOLD, read_folder, resealed, write_folder


@pytest.mark.parametrize(("threshold", "unknown"), [(0, False), (0.375, False), (0.376, True)])
def test_a_score_below_the_threshold_is_unknown_and_one_on_it_is_not(
    threshold: float, unknown: bool
) -> None:
    scores = np.array([0.25, 0.375, 0.375], np.float32)
    prediction = Prediction(("a", "b", "c"), scores, threshold)
    assert prediction.unknown is prediction.record()["unknown"] is unknown
    assert prediction.label == "b", "what it looks most like is said all the same"


def test_the_classifier_of_a_bundle_has_its_threshold(tiny_bundle: Path) -> None:
    loaded = contract.load(tiny_bundle)
    classifier = Classifier.from_bundle(loaded)
    assert loaded.threshold == classifier.threshold == classifier.prediction().threshold > 0


def test_what_scores_below_the_threshold_is_called_unknown_in_text_and_json(
    call: Call, tiny_bundle: Path, photos: Path, tmp_path: Path
) -> None:
    files = read_folder(tiny_bundle)
    forged = resealed(files, threshold={**THRESHOLD, "value": 1.0})
    strict = write_folder(tmp_path / "strict", forged)
    for folder, unknown in ((tiny_bundle, False), (strict, True)):
        _, text, _ = call("classify", "--bundle", folder, photos / "a.png")
        assert ("a.png: unknown (at most red " in text) is unknown
        _, as_json, _ = call("classify", "--bundle", folder, "--json", photos / "a.png")
        _, frames, _ = call("run", "--bundle", folder, "--source", photos, "--frames", "1")
        assert [line["unknown"] for line in lines(as_json + frames)] == [unknown, unknown]


# --- the record in the manifest -----------------------------------------------------------------


def refusal(bundle: Path, record: Any, tmp_path: Path) -> str:
    """The one line with which a bundle of this threshold is refused."""
    folder = write_folder(tmp_path / "b", resealed(read_folder(bundle), threshold=record))
    with pytest.raises(BundleError) as caught:
        contract.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_whole_threshold_is_read_back(tiny_bundle: Path, tmp_path: Path) -> None:
    forged = resealed(read_folder(tiny_bundle), threshold={**THRESHOLD, "value": 0.625})
    assert contract.load(write_folder(tmp_path / "b", forged)).threshold == 0.625


@pytest.mark.parametrize(
    "change",
    [
        {"value": float("nan")},
        {"value": -0.1},
        {"value": 1.1},
        {"value": True},
        {"value": "0.5"},
        {"value": None},
        {"n": 0},
        {"n": 2.5},
        {"coverage": None},
        {"coverage": 2},
        {"coverage_interval": [0.1]},
        {"coverage_interval": [0.1, 7]},
        {"precision": "high"},
        {"precision_interval": 0.5},
        {"more": 1},
    ],
    ids=str,
)
def test_a_threshold_that_is_none_is_refused(
    change: dict[str, Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    record = {**THRESHOLD, **change}
    assert "threshold" in refusal(tiny_bundle, record, tmp_path)


@pytest.mark.parametrize("record", [None, {}, [], 0.5, {"value": 0.5}], ids=str)
def test_a_manifest_without_a_whole_threshold_is_refused(
    record: Any, tiny_bundle: Path, tmp_path: Path
) -> None:
    assert "threshold" in refusal(tiny_bundle, record, tmp_path)
