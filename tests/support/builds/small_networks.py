"""Small networks without training; TensorFlow is imported where one is made."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.pictures import LABELS, SIZE_PX, square_picture


def folded_weights(
    alpha: float, rng: np.random.Generator, backbone: str = "mobilenet-v2"
) -> Sequence[Any]:
    """Random weights for `train.network.backbone.build`, in network order, that keep colours apart.

    Kernels are He-scaled and sum to zero over their inputs: what all inputs share, after ReLUs
    the larger part, would otherwise drown what they differ in. Depthwise kernels mostly blur.
    """
    from train.network.backbone import channels
    from train.network.backbones import BACKBONES
    from train.network.weights import Convolution

    def full(size: int, inputs: int, outputs: int) -> Convolution:
        kernel = rng.normal(0, np.sqrt(2 / (size * size * inputs)), (size, size, inputs, outputs))
        kernel -= kernel.mean(axis=2, keepdims=True)
        return Convolution(kernel.astype(np.float32), uniform(outputs))

    def depthwise(inputs: int, size: int) -> Convolution:
        kernel = (1.08 + rng.normal(0, 0.27, (size, size, inputs, 1))) / size**2
        return Convolution(kernel.astype(np.float32), uniform(inputs))

    def uniform(count: int) -> npt.NDArray[np.float32]:
        return rng.uniform(-0.1, 0.1, count).astype(np.float32)

    width = channels(32, alpha)
    weights = [full(3, 3, width)]
    for stage in BACKBONES[backbone].stages:
        for _ in range(stage.blocks):
            inner, out = stage.expansion * width, channels(stage.channels, alpha)
            if stage.expansion != 1:
                weights.append(full(1, width, inner))
            weights += [depthwise(inner, stage.kernel), full(1, inner, out)]
            width = out
    last = BACKBONES[backbone].last_channels
    return [*weights, full(1, width, channels(last, max(1.0, alpha)))]


def fit_head(features: npt.NDArray[np.float32], labels: Sequence[int]) -> list[Any]:
    """Kernel and bias of a 1x1 convolution that tells the classes apart, by ridge regression.

    Args:
        features: float32 (n, features), pooled.
        labels: index of each picture's class.
    """
    mean = features.mean(axis=0)
    rows = (features - mean).astype(np.float64)
    wanted = 4.0 * (np.eye(len(LABELS))[list(labels)] - 1 / len(LABELS))
    gram = rows @ rows.T
    ridge = 0.05 * np.trace(gram) / len(rows)
    kernel = rows.T @ np.linalg.solve(gram + ridge * np.eye(len(rows)), wanted)
    bias = -mean @ kernel
    return [kernel[np.newaxis, np.newaxis].astype(np.float32), bias.astype(np.float32)]


@cache
def random_network(
    classes: int = len(LABELS), size_px: int = SIZE_PX, backbone: str = "mobilenet-v2"
) -> Any:
    """A classifier with random weights, narrow if the backbone can be."""
    from train.network.backbone import Architecture, build, classifier
    from train.network.backbones import BACKBONES

    alpha, rng = 0.35 if BACKBONES[backbone].widths else 1.0, np.random.default_rng(classes)
    architecture = Architecture(backbone, alpha, size_px)
    network = classifier(build(architecture, folded_weights(alpha, rng, backbone)), classes)
    head = network.get_layer("class_map")
    head.set_weights([rng.normal(0, 0.3, head.kernel.shape), rng.normal(0, 1, head.bias.shape)])
    return network


@cache
def chapter_of(
    classes: int = len(LABELS),
    size_px: int = SIZE_PX,
    *,
    photos: int = 6,
    backbone: str = "mobilenet-v2",
) -> Any:
    """The report's chapter on a small network with random weights; made once for each call."""
    from train.report.chapter import make_chapter
    from train.report.network_views import Candidate

    labels = [f"class {number}" for number in range(classes)]
    candidates = [
        Candidate(f"{labels[i % classes]}/{i}.png", i % classes, square_picture(i, size_px))
        for i in range(photos)
    ]
    network = random_network(classes, size_px, backbone)
    return make_chapter(network, candidates, labels, "block_12")


def int8_io_model(network: Any, plan: Any) -> bytes:
    """The network as `convert.quantize.export.int8_model` makes it, but int8 in and out."""
    import tensorflow as tf

    from convert.quantize.plan import forward

    pixels = tf.TensorSpec((1, SIZE_PX, SIZE_PX, 3), tf.float32)
    call = tf.function(lambda scaled: forward(network, plan, scaled), jit_compile=False)
    function = call.get_concrete_function(pixels)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())
