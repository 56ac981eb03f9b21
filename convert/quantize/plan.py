"""Post-training quantization of a network, one layer at a time.

All computations use double precision (`convert.quantize.exact`), so that every machine makes the
same plan.

First, channels that will share a scale are made about equally large (`convert.quantize.equalize`).
Then one pass over the calibration set computes two activations side by side: those of the float
network and those of the integer one. At each layer the weights are rounded to their per-channel
grid, the bias is corrected by the mean error that has built up so far (Nagel et al. 2019, "Data-
Free Quantization through Weight Equalization and Bias Correction", section 4.2, here measured on
data), and the observed range becomes the output's range: the rare large values of the last blocks
decide between classes, and clipping them for finer steps costs more than it gains.

The result is a `Plan`; `forward` runs a network according to it. Converted to TFLite, this gives an
int8 model with exactly these scales.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.errors import ConversionError
from convert.quantize.equalize import (
    channel_scales,
    headroom,
    inputs,
    last_uses,
    peaks,
    scaled_weights,
)
from convert.quantize.exact import CONVOLUTIONS, Range, apply_layer, round_to_range
from convert.quantize.means import alike

Floats = npt.NDArray[np.float32]

WEIGHT_STEPS = 127
"""int8 weights use -127..127: symmetric, without -128 (TFLite quantization specification)."""
MIN_RANGE = 1e-6
"""A tensor with a smaller range is constant zero, and any range will do."""
CHUNK_PHOTOS = 10
"""Photos computed at once, which limits the memory that a layer needs."""
POOLED = "pooled_features"
"""In a plan's ranges, the spatial mean of the last features: an output that no layer computes."""


@dataclass
class Plan:
    """A network's quantization: its weights, and where and how to round."""

    kernels: dict[str, Floats] = field(default_factory=dict)
    """By convolution, already rounded to the grid, as float."""
    biases: dict[str, Floats] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    """By layer with an int8 tensor as its output, roughly the real values of -128 and 127."""
    scales: dict[str, Floats] = field(default_factory=dict)
    """By layer with equalized channels, float32 (channels,): its output is the float network's
    times this."""


def round_weights(kernel: Floats, channel_axis: int) -> Floats:
    """Round a kernel to its symmetric int8 grid, one scale per output channel.

    The largest weight of each channel is at the end of the grid, so the converter finds the same
    grid when it quantizes the result.
    """
    others = tuple(axis for axis in range(kernel.ndim) if axis != channel_axis)
    largest = np.abs(kernel).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / WEIGHT_STEPS, 1).astype(np.float32)
    return (np.round(kernel / scale) * scale).astype(np.float32)


def observed_range(*chunks: Floats) -> Range:
    """From the smallest to the largest value; always includes 0, which padding needs exactly.

    Args:
        chunks: the tensor's values over the calibration set, in one array or several.
    """
    low = min(0.0, *(float(values.min()) for values in chunks))
    high = max(0.0, *(float(values.max()) for values in chunks))
    return (low, high) if high - low >= MIN_RANGE else (0.0, 1.0)


@dataclass(frozen=True)
class Method:
    """How to quantize. The defaults ship; `convert.bench.quantizers` measures alternatives."""

    equalize: bool = True
    equalize_clipped: bool = True
    """Also equalize channels after a ReLU6."""
    correct_biases: bool = True
    find_range: Callable[..., Range] = observed_range


DEFAULT = Method()


def forward(
    network: keras.Model,
    plan: Plan,
    scaled: Any,
    visit: Callable[[str, Any], None] = lambda name, value: None,
) -> dict[str, Any]:
    """Run a classifier, quantized by a plan, from its scaled input.

    Args:
        network: the float classifier; only its structure is used.
        plan: kernels, biases and ranges.
        scaled: float32 (n, h, w, 3) in [-1, 1), the output of the scaling layer.
        visit: called with each layer's name and quantized output.

    Returns:
        The outputs by name, in the order in which they are shipped.
    """
    values: dict[str, Any] = {}
    for layer in network.layers[1:]:
        if isinstance(layer, keras.layers.Rescaling):
            value = scaled
        else:
            value = _apply(layer, plan, [values[name] for name in inputs(layer)])
        if layer.name in plan.ranges:
            value = _fake_quantize(value, plan.ranges[layer.name])
        values[layer.name] = value
        visit(layer.name, value)
    features = tf.reduce_mean(values[features_layer(network)], (1, 2))
    if POOLED in plan.ranges:
        features = _fake_quantize(features, plan.ranges[POOLED])
    return {
        "probabilities": values["probabilities"],
        "class_map": values["class_map"],
        "features": features,
    }


def features_layer(network: keras.Model) -> str:
    """Name of the layer that the class map is computed from."""
    return inputs(network.get_layer("class_map"))[0]


