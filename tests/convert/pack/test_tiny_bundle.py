"""The bundle that is kept for the device's tests is the one that convert makes today."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from device.contract import bundle as contract
from device.inference.classifier import Classifier
from tests.support.builds.make_tiny_bundle import kept_files
from tests.support.device.tiny_bundle import TAR
from tests.support.pictures import RULES

MAX_BYTES = 1_000_000
MAX_STEPS = 8
"""Another processor fits the head a little differently."""
DEPENDS_ON_WEIGHTS = ("files", "manifest_sha256", "outputs", "threshold", "verification")
REMEDY = "run `.venv/bin/python -m tests.support.builds.make_tiny_bundle`"


def form(value: Any) -> Any:
    """What is in a JSON value, without the numbers and texts themselves."""
    if isinstance(value, dict):
        return {key: form(each) for key, each in value.items()}
    if isinstance(value, list):
        return [form(each) for each in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


def manifest(files: dict[str, bytes]) -> dict[str, Any]:
    return {**contract.parse_manifest(files[contract.MANIFEST]), "fieldguide": "any version"}


def test_the_kept_bundle_says_what_a_new_one_would(base: Path) -> None:
    kept, made = contract.read_files(TAR), kept_files(base)
    assert set(kept) == set(made) and kept[contract.LABELS] == made[contract.LABELS], REMEDY
    there, here = manifest(kept), manifest(made)
    assert form(there) == form(here), REMEDY
    for name in set(here) - set(DEPENDS_ON_WEIGHTS):
        assert json.dumps(there[name]) == json.dumps(here[name]), f"{name}: {REMEDY}"


def test_the_kept_model_answers_as_a_new_one_does(base: Path) -> None:
    kept = contract.load(TAR)
    model = Classifier(kept_files(base)[contract.MODEL], kept.labels, RULES)
    golden = kept.golden_arrays()
    for index, pixels in enumerate(golden["inputs"]):
        model.classify(pixels)
        for name, answer in model.raw_outputs().items():
            steps = np.abs(answer.astype(int) - golden[name][index])
            assert steps.max() <= MAX_STEPS, REMEDY
        assert model.scores().argmax() == golden["probabilities"][index].argmax(), REMEDY


def test_the_kept_bundle_is_small() -> None:
    assert TAR.stat().st_size <= MAX_BYTES
