"""What quantized models say on a device: the same as the network, or the self-test fails."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.quantize.export import int8_model
from convert.quantize.plan import Plan
from device.contract import bundle as contract
from device.contract.arrays import Pixels
from device.contract.photos import load_photo
from device.inference.classifier import Classifier
from device.workstation.conversion import FLOAT_MODEL
from tests.support.builds.small_networks import int8_io_model
from tests.support.cli import Call, assert_one_error_line
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.pictures import LABELS, RULES


def test_float_uint8_and_int8_models_say_the_same_as_the_network(
    tiny_network: Any,
    tiny_models: dict[str, bytes],
    tiny_plan: Plan,
    tiny_photos: list[Path],
) -> None:
    pixels = np.stack([load_photo(path, RULES) for path in tiny_photos])
    truth = tiny_network(pixels)["probabilities"].numpy()
    models = [
        tiny_models[FLOAT_MODEL],
        tiny_models[contract.MODEL],
        int8_io_model(tiny_network, tiny_plan),
    ]
    float32, uint8, int8 = (scores_of(model, pixels) for model in models)
    assert set(truth.argmax(axis=1)) == {0, 1, 2}, "the test needs every class"
    np.testing.assert_allclose(float32, truth, atol=1e-4)
    np.testing.assert_allclose(uint8, truth, atol=0.1)
    np.testing.assert_array_equal(uint8.argmax(axis=1), truth.argmax(axis=1))
    np.testing.assert_array_equal(int8, uint8)


def scores_of(model: bytes, pixels: Pixels) -> npt.NDArray[np.float32]:
    classifier = Classifier(model, LABELS, RULES)
    return np.stack([classifier.classify(each).scores for each in pixels])


def test_the_self_test_fails_on_another_model(
    call: Call, tiny_bundle: Path, tiny_network: Any, tiny_plan: Plan, tmp_path: Path
) -> None:
    # As from a converter that lost one layer's bias: it loads, runs, and is sealed.
    biases = {**tiny_plan.biases, "class_map": tiny_plan.biases["class_map"] + 0.5 * np.arange(3)}
    other = int8_model(tiny_network, Plan(tiny_plan.kernels, biases, tiny_plan.ranges))
    files = resealed({**read_folder(tiny_bundle), contract.MODEL: other})
    run = call("selftest", "--bundle", write_folder(tmp_path / "b", files))
    assert_one_error_line(run, "do not use this bundle")
