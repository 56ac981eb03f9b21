"""The model card claims what was measured, and names what the network was made from."""

from dataclasses import replace
from typing import Any

import pytest

from convert.artifacts.training import Training
from convert.pack.model_card import model_card
from convert.report.summary import _gate, _threshold

VERIFIED: dict[str, Any] = {
    "n": 15,
    "float_accuracy": 0.9,
    "float_interval": [0.7, 0.98],
    "int8_accuracy": 0.9,
    "int8_interval": [0.7, 0.98],
    "agreement": 1.0,
    "mcnemar_p": 1.0,
    "verdict": "not enough photos to tell",
    "gate_note": "with 30 photos int8 may lose up to 9.5 points unseen",
    "failures": [],
    "passed": False,
    "per_class": [{"label": "red", "n": 5, "float": 1.0, "int8": None}],
    "threshold": {"value": 0.0, "coverage": 1.0, "precision": 0.9},
}


@pytest.fixture
def model(tiny_models: dict[str, bytes]) -> bytes:
    return tiny_models["model_int8.tflite"]


def test_a_card_without_threshold_says_that_the_device_never_says_unknown(
    tiny_training: Training, model: bytes
) -> None:
    card = model_card(tiny_training, VERIFIED, model)
    assert 'never says "unknown": fewer than 19 validation photos are too few' in card
    assert "Below a score" not in card
    assert "never: fewer than 19 validation photos" in _threshold(VERIFIED["threshold"])
    usual = {**VERIFIED, "threshold": {**VERIFIED["threshold"], "value": 0.5, "coverage": 0.94}}
    assert 'Below a score of 50.0% the device says "unknown"; that turned away 6.0%' in model_card(
        tiny_training, usual, model
    )


def test_a_card_says_when_photos_were_too_few_to_tell(
    tiny_training: Training, model: bytes
) -> None:
    assert "Gate: not enough photos to tell (with 30 photos" in model_card(
        tiny_training, VERIFIED, model
    )
    assert _gate(VERIFIED).startswith("not enough photos to tell: with 30")
    shipped = {**VERIFIED, "verdict": "failed", "failures": ["int8 loses 9.00 points"]}
    assert "Gate: failed, shipped on request: int8 loses" in model_card(
        tiny_training, shipped, model
    )


def test_the_card_of_a_pupil_names_its_teacher_and_claims_no_weights_of_its_own(
    tiny_training: Training, model: bytes
) -> None:
    metrics = tiny_training.metrics
    small = {**metrics["config"], "architecture": {"alpha": 0.35, "size_px": 96}}
    large = {**metrics["config"], "architecture": {"alpha": 1.0, "size_px": 224}}
    pupil = {**metrics, "config": small, "teacher": {"test": 0.94, "config": large}}
    card = model_card(replace(tiny_training, metrics=pupil), VERIFIED, model)
    assert "base_model: MobileNetV2 1.0, ImageNet" in card
    assert "MobileNetV2 0.35 at 96x96, distilled from a fine-tuned MobileNetV2 1.0 at 224" in card
    assert "0.35, ImageNet" not in card
    assert "fine-tuned, full-int8" in model_card(tiny_training, VERIFIED, model)
