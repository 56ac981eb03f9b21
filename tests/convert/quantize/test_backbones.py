"""Promises of quantizing every backbone: full integers, an exact input, the planned result."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from convert.quantize.export import SHIPPED_OPERATORS, int8_model
from convert.quantize.plan import Plan, forward, make_plan
from convert.targets.edgetpu import place_operators
from convert.tflite.flatbuffer import read_facts
from convert.tflite.metadata import Description, embed
from device.contract.preprocess import Preprocessing
from device.inference.classifier import Classifier
from tests.support.builds.small_networks import random_network
from tests.support.pictures import square_picture
from train.network.backbones import BACKBONES

LABELS = ("one", "two", "three")
SIZE_PX = 64


@dataclass(frozen=True)
class Built:
    zero_byte: int
    network: keras.Model
    plan: Plan
    model: bytes
    pixels: npt.NDArray[np.uint8]


@pytest.fixture(scope="module", params=BACKBONES)
def built(request: pytest.FixtureRequest) -> Built:
    network = random_network(len(LABELS), SIZE_PX, request.param)
    pixels = np.stack([square_picture(number, SIZE_PX) for number in range(6)])
    plan = make_plan(network, pixels)
    spec = BACKBONES[request.param]
    return Built(spec.zero_byte, network, plan, int8_model(network, plan), pixels)


def test_quantizing_the_input_loses_nothing(built: Built) -> None:
    facts, every = read_facts(built.model), np.arange(256)
    exact = (every - built.zero_byte) / 128
    assert np.array_equal((every - facts.input_zero_point) * facts.input_scale, exact)
    pixels = np.resize(every.astype(np.uint8), (1, SIZE_PX, SIZE_PX, 3))
    scaled = keras.Model(built.network.input, built.network.layers[1].output)(pixels).numpy()
    assert np.array_equal(np.unique(scaled), exact)


def test_a_reader_that_normalizes_gets_the_byte_back(built: Built) -> None:
    described = embed(built.model, Description("a", "b", LABELS))
    expected = np.array([built.zero_byte, 128], np.float32)
    # The two vectors of one number each, as the metadata holds them.
    for number in expected:
        assert np.array([1], "<u4").tobytes() + number.tobytes() in described


def test_all_operators_are_integer_and_may_run_on_an_edge_tpu(built: Built) -> None:
    facts = read_facts(built.model)
    assert set(facts.operators) == SHIPPED_OPERATORS
    assert not facts.float_tensors and facts.per_channel_weights
    assert all(verdict.mapped for verdict in place_operators(built.model))


def test_the_device_gives_what_was_planned(built: Built) -> None:
    """Within a few of the 256 steps of the map, after up to seventy roundings."""
    device = Classifier(built.model, LABELS, Preprocessing(SIZE_PX, SIZE_PX))
    scaled: Any = (built.pixels.astype(np.float32) - built.zero_byte) / 128
    planned = forward(built.network, built.plan, scaled)["class_map"].numpy()
    step = device.tensor_records()["outputs"]["class_map"]["scale"]
    off = []
    for pixels, expected in zip(built.pixels, planned, strict=True):
        device.classify(pixels)
        off.append(np.abs(device.class_map() - expected) / step)
    assert np.median(off) <= 8 and np.quantile(off, 0.99) <= 24
