"""Promises of conversion: int8 computes what float computed, at every tensor, and nothing else."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.errors import ConversionError
from convert.quantize.exact import ACTIVATION_STEPS
from convert.quantize.export import SHIPPED_OPERATORS, float_model, int8_model
from convert.quantize.plan import (
    WEIGHT_STEPS,
    Plan,
    forward,
    make_plan,
    observed_range,
    round_weights,
)
from convert.tflite.flatbuffer import ModelFacts, pack, parse, read_facts
from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing, prepare
from device.inference.classifier import Classifier
from device.inference.outputs import roles
from tests.support.builds.small_networks import folded_weights
from tests.support.single_photos import even
from train.data.rendered import CLASS_NAMES, render_flower
from train.network.backbone import Architecture, build, classifier
from train.recipe.finetune import fit_head

Floats = npt.NDArray[np.float32]

ALPHA, SIZE_PX = 0.35, 96
RULES = Preprocessing(height_px=SIZE_PX, width_px=SIZE_PX)
LABELS = ("under red light", "under green light", "under blue light")
LIGHT = 0.3
"""How much of the other two colours there is: enough for a random network to tell."""
LEARNED, HELD_OUT = 60, 96


def lit_flower(part: int, index: int) -> Pixels:
    rng = np.random.default_rng([part, index])
    pixels = prepare(render_flower(CLASS_NAMES[index % len(CLASS_NAMES)], rng, 112), RULES)
    light = np.full(3, LIGHT)
    light[index % len(LABELS)] = 1
    return np.asarray(pixels * light, np.uint8)


@dataclass
class Built:
    """A small network with all that is made of it, and pictures that none of it has seen."""

    network: keras.Model
    plan: Plan
    learned: npt.NDArray[np.uint8]
    held_out: npt.NDArray[np.uint8]
    float_model: bytes
    int8_model: bytes


@pytest.fixture(scope="session")
def built() -> Built:
    learned, held_out = (
        np.stack([lit_flower(part, index) for index in range(count)])
        for part, count in enumerate((LEARNED, HELD_OUT))
    )
    weights = folded_weights(ALPHA, np.random.default_rng(0))
    backbone = build(Architecture(alpha=ALPHA, size_px=SIZE_PX), weights)
    features = backbone(learned).numpy().mean(axis=(1, 2))
    truth = even(np.arange(LEARNED) % len(LABELS))
    network = classifier(backbone, len(LABELS))
    head = fit_head(features, truth, features, truth, len(LABELS))
    network.get_layer("class_map").set_weights(head)
    plan = make_plan(network, learned[:40])
    return Built(network, plan, learned, held_out, float_model(network), int8_model(network, plan))


# --- rounding -------------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**31 - 1)


@settings(max_examples=80)
@given(SEEDS, st.sampled_from([2, 3]), st.floats(-6, 3))
def test_weights_are_rounded_to_a_grid_of_their_channel(
    seed: int, axis: int, exponent: float
) -> None:
    rng = np.random.default_rng(seed)
    shape = (3, 3, *rng.integers(1, 6, 2))
    kernel = (10**exponent * rng.standard_normal(shape)).astype(np.float32)
    kernel *= 10 ** rng.uniform(-3, 0, [n if k == axis else 1 for k, n in enumerate(shape)])
    if seed % 3 == 0:
        kernel[(slice(None),) * axis + (0,)] = 0
    rounded = round_weights(kernel, axis)
    others = tuple(k for k in range(4) if k != axis)
    largest = np.abs(kernel).max(axis=others, keepdims=True).astype(np.float64)
    step = np.where(largest > 0, largest / WEIGHT_STEPS, 1)
    assert rounded.dtype == np.float32
    assert (np.abs(rounded - kernel) <= step * 0.5001).all()
    numbers = rounded / step
    assert np.allclose(numbers, np.round(numbers), atol=1e-4)
    assert np.allclose(np.abs(rounded).max(axis=others, keepdims=True), largest, rtol=1e-6)
    assert np.allclose(round_weights(rounded, axis), rounded, rtol=1e-6, atol=0)


@settings(max_examples=40)
@given(SEEDS, st.floats(-3, 3), st.floats(-3, 3))
def test_the_range_holds_all_values_of_all_chunks_and_zero(
    seed: int, middle: float, exponent: float
) -> None:
    rng = np.random.default_rng(seed)
    values = (10**exponent * rng.normal(middle, 1, 300)).astype(np.float32)
    low, high = observed_range(values[:7], values[7:])
    assert low == min(0, values.min())
    assert high == max(0, values.max())


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_a_layer_of_zeros_still_has_a_range(value: float) -> None:
    low, high = observed_range(np.full(10, value, np.float32))
    assert low <= 0 < high


# --- the graph ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def facts(built: Built) -> ModelFacts:
    return read_facts(built.int8_model)


def test_only_the_promised_operators_are_shipped(built: Built, facts: ModelFacts) -> None:
    assert set(facts.operators) <= SHIPPED_OPERATORS
    assert facts.operator_counts["QUANTIZE"] <= 4
    assert facts.operator_counts["CONV_2D"] + facts.operator_counts["DEPTHWISE_CONV_2D"] == 53
    assert facts.operator_counts["MEAN"] == 2 and facts.operator_counts["SOFTMAX"] == 1
    assert facts.operator_counts["ADD"] == 10


def head_on(x: Any, pixels: Any) -> keras.Model:
    some = keras.initializers.GlorotUniform(0)
    class_map = keras.layers.Conv2D(2, 1, name="class_map", kernel_initializer=some)(x)
    logits = keras.layers.GlobalAveragePooling2D()(class_map)
    outputs = {"probabilities": keras.layers.Softmax(name="probabilities")(logits)}
    return keras.Model(pixels, {**outputs, "class_map": class_map})


def test_a_graph_with_another_operator_is_refused(built: Built) -> None:
    pixels = keras.Input((SIZE_PX, SIZE_PX, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 128, -1)(pixels)
    network = head_on(keras.layers.ReLU(6.0)(x), pixels)
    plan = make_plan(network, built.learned[:4])
    with pytest.raises(ConversionError, match="operators"):
        int8_model(network, plan)


def test_nothing_in_the_graph_is_float(built: Built, facts: ModelFacts) -> None:
    assert facts.float_tensors == ()
    assert read_facts(built.float_model).float_tensors


def test_bytes_pass_the_input_unchanged(facts: ModelFacts) -> None:
    assert facts.input_scale == 1 / 128
    assert facts.input_zero_point == 128


def test_weights_have_a_scale_per_channel(built: Built, facts: ModelFacts) -> None:
    assert facts.per_channel_weights
    assert not read_facts(built.float_model).per_channel_weights


def test_converting_twice_gives_the_same_bytes(built: Built) -> None:
    again = make_plan(built.network, built.learned[:40])
    assert int8_model(built.network, again) == built.int8_model
    assert float_model(built.network) == built.float_model


@pytest.mark.parametrize("head", [0, 4, 8, 100, 20_000, -1])
def test_a_file_that_is_no_model_is_refused(built: Built, head: int) -> None:
    garbage = np.random.default_rng(0).bytes(3000)
    for data in (built.int8_model[:head], built.int8_model[:head][:8] + garbage, garbage):
        with pytest.raises(ConversionError, match="TFLite"):
            read_facts(data)


def test_a_network_that_cannot_be_quantized_is_refused() -> None:
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 128, -1)(pixels)
    network = head_on(keras.layers.Activation("tanh", name="a_tanh")(x), pixels)
    with pytest.raises(ConversionError, match="a_tanh"):
        make_plan(network, np.zeros((2, 8, 8, 3), np.uint8))


# --- float against int8, tensor by tensor ---------------------------------------------------------


@dataclass
class Tensor:
    raw: npt.NDArray[Any]
    scale: npt.NDArray[np.float64]
    zero_point: int
    axis: int

    def real(self) -> npt.NDArray[np.float64]:
        if not self.scale.size:
            return self.raw.astype(np.float64)
        shape = [1] * self.raw.ndim
        shape[self.axis] = self.scale.size
        return (self.raw.astype(np.float64) - self.zero_point) * self.scale.reshape(shape)


def executed(model: bytes, pixels: Pixels) -> Iterator[tuple[str, list[Tensor], Tensor]]:
    """Each operator with its inputs and output, as the reference interpreter computed them."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[np.newaxis])
    interpreter.invoke()
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}

    def tensor(index: int) -> Tensor:
        q = details[index]["quantization_parameters"]
        zero_point = int(q["zero_points"][0]) if q["zero_points"].size else 0
        scale = q["scales"].astype(np.float64)
        return Tensor(interpreter.get_tensor(index), scale, zero_point, q["quantized_dimension"])

    for op in interpreter._get_ops_details():
        yield op["op_name"], [tensor(k) for k in op["inputs"]], tensor(op["outputs"][0])


