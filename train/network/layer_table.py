"""A table of a network's layers: shapes, parameters, multiplications, receptive fields, times."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from device.contract.arrays import Pixels
from train.network.weights import Convolution

ROUNDS = 5
"""How often each layer is timed. The fastest counts, since other load can only slow it down."""


@dataclass(frozen=True)
class Layer:
    """One layer with its activation function."""

    name: str
    kind: str
    """"convolution", "depthwise", "addition", "average", "scaling" or "softmax"."""
    kernel: int
    """Side of the kernel in cells; 0 for a layer without one."""
    stride: int
    inputs: int
    """Channels that come in."""
    output: tuple[int, int, int]
    """Height, width and channels."""
    parameters: int
    macs: int
    """Multiply-accumulates for one picture."""
    sees_px: int
    """Side of the square of input pixels that one cell of the output can depend on."""
    step_px: int
    """Input pixels from one cell to the next."""
    first_centre_px: float
    """Centre of the first cell's receptive field, as a pixel coordinate (0 is the first pixel)."""
    zeros: tuple[int, int]
    """Rows or columns of zeros that SAME padding adds before the map and after it."""
    trained: bool
    """Whether it lies after the cut between the frozen and the fine-tuned part."""

    @property
    def block(self) -> str:
        """The block it belongs to: "block_3" for "block_3_expand"."""
        return "_".join(self.name.split("_")[:2]) if self.name.startswith("block_") else self.name


def describe(network: keras.Model, cut: str) -> list[Layer]:
    """The layers of a classifier in order; an activation function counts as part of its layer.

    Args:
        network: as `train.network.backbone.classifier` makes it.
        cut: name of the last frozen layer.
    """
    names = [layer.name for layer in network.layers]
    found: list[Layer] = []
    for index, layer in enumerate(network.layers):
        if isinstance(layer, layers.InputLayer | layers.ReLU):
            continue
        found.append(_describe(layer, found[-1] if found else None, index > names.index(cut)))
    return found


def _describe(layer: keras.Layer, before: Layer | None, trained: bool) -> Layer:
    kernel, stride = _window(layer)
    step, centre, sees = _receptive_field(before)
    # After the average there is one cell.
    height, width = layer.output.shape[1:-1] or (1, 1)
    channels = layer.output.shape[-1]
    inputs = (layer.input[0] if isinstance(layer.input, list) else layer.input).shape[-1]
    zeros = _zeros(layer, kernel, stride)
    reach = max(0, kernel - 1)
    return Layer(
        name=layer.name.removesuffix("_conv"),
        kind=_kind(layer),
        kernel=kernel,
        stride=stride,
        inputs=inputs,
        output=(height, width, channels),
        parameters=layer.count_params(),
        macs=_macs(layer, height * width),
        sees_px=sees + reach * step,
        step_px=step * stride,
        first_centre_px=centre + (reach / 2 - zeros[0]) * step if kernel else centre,
        zeros=zeros,
        trained=trained,
    )


def _zeros(layer: keras.Layer, kernel: int, stride: int) -> tuple[int, int]:
    """SAME padding puts an odd zero at the end."""
    if not kernel:
        return 0, 0
    side, cells = layer.input.shape[1], layer.output.shape[1]
    both = max(0, (cells - 1) * stride + kernel - side)
    return both // 2, both - both // 2


def _window(layer: keras.Layer) -> tuple[int, int]:
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
        return layer.kernel_size[0], layer.strides[0]
    return 0, 1


def _receptive_field(before: Layer | None) -> tuple[int, float, int]:
    return (before.step_px, before.first_centre_px, before.sees_px) if before else (1, 0.0, 1)


def _kind(layer: keras.Layer) -> str:
    kinds = {
        layers.DepthwiseConv2D: "depthwise",
        layers.Conv2D: "convolution",
        layers.Add: "addition",
        layers.GlobalAveragePooling2D: "average",
        layers.Rescaling: "scaling",
        layers.Softmax: "softmax",
    }
    return kinds[type(layer)]


def _macs(layer: keras.Layer, cells: int) -> int:
    """Each weight of a kernel is multiplied once at each cell of the output."""
    if not isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
        return 0
    weights: int = math.prod(layer.kernel.shape)
    return cells * weights


def seconds(network: keras.Model, pixels: Pixels) -> dict[str, float]:
    """How long each layer takes on its own, given the output of the layers before it.

    Args:
        network: as `train.network.backbone.classifier` makes it.
        pixels: uint8 (n, size, size, 3).

    Returns:
        Seconds for the whole batch by `Layer.name`, the best of `ROUNDS`; an activation function
        counts as part of its layer.
    """
    values = {id(network.inputs[0]): tf.constant(pixels)}
    taken: dict[str, float] = {}
    name = ""
    for layer in network.layers[1:]:
        several = isinstance(layer.input, list)
        given = [values[id(x)] for x in (layer.input if several else [layer.input])]
        # `call` is only the layer's arithmetic, without Keras' checks before and after it.
        compute = partial(layer.call, given if several else given[0])
        values[id(layer.output)] = compute()
        if not isinstance(layer, layers.ReLU):
            name = layer.name.removesuffix("_conv")
        taken[name] = taken.get(name, 0.0) + _best_of_rounds(compute)
    return taken


def _best_of_rounds(compute: Callable[[], object]) -> float:
    best = math.inf
    for _ in range(ROUNDS):
        started = time.perf_counter()
        compute()
        best = min(best, time.perf_counter() - started)
    return best


def weight_changes(network: keras.Model, before: Sequence[Convolution]) -> dict[str, float]:
    """How much training changed each kernel of the backbone.

    Args:
        network: the trained classifier.
        before: the weights that its backbone was built from, in network order.

    Returns:
        By `Layer.name`: the norm of the difference over the norm of the kernel before.
    """
    convolutions = [
        layer
        for layer in network.layers
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and layer.name != "class_map"
    ]
    return {
        layer.name.removesuffix("_conv"): _change(weights.kernel, layer.get_weights()[0])
        for layer, weights in zip(convolutions, before, strict=True)
    }


def _change(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    size = float(np.linalg.norm(before))
    return float(np.linalg.norm(after - before)) / size if size else 0.0


def shares(values: Mapping[str, float]) -> dict[str, float]:
    """Each value's share of their sum."""
    total = sum(values.values())
    return {name: value / total for name, value in values.items()}
