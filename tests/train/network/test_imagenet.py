"""Promises of the ImageNet weights: the network they make is the one that was trained."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from device.contract.photos import load_photo
from device.contract.preprocess import Preprocessing
from tests.support.builds.build_folder import weights_wheel
from tests.support.pictures import picture
from tests.train.network.convolution import Floats, convolve
from train.errors import WeightsError
from train.network.backbone import Architecture, build, fold_keras
from train.network.backbones import MOBILENET_V2
from train.network.weights import (
    Convolution,
    checkpoint_bytes,
    fold_checkpoint,
    read_torch_checkpoint,
)

MEAN, STD, EPSILON = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), 1e-5
"""What torchvision trains with; written here anew, so that a slip in `train` shows."""
GREY = (128 / 255 - MEAN) / STD
TABLE_2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
TABLE_2 += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
"""Of Sandler et al. 2018: expansion, channels, repeats, stride."""


@pytest.fixture(scope="module")
def tensors() -> "OrderedDict[str, npt.NDArray[Any]]":
    return read_torch_checkpoint(checkpoint_bytes(weights_wheel(), MOBILENET_V2.checkpoint))


@pytest.fixture(scope="module")
def folded(tensors: "OrderedDict[str, npt.NDArray[Any]]") -> list[Convolution]:
    return fold_checkpoint(tensors, MOBILENET_V2)


Layer = tuple[Floats, Floats, Floats, Floats, Floats]


@pytest.fixture(scope="module")
def unfolded(tensors: "OrderedDict[str, npt.NDArray[Any]]") -> list[Layer]:
    """Per convolution its kernel (OIHW) and its BatchNorm's gamma, beta, mean, variance."""
    values = [v.astype(np.float64) for k, v in tensors.items() if "num_batches" not in k]
    return [tuple(values[k : k + 5]) for k in range(0, len(values), 5)]  # type: ignore[misc]


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint8]:
    return np.stack([picture(k % 3, k, 64, 64) for k in range(3)])


