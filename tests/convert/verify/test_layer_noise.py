"""Each int8 tensor finds its float one, and the layer that is to blame is named."""

from dataclasses import replace
from typing import Any

import keras
import pytest

from convert.errors import ConversionError
from convert.quantize.export import int8_model
from convert.quantize.plan import POOLED, Plan
from convert.tflite.flatbuffer import read_operators
from convert.verify.layer_noise import LayerError, compare_layers, describe, match, worst_first
from device.contract import bundle as contract
from device.contract.arrays import Pixels
from device.workstation.conversion import LayerFigures
from device.workstation.training import Part

NARROW = "block_5_project"


@pytest.fixture(scope="module")
def pictures(tiny_training: Any) -> list[Pixels]:
    return [tiny_training.pixels(photo) for photo in tiny_training.photos[Part.TEST][:4]]


@pytest.fixture(scope="module")
def errors(
    tiny_network: Any, tiny_models: dict[str, bytes], tiny_plan: Plan, pictures: list[Pixels]
) -> list[LayerError]:
    return compare_layers(tiny_network, tiny_models[contract.MODEL], tiny_plan.scales, pictures)


def with_range(plan: Plan, name: str, share: float) -> Plan:
    low, high = plan.ranges[name]
    return replace(plan, ranges={**plan.ranges, name: (share * low, share * high)})


def test_every_layer_with_a_tensor_is_compared_once_in_network_order(
    tiny_network: Any, errors: list[LayerError]
) -> None:
    fused = {
        tensor._keras_history.operation.name
        for layer in tiny_network.layers
        if isinstance(layer, keras.layers.ReLU)
        for tensor in [layer.input]
    }
    expected = [layer.name for layer in tiny_network.layers[1:] if layer.name not in fused]
    assert [error.name for error in errors] == [*expected, POOLED]


def test_every_tensor_an_operator_writes_is_some_layer_s_or_an_output_s_copy(
    tiny_network: Any, tiny_models: dict[str, bytes]
) -> None:
    operators = read_operators(tiny_models[contract.MODEL])
    nodes = match(tiny_network, operators)
    written = {node.tensor for node in nodes}
    assert len(written) == len(nodes)
    assert sum(op.writes not in written for op in operators) == 3


def test_the_bytes_are_exact_and_the_first_layers_nearly(errors: list[LayerError]) -> None:
    first, second = errors[0], errors[1]
    assert (first.sqnr_db, first.local_sqnr_db, first.clipped) == (None, None, 0)
    assert second.sqnr_db is not None and second.sqnr_db > 30 and second.cosine > 0.999


def test_noise_is_on_the_scale_of_eight_bits(errors: list[LayerError]) -> None:
    own = [error.local_sqnr_db for error in errors[1:]]
    # A full-range sine in 8 bits has 50 dB; most tensors fill their range less well.
    assert all(value is not None and 10 < value < 70 for value in own), own


def test_a_relu_at_its_end_counts_as_saturated_but_not_as_clipped(
    errors: list[LayerError],
) -> None:
    relu = next(error for error in errors if error.name == "conv0")
    assert relu.saturated > 0.1 > 10 * relu.clipped


@pytest.mark.parametrize("name", [NARROW, "block_13_depthwise"])
def test_a_layer_whose_range_is_far_too_narrow_is_named_first(
    name: str, tiny_network: Any, tiny_plan: Plan, pictures: list[Pixels]
) -> None:
    damaged = int8_model(tiny_network, with_range(tiny_plan, name, 0.05))
    worst = worst_first(compare_layers(tiny_network, damaged, tiny_plan.scales, pictures))[0]
    assert worst.name == name
    assert worst.clipped > 0.1
    assert describe([worst]).startswith(f"{name} (")


def test_a_layer_with_a_wrong_kernel_is_named_first(
    tiny_network: Any, tiny_plan: Plan, pictures: list[Pixels]
) -> None:
    kernels = {**tiny_plan.kernels, NARROW: -tiny_plan.kernels[NARROW]}
    damaged = int8_model(tiny_network, replace(tiny_plan, kernels=kernels))
    worst = worst_first(compare_layers(tiny_network, damaged, tiny_plan.scales, pictures))[0]
    assert worst.name == NARROW and worst.local_sqnr_db is not None and worst.local_sqnr_db < 0


def test_an_operator_without_a_layer_and_a_layer_without_an_operator_are_errors(
    tiny_network: Any, tiny_models: dict[str, bytes]
) -> None:
    operators = read_operators(tiny_models[contract.MODEL])
    lost = next(i for i, op in enumerate(operators) if op.kind == "ADD")
    with pytest.raises(ConversionError, match="computes the layer"):
        match(tiny_network, operators[:lost] + operators[lost + 1 :])
    with pytest.raises(ConversionError, match="belongs to no layer"):
        match(tiny_network, [*operators, operators[lost]])


def test_the_record_has_no_number_that_json_lacks() -> None:
    exact = LayerError("a", None, None, 1.0, 0.0, 0.0)
    noisy = LayerError("b", 12.345678, -3.0, 0.9, 0.5, 0.25)
    assert worst_first([exact, noisy]) == [noisy, exact]
    assert exact.layer_figures().sqnr_db is None
    assert noisy.layer_figures() == LayerFigures("b", 12.35, -3.0, 0.9, 0.5, 0.25)
