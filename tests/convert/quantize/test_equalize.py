"""Promises of equalization: the same function, with channels that int8 can tell apart."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.quantize.equalize import channel_scales, headroom, inputs, peaks, scaled_weights
from convert.quantize.export import int8_model
from convert.quantize.plan import DEFAULT, Method, Plan, forward, make_plan
from device.workstation.training import Part

if TYPE_CHECKING:
    from convert.artifacts.training import Training

Floats = npt.NDArray[np.float32]
CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@pytest.fixture(scope="session")
def pixels(tiny_training: "Training") -> npt.NDArray[np.uint8]:
    return np.stack([tiny_training.pixels(photo) for photo in tiny_training.photos[Part.TRAIN]])


@pytest.fixture(scope="session")
def scales(tiny_network: keras.Model, pixels: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    return channel_scales(tiny_network, peaks(tiny_network, pixels))


def unrounded(network: keras.Model, scales: dict[str, Floats]) -> Plan:
    plan = Plan(scales=scales)
    for layer in network.layers:
        if isinstance(layer, CONVOLUTIONS):
            plan.kernels[layer.name], plan.biases[layer.name] = scaled_weights(layer, scales)
    return plan


def test_an_equalized_network_is_the_same_function(
    tiny_network: keras.Model, pixels: npt.NDArray[np.uint8], scales: dict[str, Floats]
) -> None:
    found = forward(tiny_network, unrounded(tiny_network, scales), tiny_network.layers[1](pixels))
    for name, value in tiny_network(pixels).items():
        assert np.allclose(found[name], value, rtol=1e-3, atol=1e-3 * np.ptp(value)), name


def test_every_map_but_the_answers_is_the_float_one_times_its_scale(
    tiny_network: keras.Model, pixels: npt.NDArray[np.uint8], scales: dict[str, Floats]
) -> None:
    exact: dict[str, Any] = {}
    scaled: dict[str, Any] = {}
    start = tiny_network.layers[1](pixels[:4])
    forward(tiny_network, Plan(), start, exact.__setitem__)
    forward(tiny_network, unrounded(tiny_network, scales), start, scaled.__setitem__)
    for name, scale in scales.items():
        if not isinstance(tiny_network.get_layer(name), CONVOLUTIONS):
            wanted = exact[name].numpy() * scale
            assert np.allclose(scaled[name], wanted, atol=1e-3 * np.abs(wanted).max()), name
    assert not {"class_map", "logits", "probabilities"} & set(scales)


def test_no_channel_grows_beyond_its_activation_limit(
    tiny_network: keras.Model, pixels: npt.NDArray[np.uint8], scales: dict[str, Floats]
) -> None:
    found = peaks(tiny_network, pixels)
    limited = [x for x in tiny_network.layers if isinstance(x, keras.layers.ReLU)]
    assert limited
    for layer in limited:
        assert (found[layer.name] * scales[layer.name]).max() <= layer.max_value * 1.0001
        assert scales[layer.name].min() >= 1


@given(st.integers(1, 300), st.integers(1, 300))
def test_fewer_calibration_photos_leave_more_headroom(one: int, other: int) -> None:
    few, many = sorted((one, other))
    assert headroom(few) >= headroom(many) > 1
    assert headroom(2) >= 6 and headroom(100) <= 1.1


def test_headroom_keeps_channels_below_their_limit_when_peaks_were_higher(
    tiny_network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    found = peaks(tiny_network, pixels)
    tight, roomy = (channel_scales(tiny_network, found, headroom=room) for room in (1, 3))
    grown = 0
    for layer in tiny_network.layers:
        if isinstance(layer, keras.layers.ReLU):
            name = layer.name
            assert (roomy[name] <= tight[name] * 1.0001).all() and roomy[name].min() >= 1
            # What still grows stays below the limit with peaks three times as high.
            larger = roomy[name] > 1
            grown += int(larger.sum())
            assert (3 * found[name] * roomy[name])[larger].max(initial=0) <= 6.001
    assert grown


def test_what_is_added_shares_one_scale(
    tiny_network: keras.Model, scales: dict[str, Floats]
) -> None:
    additions = [x for x in tiny_network.layers if isinstance(x, keras.layers.Add)]
    assert additions
    for layer in additions:
        for name in inputs(layer):
            assert np.array_equal(scales[name], scales[layer.name])


def uneven(network: keras.Model) -> keras.Model:
    """The same function with the channels before each depthwise convolution of unlike size."""
    rng = np.random.default_rng(3)
    result = keras.models.clone_model(network)
    result.set_weights(network.get_weights())
    for layer in result.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            maker = result.get_layer(inputs(result.get_layer(inputs(layer)[0]))[0])
            kernel, bias = maker.get_weights()
            limit = 6 / max(6.0, float(np.abs(kernel).sum(axis=(0, 1, 2)).max()) * 6)
            factor = (limit * 10 ** rng.uniform(-2, 0, len(bias))).astype(np.float32)
            maker.set_weights([kernel * factor, bias * factor])
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel / factor[:, None], bias])
    return result


def error(network: keras.Model, pixels: npt.NDArray[np.uint8], method: Method) -> float:
    """Squared error of the class map, as a share of its variance."""
    plan = make_plan(network, pixels, method=method)
    exact = network(pixels)["class_map"].numpy()
    found = forward(network, plan, network.layers[1](pixels))["class_map"].numpy()
    return float(((found - exact) ** 2).mean() / exact.var())


def test_uneven_channels_cost_less_when_equalized(
    tiny_network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    network = uneven(tiny_network)
    plain = error(network, pixels, Method(equalize=False))
    assert error(network, pixels, DEFAULT) < plain / 4


def test_channels_behind_a_relu6_can_stay_as_they_are(
    tiny_network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    found = peaks(tiny_network, pixels)
    every = channel_scales(tiny_network, found)
    linear = channel_scales(tiny_network, found, clipped=False)
    relus = {x.name for x in tiny_network.layers if isinstance(x, keras.layers.ReLU)}
    assert relus & set(every) and linear and not relus & set(linear)
    assert all(np.array_equal(scale, every[name]) for name, scale in linear.items())


@settings(max_examples=5)
@given(st.integers(0, 2**31 - 1))
def test_dead_channels_get_a_finite_scale(tiny_network: keras.Model, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([0, 1e-30, 1e-3, 1, 6], np.float32)
    found = {
        layer.name: rng.choice(values, layer.output.shape[-1])
        for layer in tiny_network.layers[1:]
        if len(layer.output.shape) == 4
    }
    for scale in channel_scales(tiny_network, found).values():
        assert np.isfinite(scale).all()
        assert (scale > 0).all()


@pytest.mark.parametrize("classes", [2, 1000])
def test_any_number_of_classes_is_quantized_from_a_single_photo(
    classes: int, tiny_network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    from train.network.backbone import classifier

    features = tiny_network.get_layer("class_map").input
    network = classifier(keras.Model(tiny_network.inputs, features), classes)
    assert int8_model(network, make_plan(network, pixels[:1]))