def test_every_operator_computes_what_the_plan_says(built: Built) -> None:
    """Given its real inputs, each layer in float, rounded once, is the int8 tensor within a step.

    Layer by layer, because in a deep network a step of one layer is many of a later one.
    """
    layers = [layer for layer in built.network.layers if layer.name in built.plan.kernels]
    exact: Counter[bool] = Counter()
    for pixels in built.held_out[:4]:
        remaining = iter(layers)
        for name, inputs, output in executed(built.int8_model, pixels):
            values = [tensor.real() for tensor in inputs]
            if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                layer = next(remaining)
                kernel = built.plan.kernels[layer.name]
                assert np.allclose(values[1].transpose(1, 2, 3, 0), kernel, atol=1e-6), layer.name
                convolve = tf.nn.conv2d if name == "CONV_2D" else tf.nn.depthwise_conv2d
                x = values[0].astype(np.float32)
                result = convolve(x, kernel, (1, *layer.strides, 1), "SAME").numpy()
                result = result + built.plan.biases[layer.name]
            elif name == "ADD":
                result = values[0] + values[1]
            elif name == "MEAN":
                result = values[0].mean(axis=(1, 2))
            elif name == "SOFTMAX":
                result = np.exp(values[0]) / np.exp(values[0]).sum()
            else:
                result = values[0]
            limits = np.iinfo(output.raw.dtype)
            steps = np.round(result / output.scale) + output.zero_point
            off = np.abs(np.clip(steps, limits.min, limits.max) - output.raw.astype(np.int64))
            assert off.max() <= 1, name
            exact.update((off == 0).ravel().tolist())
        assert next(remaining, None) is None
    assert exact[True] > 0.99 * exact.total()


