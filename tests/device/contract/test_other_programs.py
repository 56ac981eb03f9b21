"""Promises to programs that know nothing of ours: what they read first is what they look for.

They do what Frigate's custom classification and most examples do: bytes in, the first output of
the model, one label a line.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.contract import bundle as contract
from device.contract.arrays import Pixels
from device.contract.preprocess import prepare_frame
from device.inference.classifier import Classifier
from tests.support.pictures import LABELS, RULES, picture


def interpreter_of(bundle: Path) -> Any:
    module = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = module.Interpreter(model_path=str(bundle / contract.MODEL), num_threads=2)
    interpreter.allocate_tensors()
    return interpreter


def read_like_others(interpreter: Any, labels: list[str], pixels: Pixels) -> tuple[str, float]:
    """The first output's best label and its share of the sum of all bytes."""
    entrance, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(entrance["index"], np.expand_dims(pixels, axis=0))
    interpreter.invoke()
    raw = interpreter.get_tensor(exit_["index"])[0]
    shares = raw / raw.sum(axis=0)
    best = int(np.argmax(shares))
    return labels[best], float(shares[best])


@pytest.mark.parametrize("label", range(len(LABELS)))
def test_the_first_output_is_one_probability_a_label(
    label: int, tiny_bundle: Path, tiny_classifier: Classifier
) -> None:
    labels = (tiny_bundle / contract.LABELS).read_text("utf-8").splitlines()
    pixels = prepare_frame(picture(label, 0), RULES)
    said, share = read_like_others(interpreter_of(tiny_bundle), labels, pixels)
    ours = tiny_classifier.classify(pixels)
    assert said == ours.label == LABELS[label]
    assert share == pytest.approx(ours.score, abs=0.01)


def test_outputs_are_probabilities_then_class_map_then_features(tiny_bundle: Path) -> None:
    details = interpreter_of(tiny_bundle).get_output_details()
    cells = RULES.width_px // 32
    assert [tuple(detail["shape"]) for detail in details] == [
        (1, len(LABELS)),
        (1, cells, cells, len(LABELS)),
        (1, 1280),
    ]
    assert {detail["dtype"] for detail in details} == {np.uint8}