def features(network: keras.Model, x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray(network(tf.constant(x), training=False))


def distance(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_the_checkpoint_is_a_mobilenet_v2(folded: list[Convolution]) -> None:
    assert len(folded) == 52
    assert all(np.isfinite(c.kernel).all() and np.isfinite(c.bias).all() for c in folded)
    assert build(Architecture(), folded).output_shape == (None, 7, 7, 1280)


@pytest.mark.parametrize("alpha", [0.5, 1.4])
def test_another_width_is_refused(folded: list[Convolution], alpha: float) -> None:
    with pytest.raises(WeightsError, match="check --backbone and --alpha"):
        build(Architecture(alpha=alpha), folded)
    with pytest.raises(WeightsError, match="another architecture"):
        build(Architecture(), folded[:-1])


def torch_forward(layers: list[Layer], x: npt.NDArray[np.uint8]) -> Floats:
    """The network as PyTorch computes it, in numpy: symmetric padding, BatchNorm on its own."""
    stack = iter(layers)

    def layer(x: Floats, stride: int = 1, *, pad: Any = 0.0, relu: bool = True) -> Floats:
        kernel, gamma, beta, mean, variance = next(stack)
        depthwise = kernel.shape[1] == 1
        kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(2, 3, 1, 0)
        if kernel.shape[0] == 3:
            wide = np.empty((len(x), x.shape[1] + 2, x.shape[2] + 2, x.shape[3]))
            wide[:] = pad
            wide[:, 1:-1, 1:-1] = x
            x = wide
        y = convolve(x, kernel, stride)
        y = gamma * (y - mean) / np.sqrt(variance + EPSILON) + beta
        return np.clip(y, 0, 6) if relu else y

    # Our first layer pads with mid-grey, PyTorch's with the mean colour: grey on both sides here.
    x64 = layer((x / 255 - MEAN) / STD, 2, pad=GREY)
    for t, c, n, s in TABLE_2:
        for k in range(n):
            y = layer(x64) if t != 1 else x64
            y = layer(y, s if k == 0 else 1)
            y = layer(y, relu=False)
            assert y.shape[3] == c
            x64 = y if k == 0 else x64 + y
    result = layer(x64)
    assert next(stack, None) is None
    return result


def test_features_equal_the_original_network_of_the_turned_picture(
    folded: list[Convolution], unfolded: list[Layer], pixels: npt.NDArray[np.uint8]
) -> None:
    """With both axes mirrored, SAME padding is PyTorch's: every number must come out the same."""
    upside_down = [Convolution(c.kernel[::-1], c.bias) for c in folded]
    network = build(Architecture(size_px=64), upside_down)
    found = features(network, pixels[:, ::-1, ::-1])[:, ::-1, ::-1]
    expected = torch_forward(unfolded, pixels)
    assert np.allclose(found, expected, atol=1e-3)
    assert distance(found, expected) < 1e-5


def test_the_shipped_network_is_close_to_the_original_on_the_mirrored_picture(
    folded: list[Convolution], unfolded: list[Layer]
) -> None:
    """What is left is the half of the padding that mirroring cannot mend."""
    pixels = np.stack([picture(k, k, 160, 160) for k in range(2)])
    size = Architecture(size_px=160)
    found = features(build(size, folded), pixels[:, :, ::-1])[:, :, ::-1]
    expected = torch_forward(unfolded, pixels)
    unmirrored = [Convolution(c.kernel[:, ::-1], c.bias) for c in folded]
    worse = features(build(size, unmirrored), pixels)
    assert distance(found, expected) < distance(worse, expected)


def shift_input(network: keras.Model, offset: Floats) -> None:
    """Let a Keras network take its input less `offset`.

    Its first layer pads with 0, which then is what `offset` was: mid-grey, as in our network.
    """
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    batchnorm = network.layers[network.layers.index(first) + 1]
    gamma, beta, mean, variance = batchnorm.get_weights()
    mean = mean - (first.get_weights()[0] * offset[:, None]).sum(axis=(0, 1, 2))
    batchnorm.set_weights([gamma, beta, mean, variance])


def test_features_equal_those_of_keras_own_mobilenet_v2(
    folded: list[Convolution], unfolded: list[Layer], pixels: npt.NDArray[np.uint8]
) -> None:
    theirs = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), include_top=False, weights=None
    )
    stack = iter(unfolded)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            kernel, *batchnorm = next(stack)
            layer.set_weights([kernel[:, :, :, ::-1].transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel, *batchnorm = next(stack)
            layer.set_weights([kernel[:, :, :, ::-1].transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = batchnorm
            gamma = gamma * np.sqrt((variance + 1e-3) / (variance + 1e-5))
            layer.set_weights([gamma, beta, mean, variance])
    assert next(stack, None) is None
    shift_input(theirs, GREY)
    expected = features(theirs, (pixels / 255 - MEAN) / STD - GREY)
    assert distance(features(build(Architecture(size_px=64), folded), pixels), expected) < 1e-3


def test_folding_a_keras_network_keeps_its_features() -> None:
    keras.utils.set_random_seed(1)
    theirs = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=0.35, include_top=False, weights=None
    )
    rng = np.random.default_rng(2)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            moments = [rng.uniform(0.5, 1.5, count), rng.normal(0, 0.3, count)]
            layer.set_weights([*moments, rng.normal(0, 0.1, count), rng.uniform(1e-3, 2, count)])
    ours = build(Architecture(alpha=0.35, size_px=96), fold_keras(theirs))
    x = np.stack([picture(k, k, 96, 96) for k in range(3)])
    shift_input(theirs, np.full(3, 128 / 127.5 - 1))
    assert distance(features(ours, x), features(theirs, (x - 128) / 127.5)) < 1e-4


# --- against ImageNet knowledge that this project did not make ------------------------------------


def likeness(a: Floats, b: Floats) -> float:
    """Linear CKA (Kornblith et al. 2019, equation 3): 1 if one is a rotation of the other."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    gram_a, gram_b = a @ a.T, b @ b.T
    return float((gram_a * gram_b).sum() / np.linalg.norm(gram_a) / np.linalg.norm(gram_b))


def test_features_know_what_another_imagenet_model_knows(
    folded: list[Convolution], coral: Path, flowers: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    paths = [path for entry in sorted(flowers.iterdir()) for path in sorted(entry.glob("*"))[::32]]
    x = np.stack([load_photo(path, Preprocessing()) for path in paths])
    model = Interpreter(str(coral / "tf2_mobilenet_v2_1.0_224_ptq.tflite"))
    model.allocate_tensors()
    entrance, exit_ = model.get_input_details()[0], model.get_output_details()[0]
    known = np.empty((len(x), 1001))
    for k, one in enumerate(x):
        model.set_tensor(entrance["index"], one[np.newaxis])
        model.invoke()
        known[k] = np.log((model.get_tensor(exit_["index"])[0] + 0.5) / 256)

    def pooled(weights: list[Convolution]) -> Floats:
        network = build(Architecture(), weights)
        parts = [features(network, x[k : k + 16]).mean(axis=(1, 2)) for k in range(0, len(x), 16)]
        return np.concatenate(parts).astype(np.float64)

    rng = np.random.default_rng(0)
    shuffled = [
        Convolution(
            rng.permutation(c.kernel.ravel()).reshape(c.kernel.shape), rng.permutation(c.bias)
        )
        for c in folded
    ]
    real, chance = likeness(pooled(folded), known), likeness(pooled(shuffled), known)
    plain = likeness(x.reshape(len(x), -1).astype(np.float64), known)
    # Measured: 0.65, 0.14 and 0.19.
    assert real > 0.5
    assert real > chance + 0.3
    assert real > plain + 0.3
