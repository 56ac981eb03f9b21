"""Post-training quantization of a network, one layer at a time.

One sweep over the calibration set carries two activations side by side: what the float network
computes and what the integer one will. At each layer the weights are rounded to their per-channel
grid, the bias is corrected by the mean error that has built up so far (Nagel et al. 2019, "Data-
Free Quantization through Weight Equalization and Bias Correction", section 4.2, here measured on
data), and the output's range is the one of least squared error instead of plain minimum and
maximum, which one outlier can widen.

The result is a `Plan`; `forward` runs a network as the plan says. Converted to TFLite it gives an
int8 model with these very scales.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.errors import ConversionError

Floats = npt.NDArray[np.float32]
Range = tuple[float, float]

WEIGHT_STEPS = 127
"""int8 weights use -127..127: symmetric, without -128 (TFLite quantization specification)."""
ACTIVATION_STEPS = 255
HISTOGRAM_BINS = 2048
CLIPPING_CANDIDATES = 40
CHUNK_PHOTOS = 10
"""Photos computed at once: what a layer needs beside its input and output stays small."""
LEAST_KEPT_RANGE = 0.4
"""The narrowest range tried, as a share of the one observed."""


@dataclass
class Plan:
    """A network's quantization: what to compute with and where to round."""

    kernels: dict[str, Floats] = field(default_factory=dict)
    """By convolution: already rounded to the grid, as float."""
    biases: dict[str, Floats] = field(default_factory=dict)
    ranges: dict[str, Range] = field(default_factory=dict)
    """By layer whose output is an int8 tensor: the real values of -128 and 127, nearly."""


def forward(
    network: keras.Model,
    plan: Plan,
    scaled: Any,
    visit: Callable[[str, Any], None] = lambda name, value: None,
) -> dict[str, Any]:
    """Run a classifier as quantized by a plan, from its scaled input.

    Args:
        network: the float classifier; gives structure only.
        plan: kernels, biases and ranges.
        scaled: float32 (n, h, w, 3) in [-1, 1), the output of the scaling layer.
        visit: called with each layer's name and quantized output.

    Returns:
        The outputs by name.
    """
    values: dict[str, Any] = {}
    for layer in network.layers[1:]:
        if isinstance(layer, keras.layers.Rescaling):
            value = scaled
        else:
            value = _apply(layer, plan, [values[name] for name in _inputs(layer)])
        if layer.name in plan.ranges:
            value = _fake_quantize(value, plan.ranges[layer.name])
        values[layer.name] = value
        visit(layer.name, value)
    return {name: values[name] for name in ("probabilities", "class_map")}


def make_plan(
    network: keras.Model, pixels: npt.NDArray[np.uint8], advance: Callable[[], None] = lambda: None
) -> Plan:
    """Quantize a classifier on a calibration set.

    Args:
        network: the float classifier, its BatchNorms folded.
        pixels: uint8 (n, h, w, 3).
        advance: called after each of `len(network.layers)` layers.

    Raises:
        ConversionError: if the network has a layer that this cannot quantize.
    """
    plan, last_use = Plan(), _last_uses(network)
    chunks = [_Chunk() for _ in range(0, len(pixels), CHUNK_PHOTOS)]
    for index, layer in enumerate(network.layers):
        advance()
        if index == 0:
            continue
        if isinstance(layer, keras.layers.Rescaling):
            plan.ranges[layer.name] = (layer.offset, 255 * layer.scale + layer.offset)
            for number, chunk in enumerate(chunks):
                start = number * CHUNK_PHOTOS
                scaled = layer(pixels[start : start + CHUNK_PHOTOS])
                chunk.exact[layer.name] = chunk.rounded[layer.name] = scaled
            continue
        inputs = _inputs(layer)
        for chunk in chunks:
            chunk.exact[layer.name] = layer(*_as_arguments(chunk.take(chunk.exact, inputs)))
        _plan_weights(layer, plan, chunks)
        finished = [name for name in inputs if last_use[name] == index]
        for chunk in chunks:
            value = _apply(layer, plan, chunk.take(chunk.rounded, inputs))
            chunk.rounded[layer.name] = value
            chunk.forget(finished)
        if _is_quantized(layer, network):
            limits = least_error_range(*(chunk.rounded[layer.name].numpy() for chunk in chunks))
            plan.ranges[layer.name] = limits
            for chunk in chunks:
                value = chunk.rounded[layer.name]
                chunk.rounded[layer.name] = _fake_quantize(value, limits)
    return plan


