"""A network's layers in double precision, for planning a quantization.

Sums in single precision depend on their order, and the order depends on the number of cores, the
vector instructions and the cache sizes of the processor. Their last digits decide how scales and
biases are rounded, so the same network would give another int8 model on another machine. Sums in
double precision differ by 1e-15, which disappears when they are rounded to single precision for the
next layer. That is not a proof for every case, but it held in each one that was tried
(`tests/convert/quantize/test_same_model.py`).
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.errors import ConversionError

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

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


def round_to_range(values: Floats, low: float, high: float, steps: int) -> Floats:
    """Round values to a grid of `steps` steps from about `low` to about `high` that includes 0.

    The grid follows TFLite's quantization specification: its ends are moved until 0 is exactly an
    integer. Values outside become an end.
    """
    scale = (high - low) / steps
    zero = float(np.clip(np.round(-low / scale), 0, steps))
    rounded = np.clip(np.floor(values.astype(np.float64) / scale + zero + 0.5), 0, steps)
    return np.asarray((rounded - zero) * scale, np.float32)


def _convolve(layer: Any, values: Doubles, weights: Any) -> Doubles:
    kernel, bias = (weight.astype(np.float64) for weight in weights)
    strides, padding = (1, *layer.strides, 1), layer.padding.upper()
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    convolve = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
    result = np.asarray(convolve(values, kernel, strides, padding), np.float64)
    return np.asarray(result + bias)