def test_the_int8_tensors_have_the_ranges_of_the_plan(built: Built) -> None:
    found = sorted(
        float(output.scale[0]) * ACTIVATION_STEPS
        for name, _, output in executed(built.int8_model, built.held_out[0])
        if name not in ("SOFTMAX", "QUANTIZE")
    )
    planned = [high - low for name, (low, high) in built.plan.ranges.items() if "scale" not in name]
    assert np.allclose(found, sorted(planned), rtol=1e-3)


@pytest.fixture(scope="session")
def answers(built: Built) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Probabilities and class map of the held-out pictures, by model."""
    models = {"float": built.float_model, "int8": built.int8_model}
    found: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, model in models.items():
        device = Classifier(model, LABELS, RULES)
        rows = [
            (
                device.classify(pixels).scores,
                device.class_map(),
                device.raw_outputs()["class_map"],
                device.features(),
            )
            for pixels in built.held_out
        ]
        columns = ("probabilities", "class_map", "raw_map", "features")
        found[name] = dict(zip(columns, map(np.stack, zip(*rows, strict=True)), strict=True))
    outputs = built.network(built.held_out)
    last = keras.Model(built.network.input, built.network.get_layer("features").output)
    outputs = {**outputs, "features": tf.reduce_mean(last(built.held_out), (1, 2))}
    found["keras"] = {key: value.numpy() for key, value in outputs.items()}
    scaled = built.held_out.astype(np.float32) / 128 - 1
    found["plan"] = {k: v.numpy() for k, v in forward(built.network, built.plan, scaled).items()}
    return found


def test_float_tflite_is_the_keras_network(answers: dict[str, dict[str, Any]]) -> None:
    for key in ("probabilities", "class_map", "features"):
        assert np.allclose(answers["float"][key], answers["keras"][key], atol=1e-4)


def test_int8_is_the_simulated_plan_to_the_last_layers(
    built: Built, answers: dict[str, dict[str, Any]]
) -> None:
    """End to end, 53 roundings deep, the map is still within a few of its 256 steps."""
    record = Classifier(built.int8_model, LABELS, RULES).tensor_records()["outputs"]["class_map"]
    steps = np.round(answers["plan"]["class_map"] / record["scale"]) + record["zero_point"]
    off = np.abs(np.clip(steps, 0, 255) - answers["int8"]["raw_map"])
    assert np.median(off) <= 2
    assert np.quantile(off, 0.99) <= 10


def test_int8_features_are_the_float_ones_but_for_equalized_channels(
    built: Built, answers: dict[str, dict[str, Any]]
) -> None:
    larger = built.plan.scales.get("features", np.float32(1))
    exact, found = answers["float"]["features"] * larger, answers["int8"]["features"]
    assert np.abs(found - answers["plan"]["features"]).mean() < 0.02 * exact.max()
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.98


def without_features(model: bytes) -> bytes:
    """The same model without its third output, and without the operators that only it needs."""
    tree = parse(model)
    graph = tree.subgraphs[0]
    needed, kept = set(graph.outputs[:2].tolist()), []
    for operator in reversed(graph.operators):
        if needed & set(operator.outputs.tolist()):
            needed |= set(operator.inputs.tolist())
            kept.append(operator)
    assert len(kept) == len(graph.operators) - 2
    graph.operators, graph.outputs = kept[::-1], graph.outputs[:2]
    return pack(tree)


def test_features_change_no_byte_of_the_other_outputs(built: Built) -> None:
    plain = Classifier(without_features(built.int8_model), LABELS, RULES)
    whole = Classifier(built.int8_model, LABELS, RULES)
    for pixels in built.held_out:
        assert plain.classify(pixels).scores.tolist() == whole.classify(pixels).scores.tolist()
        assert plain.class_map().tobytes() == whole.class_map().tobytes()


def test_outputs_come_in_the_order_that_other_programs_expect(built: Built) -> None:
    for model in (built.int8_model, built.float_model):
        graph = parse(model).subgraphs[0]
        shapes = [graph.tensors[index].shape for index in graph.outputs]
        assert roles(shapes, len(LABELS)) == ("probabilities", "class_map", "features")


def test_bias_correction_leaves_no_mean_error(built: Built) -> None:
    """On the pictures of calibration, the plan's class map is on average the float one."""
    scaled = built.learned[:40].astype(np.float32) / 128 - 1
    planned = forward(built.network, built.plan, scaled)["class_map"].numpy()
    exact = built.network(built.learned[:40])["class_map"].numpy()
    spread = float(np.ptp(exact))
    assert np.abs((planned - exact).mean(axis=(0, 1, 2))).max() < 0.005 * spread


def test_int8_probabilities_are_close_to_float(answers: dict[str, dict[str, Any]]) -> None:
    difference = np.abs(answers["int8"]["probabilities"] - answers["float"]["probabilities"])
    assert difference.mean() < 0.02
    assert np.ptp(answers["float"]["probabilities"], axis=0).min() > 0.9


def test_int8_agrees_with_float_on_held_out_pictures(answers: dict[str, dict[str, Any]]) -> None:
    float_says, int8_says = (
        answers[name]["probabilities"].argmax(axis=1) for name in ("float", "int8")
    )
    assert len(float_says) >= 64
    assert set(float_says) == set(range(len(LABELS)))
    assert (float_says == int8_says).mean() >= 0.97
