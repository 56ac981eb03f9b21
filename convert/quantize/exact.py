"""A network's layers in double precision, for planning a quantization.

Sums in single precision depend on their order, and the order depends on the number of cores, the
vector instructions and the cache sizes of the processor. Their last digits decide how scales and
biases are rounded, so the same network would give another int8 model on another machine. Sums in
double precision differ by 1e-15, which disappears when they are rounded to single precision for the
next layer. That is not a proof for every case, but it held in each one that was tried
(`tests/convert/quantize/test_same_model.py`).
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.errors import ConversionError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Range = tuple[float, float]

ACTIVATION_STEPS = 255
"""From the lowest int8 activation to the highest."""

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def apply_layer(
    layer: keras.Layer, values: list[Floats], weights: tuple[Floats, Floats] | None = None
) -> Doubles:
    """One layer's output.

    Args:
        layer: of a classifier whose BatchNorms are folded.
        values: float32, its inputs.
        weights: kernel and bias for a convolution; None uses its own.

    Returns:
        float64, of the layer's output shape.

    Raises:
        ConversionError: if this kind of layer is not supported.
    """
    first, *others = (value.astype(np.float64) for value in values)
    if isinstance(layer, CONVOLUTIONS):
        return _convolve(layer, first, weights or tuple(layer.get_weights()))
    if isinstance(layer, keras.layers.ReLU):
        return np.clip(first, 0, layer.max_value)
    if isinstance(layer, keras.layers.Add):
        return np.asarray(sum(others, first))
    if isinstance(layer, keras.layers.GlobalAveragePooling2D):
        return np.asarray(first.mean(axis=(1, 2)))
    if isinstance(layer, keras.layers.Rescaling):
        return np.asarray(first * layer.scale + layer.offset)
    raise ConversionError(f"{layer.name}: cannot quantize a {type(layer).__name__} layer")


@dataclass(frozen=True)
class Grid:
    """The values that an int8 tensor can have."""

    scale: float
    """The size of a step."""
    zero_step: float
    """0, counted in steps from the lower end: 128 more than the int8 zero point."""

    @classmethod
    def of(cls, low: float, high: float) -> "Grid":
        """From about `low` to about `high`: the ends are moved until 0 is exactly a step.

        That follows TFLite's quantization specification.
        """
        scale = (high - low) / ACTIVATION_STEPS
        return cls(scale, float(np.clip(np.round(-low / scale), 0, ACTIVATION_STEPS)))

    @classmethod
    def stored(cls, low: float, high: float) -> "Grid":
        """The same as a model has it, which stores float32."""
        grid = cls.of(float(np.float32(low)), float(np.float32(high)))
        return cls(float(np.float32(grid.scale)), grid.zero_step)


def round_to_range(values: Floats, low: float, high: float) -> Floats:
    """Round values to the grid from about `low` to about `high`; values outside become an end."""
    to = Grid.of(low, high)
    steps = np.floor(values.astype(np.float64) / to.scale + to.zero_step + 0.5)
    return np.asarray((np.clip(steps, 0, ACTIVATION_STEPS) - to.zero_step) * to.scale, np.float32)


def _convolve(layer: Any, values: Doubles, weights: Any) -> Doubles:
    kernel, bias = (weight.astype(np.float64) for weight in weights)
    strides, padding = (1, *layer.strides, 1), layer.padding.upper()
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
    result = np.asarray(convolve(values, kernel, strides, padding), np.float64)
    return np.asarray(result + bias)