def make_plan(
    network: keras.Model,
    pixels: npt.NDArray[np.uint8],
    advance: Callable[[], None] = lambda: None,
    method: Method = DEFAULT,
) -> Plan:
    """Quantize a classifier on a calibration set.

    Args:
        network: the float classifier, its BatchNorms folded.
        pixels: uint8 (n, h, w, 3).
        advance: called after each of `len(network.layers)` layers.
        method: how to quantize.

    Raises:
        ConversionError: if the network has a layer that is not supported.
    """
    plan, last_use, last_features = Plan(), last_uses(network), features_layer(network)
    if method.equalize:
        largest = peaks(network, pixels)
        plan.scales = channel_scales(
            network, largest, clipped=method.equalize_clipped, headroom=headroom(len(pixels))
        )
    chunks = [_Chunk() for _ in range(0, len(pixels), CHUNK_PHOTOS)]
    for index, layer in enumerate(network.layers):
        advance()
        if index == 0 or isinstance(layer, keras.layers.Softmax):
            continue
        if isinstance(layer, keras.layers.Rescaling):
            plan.ranges[layer.name] = (layer.offset, 255 * layer.scale + layer.offset)
            for number, chunk in enumerate(chunks):
                start = number * CHUNK_PHOTOS
                read = pixels[start : start + CHUNK_PHOTOS].astype(np.float32)
                scaled = apply_layer(layer, [read]).astype(np.float32)
                chunk.exact[layer.name] = chunk.rounded[layer.name] = scaled
            continue
        _plan_layer(layer, plan, chunks, method)
        if _is_quantized(layer, network):
            _round_outputs(layer, plan, chunks, method)
        if layer.name == last_features:
            means = (chunk.rounded[layer.name].mean(axis=(1, 2)) for chunk in chunks)
            plan.ranges[POOLED] = _of_mean(method.find_range(*means), layer.name, plan, chunks)
        finished = [name for name in inputs(layer) if last_use[name] == index]
        for chunk in chunks:
            chunk.forget(finished)
    return plan


def _round_outputs(layer: keras.Layer, plan: Plan, chunks: list["_Chunk"], method: Method) -> None:
    """Choose the range of a layer's output, and round the activations to it."""
    name = layer.name
    limits = method.find_range(*(chunk.rounded[name] for chunk in chunks))
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        limits = _of_mean(limits, inputs(layer)[0], plan, chunks)
    plan.ranges[name] = limits
    for chunk in chunks:
        value = chunk.rounded[name]
        chunk.rounded[name] = round_to_range(value, *limits)


def _of_mean(limits: Range, of: str, plan: Plan, chunks: list["_Chunk"]) -> Range:
    """The range of a spatial mean of a layer's output."""
    height, width = chunks[0].rounded[of].shape[1:3]
    return alike(limits, plan.ranges[of], height * width)


@dataclass
class _Chunk:
    """Activations of some photos by layer, exact and rounded; only those that are still needed."""

    exact: dict[str, Floats] = field(default_factory=dict)
    rounded: dict[str, Floats] = field(default_factory=dict)

    def forget(self, names: list[str]) -> None:
        for name in names:
            del self.exact[name], self.rounded[name]


def _plan_layer(layer: keras.Layer, plan: Plan, chunks: list[_Chunk], method: Method) -> None:
    """Round a layer's weights, correct its bias, and compute both activations after it."""
    names, weights = inputs(layer), None
    if isinstance(layer, CONVOLUTIONS):
        kernel, bias = scaled_weights(layer, plan.scales)
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        kernel = round_weights(kernel, channel_axis=2 if depthwise else 3)
        weights = plan.kernels[layer.name], plan.biases[layer.name] = kernel, bias
    scale = plan.scales.get(layer.name, np.float32(1)).astype(np.float64)
    errors = []
    for chunk in chunks:
        exact = apply_layer(layer, [chunk.exact[name] for name in names])
        found = apply_layer(layer, [chunk.rounded[name] for name in names], weights)
        if weights and method.correct_biases:
            errors.append((exact * scale - found).mean(axis=(1, 2)))
        chunk.exact[layer.name] = exact.astype(np.float32)
        chunk.rounded[layer.name] = found.astype(np.float32)
    if errors:
        correction = np.concatenate(errors).mean(axis=0).astype(np.float32)
        plan.biases[layer.name] = plan.biases[layer.name] + correction
        for chunk in chunks:
            chunk.rounded[layer.name] += correction


def _apply(layer: keras.Layer, plan: Plan, values: list[Any]) -> Any:
    if layer.name not in plan.kernels:
        return layer(*_as_arguments(values))
    kernel, bias = plan.kernels[layer.name], plan.biases[layer.name]
    strides, padding = (1, *layer.strides, 1), layer.padding.upper()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        result = tf.nn.depthwise_conv2d(values[0], kernel, strides, padding)
    else:
        result = tf.nn.conv2d(values[0], kernel, strides, padding)
    return tf.nn.bias_add(result, bias)


def _fake_quantize(value: Any, limits: Range) -> Any:
    return tf.quantization.fake_quant_with_min_max_args(value, limits[0], limits[1], num_bits=8)


def _is_quantized(layer: keras.Layer, network: keras.Model) -> bool:
    """Whether the layer's output is an int8 tensor of its own.

    A convolution with an activation is one operator, rounded once after the activation; a softmax
    has the fixed range 0..255/256.
    """
    if isinstance(layer, keras.layers.Softmax):
        return False
    if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        consumers = [other for other in network.layers[1:] if layer.name in inputs(other)]
        return not any(isinstance(other, keras.layers.ReLU) for other in consumers)
    known = (keras.layers.ReLU, keras.layers.Add, keras.layers.GlobalAveragePooling2D)
    if not isinstance(layer, known):
        raise ConversionError(f"{layer.name}: cannot quantize a {type(layer).__name__} layer")
    return True


def _as_arguments(values: list[Any]) -> list[Any]:
    return values if len(values) == 1 else [values]
