"""Cross-layer equalization: makes channels that share one int8 range about equally large.

A tensor has one scale for all its channels, so a channel a tenth as large as its neighbours has a
tenth of their steps. Multiplying a channel where it is written and dividing by the same factor
where it is read does not change the function of the network (Nagel et al. 2019, "Data-Free
Quantization through Weight Equalization and Bias Correction", section 4.1, there with factors from
the weights alone; here from measured activations, as in Xiao et al. 2023, "SmoothQuant").

ReLU6 is the exception: min(x, 6) of a scaled channel is the scaled min(x, 6) only if neither clips.
So a channel after a ReLU6 grows at most until its largest value is 6, and never shrinks; channels
that reach 6 stay as they are. That largest value is more than the largest of the calibration set:
other photos have larger ones, more so if few photos calibrate. `headroom` is reserved for them.
"""

from collections.abc import Iterator, Mapping

import keras
import numpy as np
import numpy.typing as npt

from convert.quantize.exact import CONVOLUTIONS, apply_layer

Floats = npt.NDArray[np.float32]

LINEAR_POWER = 0.5
CLIPPED_POWER = 0.25
"""How much of the unevenness of linear and of clipped channels is removed if a pointwise
convolution reads them. What is removed from the activations goes into its kernel, which has one
scale per output channel. A depthwise convolution has its own scale for each channel, so all of it
can be removed."""
HEADROOM_PHOTOS = 10.0
"""With this many calibration photos, unseen peaks are assumed to be up to twice the measured
ones."""
LARGEST_FACTOR = 100.0
"""Limit for channels that are almost always 0."""
PHOTOS_AT_ONCE = 10


def inputs(layer: keras.Layer) -> list[str]:
    """Names of the layers that a layer reads."""
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in tensors]


def last_uses(network: keras.Model) -> dict[str, int]:
    """By layer, the index of the last layer that reads it; after it, memory can be freed."""
    return {
        name: index for index, layer in enumerate(network.layers[1:], 1) for name in inputs(layer)
    }


def peaks(network: keras.Model, pixels: npt.NDArray[np.uint8]) -> dict[str, Floats]:
    """The largest absolute value of each channel, by layer with a map as its output.

    Args:
        network: the float classifier.
        pixels: uint8 (n, h, w, 3), the calibration set.
    """
    largest: dict[str, Floats] = {}
    for start in range(0, len(pixels), PHOTOS_AT_ONCE):
        for name, values in _maps(network, pixels[start : start + PHOTOS_AT_ONCE]):
            found = np.abs(values).max(axis=(0, 1, 2))
            largest[name] = np.maximum(largest.get(name, found), found)
    return largest


def _maps(network: keras.Model, pixels: npt.NDArray[np.uint8]) -> Iterator[tuple[str, Floats]]:
    """Each layer's float32 map (n, h, w, channels), one after the other."""
    uses = last_uses(network)
    values = {network.layers[0].name: pixels.astype(np.float32)}
    for index, layer in enumerate(network.layers[1:], 1):
        if len(layer.output.shape) != 4:
            continue
        names = inputs(layer)
        taken = [values[name] for name in names]
        values[layer.name] = apply_layer(layer, taken).astype(np.float32)
        yield layer.name, values[layer.name]
        for name in names:
            if uses[name] == index:
                del values[name]


def headroom(photos: int) -> float:
    """How much larger than measured a channel's peak is assumed to be, at least 1.

    A small calibration set misses many peaks. Chosen on validation photos of the flowers: without
    headroom int8 was 164e-4 bits from float with 2 calibration photos, and 33e-4 with 6.
    """
    return 1 + HEADROOM_PHOTOS / photos


def channel_scales(
    network: keras.Model,
    largest: Mapping[str, Floats],
    *,
    clipped: bool = True,
    headroom: float = 1.0,
) -> dict[str, Floats]:
    """The factors for each layer's channels, by layer; unchanged layers are left out.

    Args:
        network: the float classifier, its BatchNorms folded.
        largest: from `peaks`.
        clipped: also scale channels after a ReLU6.
        headroom: how much larger than measured these may be.

    Returns:
        By layer float32 (channels,), all above 0.
    """
    layers = {layer.name: layer for layer in network.layers[1:]}
    scales: dict[str, Floats] = {}
    for group in _groups_with_one_scale(network):
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
            power = 1 if free else CLIPPED_POWER
            scale = _factors_up_to(headroom * found, members[0].max_value, power)
            group = {*group, *inputs(members[0])}
        elif all(isinstance(x, (*CONVOLUTIONS, keras.layers.Add)) for x in members):
            scale = _levelling_factors(found)
        else:
            continue
        scales |= dict.fromkeys(group, scale)
    return scales


def scaled_weights(layer: keras.Layer, scales: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """A convolution's kernel and bias for scaled input and output channels."""
    kernel, bias = layer.get_weights()
    one = np.float32(1)
    made, read = scales.get(layer.name, one), scales.get(inputs(layer)[0], one)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel * np.reshape(made / read, (-1, 1)), bias * made
    return kernel * made / np.reshape(read, (-1, 1)), bias * made


def _factors_up_to(found: Floats, limit: float | None, power: float) -> Floats:
    """Factors of at least 1 that keep channels with these peaks within the activation's limit."""
    room = (limit or float(found.max())) / np.maximum(found.astype(np.float64), 1e-6)
    factors = np.where(found > 0, np.clip(room, 1, LARGEST_FACTOR), 1)
    return np.asarray(factors**power, np.float32)


def _levelling_factors(found: Floats) -> Floats:
    """Factors around 1 that bring channels with these peaks closer together."""
    # In double precision: single-precision powers and logarithms differ between processors.
    top = max(float(found.max()), 1e-6)
    factors = np.maximum(found.astype(np.float64) / top, 1 / LARGEST_FACTOR) ** -LINEAR_POWER
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)


def _groups_with_one_scale(network: keras.Model) -> list[set[str]]:
    """Names of layers in groups whose outputs are added up and so must have one scale."""
    groups: list[set[str]] = []
    for layer in network.layers[1:]:
        added = inputs(layer) if isinstance(layer, keras.layers.Add) else []
        names = {layer.name, *added}
        groups = [
            *(group for group in groups if not group & names),
            names.union(*(group for group in groups if group & names)),
        ]
    return groups
