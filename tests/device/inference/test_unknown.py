"""What the device does not know it calls unknown, by the limit that its bundle brings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.contract import bundle as contract
from device.contract.statistics import LIMIT, FeatureStatistics
from device.errors import BundleError
from device.inference.classifier import Classifier, Prediction
from tests.support.cli import Call, lines
from tests.support.device.bundle_files import THRESHOLD, read_folder, resealed, write_folder


@pytest.mark.parametrize(
    ("limit", "distance", "unknown"),
    [
        (None, 99.0, False),
        (1.0, None, False),
        (1.0, 1.0, False),
        (1.0, 1.001, True),
        (1.0, -3.0, False),
    ],
)
def test_what_is_beyond_the_limit_is_unknown_and_what_is_on_it_is_not(
    limit: float | None, distance: float | None, unknown: bool
) -> None:
    scores = np.array([0.25, 0.375, 0.375], np.float32)
    prediction = Prediction(("a", "b", "c"), scores, distance, limit)
    assert prediction.unknown is prediction.record()["unknown"] is unknown
    assert prediction.label == "b", "what it looks most like is said all the same"


def test_the_classifier_of_a_bundle_has_its_limit(tiny_bundle: Path) -> None:
    loaded = contract.load(tiny_bundle)
    classifier = Classifier.from_bundle(loaded)
    assert loaded.limit == classifier.limit == classifier.prediction().limit == LIMIT


def test_what_is_too_strange_is_called_unknown_in_text_and_json(
    call: Call, tiny_bundle: Path, photos: Path, tmp_path: Path
) -> None:
    files = read_folder(tiny_bundle)
    for value, unknown in ((None, False), (0.0, True)):
        forged = resealed(strange(files), threshold={**THRESHOLD, "value": value})
        folder = write_folder(tmp_path / str(value), forged)
        _, text, _ = call("classify", "--bundle", folder, photos / "a.png")
        assert ("a.png: unknown: unlike the training photos; nearest: red (" in text) is unknown
        _, as_json, _ = call("classify", "--bundle", folder, "--json", photos / "a.png")
        _, frames, _ = call("run", "--bundle", folder, "--source", photos, "--frames", "1")
        assert [line["unknown"] for line in lines(as_json + frames)] == [unknown, unknown]
        why = "unlike the training photos; nearest: red" if unknown else None
        assert [line["why"] for line in lines(as_json + frames)] == [why, why]


def strange(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a bundle to which every picture is stranger than the middle of known ones."""
    known = FeatureStatistics.read(files[contract.STATISTICS], 3)
    nearer = replace(known, classes=known.classes - 1e3)
    return {**files, contract.STATISTICS: nearer.content()}


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
    assert contract.load(write_folder(tmp_path / "b", forged)).limit == 0.625


@pytest.mark.parametrize(
    "change",
    [
        {"value": float("nan")},
        {"value": -0.1},
        {"value": 1.1},
        {"value": True},
        {"value": "0.5"},
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
