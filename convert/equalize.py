"""Cross-layer equalization: channels that share one int8 range are made about equally large.

A tensor has one scale for all its channels, so a channel a tenth as large as its neighbours has a
tenth of their steps. Multiplying a channel where it is made and dividing by the same factor where
it is read leaves the network the same function (Nagel et al. 2019, "Data-Free Quantization through
Weight Equalization and Bias Correction", section 4.1, there with factors from the weights alone;
here from measured activations, as in Xiao et al. 2023, "SmoothQuant").

ReLU6 is the exception: min(x, 6) of a scaled channel is the scaled min(x, 6) only where neither
clips. So a channel behind a ReLU6 grows at most until its largest measured value is 6, and never
shrinks; those that really reach 6 stay as they are.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Floats = npt.NDArray[np.float32]

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
LINEAR_POWER = 0.5
CLIPPED_POWER = 0.25
"""How much of the unevenness of linear and of clipped channels is taken away where a pointwise
convolution reads them: what leaves the activations goes into its kernel, which has one scale per
output channel. A depthwise convolution has a scale for each channel of its own and takes all."""
LARGEST_FACTOR = 100.0
"""A channel that hardly ever fires is not blown up without end."""
PHOTOS_AT_ONCE = 10


def inputs(layer: keras.Layer) -> list[str]:
    """Names of the layers that a layer reads."""
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in tensors]


def peaks(network: keras.Model, pixels: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    """The largest absolute value of each channel, by layer with a map as its output.

    Args:
        network: the float classifier.
        pixels: uint8 (n, h, w, 3), the calibration set.
    """
    maps = {x.name: x.output for x in network.layers[1:] if len(x.output.shape) == 4}
    outputs = keras.Model(network.inputs, maps)

    def largest(batch: Any) -> dict[str, Any]:
        values = outputs(batch, training=False)
        return {name: tf.reduce_max(tf.abs(v), axis=(0, 1, 2)) for name, v in values.items()}

    compiled = tf.function(largest, autograph=False, jit_compile=False, reduce_retracing=True)
    batches = [
        compiled(tf.convert_to_tensor(pixels[i : i + PHOTOS_AT_ONCE]))
        for i in range(0, len(pixels), PHOTOS_AT_ONCE)
    ]
    return {name: np.max([batch[name].numpy() for batch in batches], axis=0) for name in maps}


def channel_scales(
    network: keras.Model, largest: Mapping[str, Floats], *, clipped: bool = True
) -> dict[str, Floats]:
    """What to multiply each layer's channels with, by layer; layers that stay as they are lack.

    Args:
        network: the float classifier, its BatchNorms folded.
        largest: from `peaks`.
        clipped: also channels behind a ReLU6.

    Returns:
        By layer float32 (channels,), all above 0.
    """
    layers = {layer.name: layer for layer in network.layers[1:]}
    scales: dict[str, Floats] = {}
    for group in _sharing(network):
        readers = [
            layer
            for layer in layers.values()
            if layer.name not in group and group & set(inputs(layer))
        ]
        if not readers or not all(isinstance(layer, CONVOLUTIONS) for layer in readers):
            continue
        members = [layers[name] for name in sorted(group)]
        found = np.max([largest[name] for name in group], axis=0)
        if len(members) == 1 and isinstance(members[0], keras.layers.ReLU):
            if not clipped:
                continue
            free = all(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in readers)
            scale = _below_limit(found, members[0].max_value, 1 if free else CLIPPED_POWER)
            group = {*group, *inputs(members[0])}
        elif all(isinstance(x, (*CONVOLUTIONS, keras.layers.Add)) for x in members):
            scale = _evening(found)
        else:
            continue
        scales |= dict.fromkeys(group, scale)
    return scales


def scaled_weights(layer: keras.Layer, scales: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """A convolution's kernel and bias between scaled channels."""
    kernel, bias = layer.get_weights()
    one = np.float32(1)
    made, read = scales.get(layer.name, one), scales.get(inputs(layer)[0], one)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel * np.reshape(made / read, (-1, 1)), bias * made
    return kernel * made / np.reshape(read, (-1, 1)), bias * made


def _below_limit(found: Floats, limit: float | None, power: float) -> Floats:
    """Factors from 1 up that keep channels with these peaks within the activation's limit."""
    room = (limit or float(found.max())) / np.maximum(found, 1e-6)
    factors = np.where(found > 0, np.clip(room, 1, LARGEST_FACTOR), 1)
    return np.asarray(factors**power, np.float32)


def _evening(found: Floats) -> Floats:
    """Factors around 1 that bring channels with these peaks closer together."""
    top = max(float(found.max()), 1e-6)
    factors = np.maximum(found / top, 1 / LARGEST_FACTOR) ** -LINEAR_POWER
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)


def _sharing(network: keras.Model) -> list[set[str]]:
    """Layers by name in groups whose outputs are added to one another: they share one scale."""
    groups: list[set[str]] = []
    for layer in network.layers[1:]:
        added = inputs(layer) if isinstance(layer, keras.layers.Add) else []
        names = {layer.name, *added}
        groups = [
            *(group for group in groups if not group & names),
            names.union(*(group for group in groups if group & names)),
        ]
    return groups
