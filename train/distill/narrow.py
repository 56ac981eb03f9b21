"""Initialises a narrow MobileNetV2 as the best linear copy of a wide one.

Each layer of the narrow network keeps the channels of the wide layer that vary most. Its kernel is
the ridge regression from its input to the wide layer's output in those channels (channel pruning
with reconstruction: He et al. 2017, "Channel Pruning for Accelerating Very Deep Neural Networks",
section 3.1; here for every width at once, input to output). Without BatchNorm a fresh
initialization of so deep a network hardly trains at all; this one does.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from train.network.backbone import Architecture, build, classifier
from train.network.backbones import MOBILENET_V2
from train.network.weights import Convolution

Floats = npt.NDArray[np.float32]
Channels = npt.NDArray[np.int64]

RIDGE = 1e-3
"""Ridge, as a share of the mean square of the inputs."""
ROWS = 16384
"""Positions in pictures that a regression uses."""


@dataclass(frozen=True)
class Shrunk:
    """A narrow classifier and what it imitates."""

    network: Any
    features: Channels
    """The channels of the wide network's last map that its own channels imitate, in order."""


def shrink(
    wide: keras.Model, alpha: float, architecture: Architecture, pixels: npt.NDArray[np.uint8]
) -> Shrunk:
    """A classifier of another width and size that imitates `wide` layer by layer.

    Args:
        wide: a classifier from `train.network.backbone`, of any input size.
        alpha: the width of `wide`.
        architecture: the narrow one.
        pixels: uint8 (n, size_px, size_px, 3), a sample of the training photos.

    Returns:
        The narrow classifier, not yet trained.
    """
    classes = wide.get_layer("class_map").filters
    teacher = classifier(
        build(Architecture(alpha=alpha, size_px=architecture.size_px), _convolutions(wide)), classes
    )
    teacher.get_layer("class_map").set_weights(wide.get_layer("class_map").get_weights())
    student = classifier(build(architecture, _zero_weights(teacher, architecture)), classes)
    kept = _KeptChannels(teacher, pixels)
    for layer in student.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            _imitate(layer, student, teacher, kept, pixels)
    features = student.get_layer("features_conv").filters
    return Shrunk(student, kept.of("features", features))


def _convolutions(network: keras.Model) -> list[Convolution]:
    return [Convolution(*layer.get_weights()) for layer in _backbone_layers(network)]


def _backbone_layers(network: keras.Model) -> list[keras.Layer]:
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return [layer for layer in network.layers if isinstance(layer, kinds)][:-1]


def _zero_weights(teacher: keras.Model, architecture: Architecture) -> list[Convolution]:
    shapes = keras.applications.MobileNetV2(
        input_shape=(architecture.size_px, architecture.size_px, 3),
        alpha=architecture.alpha,
        include_top=False,
        weights=None,
    )
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    kernels = [layer.kernel.shape for layer in shapes.layers if isinstance(layer, kinds)]
    return [
        Convolution(np.zeros(shape, np.float32), np.zeros(_outputs(shape), np.float32))
        for shape in kernels
    ]


def _outputs(shape: tuple[int, ...]) -> int:
    return shape[2] if shape[3] == 1 else shape[3]


class _KeptChannels:
    """Which channels of the wide network each narrow layer keeps."""

    def __init__(self, teacher: keras.Model, pixels: npt.NDArray[np.uint8]) -> None:
        self._teacher, self._pixels = teacher, pixels
        self._by_layer: dict[str, Channels] = {}
        # The blocks of a stage are added up, so they keep the channels of its last block.
        self._stage_end: dict[int, int] = {}
        first = 0
        for stage in MOBILENET_V2.stages:
            last = first + stage.blocks - 1
            self._stage_end |= dict.fromkeys(range(first, last + 1), last)
            first = last + 1

    def of(self, name: str, count: int) -> Channels:
        """The `count` output channels of a wide layer that vary most, in order."""
        name = self._representative(name)
        if name not in self._by_layer:
            values = _run(self._teacher, self._teacher.get_layer(name).output, self._pixels)
            spread = values.reshape(-1, values.shape[-1]).std(axis=0)
            self._by_layer[name] = np.sort(np.argsort(-spread, kind="stable")[:count])
        return self._by_layer[name]

    def _representative(self, name: str) -> str:
        if name.endswith("_depthwise_conv") and name != "block_0_depthwise_conv":
            return name.replace("_depthwise_conv", "_expand")
        if name == "block_0_depthwise_conv":
            return "conv0"
        if name.startswith("block_") and not name.endswith("_conv"):
            return f"block_{self._stage_end[int(name.split('_')[1])]}"
        return name.removesuffix("_conv")


def _imitate(
    layer: keras.Layer,
    student: keras.Model,
    teacher: keras.Model,
    kept: _KeptChannels,
    pixels: npt.NDArray[np.uint8],
) -> None:
    model = teacher.get_layer(layer.name)
    kernel, bias = model.get_weights()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        chosen = kept.of(layer.name, layer.kernel.shape[2])
        layer.set_weights([kernel[:, :, chosen], bias[chosen]])
        return
    chosen = kept.of(layer.name, layer.filters)
    if layer.name == "conv0_conv":
        layer.set_weights([kernel[..., chosen], bias[chosen]])
        return
    target = _run(teacher, _block_output(teacher, layer.name), pixels)[..., chosen]
    if layer.name.endswith("_project"):
        # The result is added to the input of the narrow block, not to that of the wide one.
        add = student.get_layer(layer.name.removesuffix("_project"))
        target = target - _run(student, add.input[0], pixels)
    given = _run(student, layer.input, pixels)
    layer.set_weights(_regression(given, target))


def _block_output(teacher: keras.Model, name: str) -> Any:
    return teacher.get_layer(name.removesuffix("_project")).output


def _regression(given: Floats, target: Floats) -> list[Floats]:
    """Kernel and bias of the 1x1 convolution from one map to the other, by least squares."""
    x, y = (values.reshape(-1, values.shape[-1]).astype(np.float64) for values in (given, target))
    rows = np.random.default_rng(0).permutation(len(x))[:ROWS]
    x, y = x[rows], y[rows]
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    x, y = x - mean_x, y - mean_y
    gram = x.T @ x
    ridge = RIDGE * np.trace(gram) / len(gram) + 1e-9
    kernel = np.linalg.solve(gram + ridge * np.eye(len(gram)), x.T @ y)
    bias = mean_y - mean_x @ kernel
    return [kernel[np.newaxis, np.newaxis].astype(np.float32), bias.astype(np.float32)]


def _run(network: keras.Model, output: Any, pixels: npt.NDArray[np.uint8]) -> Floats:
    part = keras.Model(network.input, output)
    # Eagerly: each part runs only once, and tracing it would take far longer.
    return np.asarray(part(pixels, training=False), np.float32)
