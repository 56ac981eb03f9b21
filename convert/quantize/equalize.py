"""Cross-layer equalization: channels that share one int8 range are made about equally large.

A tensor has one scale for all its channels, so a channel a tenth as large as its neighbours has a
tenth of their steps. Multiplying a channel where it is made and dividing by the same factor where
it is read leaves the network the same function (Nagel et al. 2019, "Data-Free Quantization through
Weight Equalization and Bias Correction", section 4.1, there with factors from the weights alone;
here from measured activations, as in Xiao et al. 2023, "SmoothQuant").

ReLU6 is the exception: min(x, 6) of a scaled channel is the scaled min(x, 6) only where neither
clips. So a channel behind a ReLU6 grows at most until its largest value is 6, and never shrinks;
those that really reach 6 stay as they are. That largest value is not the largest of the calibration
set: other photos have larger ones, the more so the fewer calibrate. `headroom` is kept for them.
"""

from collections.abc import Iterator, Mapping

import keras
import numpy as np
import numpy.typing as npt

from convert.quantize.exact import CONVOLUTIONS, apply_layer

Floats = npt.NDArray[np.float32]

LINEAR_POWER = 0.5
CLIPPED_POWER = 0.25
"""How much of the unevenness of linear and of clipped channels is taken away where a pointwise
convolution reads them: what leaves the activations goes into its kernel, which has one scale per
output channel. A depthwise convolution has a scale for each channel of its own and takes all."""
HEADROOM_PHOTOS = 10.0
"""With so many calibration photos, unseen peaks are taken to be up to twice the measured ones."""
LARGEST_FACTOR = 100.0
"""A channel that hardly ever fires is not blown up without end."""
PHOTOS_AT_ONCE = 10


def inputs(layer: keras.Layer) -> list[str]:
    """Names of the layers that a layer reads."""
    tensors = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in tensors]


def last_uses(network: keras.Model) -> dict[str, int]:
    """By layer the index of the last layer that reads it: activations are large."""
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
    """How much larger than measured a channel's peak is taken to be, from 1 up.

    The few photos of a small set see few peaks. Chosen on validation photos of the flowers: without
    headroom int8 was 164e-4 bits from float when 2 photos calibrated, and 33e-4 with 6.
    """
    return 1 + HEADROOM_PHOTOS / photos


def channel_scales(
    network: keras.Model,
    largest: Mapping[str, Floats],
    *,
    clipped: bool = True,
    headroom: float = 1.0,
) -> dict[str, Floats]:
    """What to multiply each layer's channels with, by layer; layers that stay as they are lack.

    Args:
        network: the float classifier, its BatchNorms folded.
        largest: from `peaks`.
        clipped: also channels behind a ReLU6.
        headroom: how much larger these may really be.

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
    """A convolution's kernel and bias between scaled channels."""
    kernel, bias = layer.get_weights()
    one = np.float32(1)
    made, read = scales.get(layer.name, one), scales.get(inputs(layer)[0], one)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel * np.reshape(made / read, (-1, 1)), bias * made
    return kernel * made / np.reshape(read, (-1, 1)), bias * made


def _factors_up_to(found: Floats, limit: float | None, power: float) -> Floats:
    """Factors from 1 up that keep channels with these peaks within the activation's limit."""
    room = (limit or float(found.max())) / np.maximum(found.astype(np.float64), 1e-6)
    factors = np.where(found > 0, np.clip(room, 1, LARGEST_FACTOR), 1)
    return np.asarray(factors**power, np.float32)


def _levelling_factors(found: Floats) -> Floats:
    """Factors around 1 that bring channels with these peaks closer together."""
    # Powers and logarithms of single precision have other last digits on other processors.
    top = max(float(found.max()), 1e-6)
    factors = np.maximum(found.astype(np.float64) / top, 1 / LARGEST_FACTOR) ** -LINEAR_POWER
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)


def _groups_with_one_scale(network: keras.Model) -> list[set[str]]:
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