@dataclass
class _Chunk:
    """Some photos' activations, exact and rounded, by layer: only those still to be read."""

    exact: dict[str, Any] = field(default_factory=dict)
    rounded: dict[str, Any] = field(default_factory=dict)

    def take(self, values: dict[str, Any], names: list[str]) -> list[Any]:
        return [values[name] for name in names]

    def forget(self, names: list[str]) -> None:
        for name in names:
            del self.exact[name], self.rounded[name]


def round_weights(kernel: Floats, channel_axis: int) -> Floats:
    """Round a kernel to its symmetric int8 grid, one scale per output channel.

    The largest weight of each channel lies on the grid's end, so the converter finds this grid
    again when it quantizes the result.
    """
    others = tuple(axis for axis in range(kernel.ndim) if axis != channel_axis)
    largest = np.abs(kernel).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / WEIGHT_STEPS, 1).astype(np.float32)
    return (np.round(kernel / scale) * scale).astype(np.float32)


def least_error_range(*chunks: Floats) -> Range:
    """The range with the least mean squared error of 8-bit quantization, clipping included.

    Both ends shrink together from the observed extremes; 0 always stays inside, since padding
    needs it exactly.

    Args:
        chunks: the tensor's values over the calibration set, in one array or several.
    """
    low = min(0.0, *(float(values.min()) for values in chunks))
    high = max(0.0, *(float(values.max()) for values in chunks))
    if high - low < 1e-6:
        return (0.0, 1.0)
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    counts = sum(np.histogram(values, HISTOGRAM_BINS, (low, high))[0] for values in chunks)
    centres = (edges[:-1] + edges[1:]) / 2
    best, best_error = (low, high), np.inf
    for share in np.linspace(1, LEAST_KEPT_RANGE, CLIPPING_CANDIDATES):
        candidate = (low * share, high * share)
        step = (candidate[1] - candidate[0]) / ACTIVATION_STEPS
        clipped = np.maximum(centres - candidate[1], 0) + np.maximum(candidate[0] - centres, 0)
        # Inside, rounding errs evenly within half a step: its mean square is step^2 / 12.
        squares = np.where(clipped > 0, clipped**2, step**2 / 12)
        error = float((counts * squares).sum())
        if error < best_error:
            best, best_error = candidate, error
    return best


def _plan_weights(layer: keras.Layer, plan: Plan, chunks: list[_Chunk]) -> None:
    if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        return
    kernel, bias = layer.get_weights()
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    plan.kernels[layer.name] = round_weights(kernel, channel_axis=2 if depthwise else 3)
    plan.biases[layer.name] = bias
    names = _inputs(layer)
    errors = [
        tf.reduce_mean(
            chunk.exact[layer.name] - _apply(layer, plan, chunk.take(chunk.rounded, names)),
            axis=(1, 2),
        ).numpy()
        for chunk in chunks
    ]
    plan.biases[layer.name] = bias + np.concatenate(errors).mean(axis=0)


def _apply(layer: keras.Layer, plan: Plan, inputs: list[Any]) -> Any:
    if layer.name not in plan.kernels:
        return layer(*_as_arguments(inputs))
    kernel, bias = plan.kernels[layer.name], plan.biases[layer.name]
    strides, padding = (1, *layer.strides, 1), layer.padding.upper()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        result = tf.nn.depthwise_conv2d(inputs[0], kernel, strides, padding)
    else:
        result = tf.nn.conv2d(inputs[0], kernel, strides, padding)
    return tf.nn.bias_add(result, bias)


def _fake_quantize(value: Any, limits: Range) -> Any:
    return tf.quantization.fake_quant_with_min_max_args(value, limits[0], limits[1], num_bits=8)


def _is_quantized(layer: keras.Layer, network: keras.Model) -> bool:
    """Whether the layer's output is an int8 tensor of its own.

    A convolution with an activation is one operator, rounded once, behind the activation; a
    softmax has its fixed range of 0..255/256.
    """
    if isinstance(layer, keras.layers.Softmax):
        return False
    if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
        consumers = [other for other in network.layers[1:] if layer.name in _inputs(other)]
        return not any(isinstance(other, keras.layers.ReLU) for other in consumers)
    known = (keras.layers.ReLU, keras.layers.Add, keras.layers.GlobalAveragePooling2D)
    if not isinstance(layer, known):
        raise ConversionError(f"{layer.name}: cannot quantize a {type(layer).__name__} layer")
    return True


def _inputs(layer: keras.Layer) -> list[str]:
    tensors: Iterable[Any] = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in tensors]


def _as_arguments(inputs: list[Any]) -> list[Any]:
    return inputs if len(inputs) == 1 else [inputs]


def _last_uses(network: keras.Model) -> Mapping[str, int]:
    """By layer the index of the last layer that reads it: activations are large."""
    return {
        name: index for index, layer in enumerate(network.layers[1:], 1) for name in _inputs(layer)
    }
