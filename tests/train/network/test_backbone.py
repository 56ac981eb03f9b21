"""Promises of the network: the paper's shapes, a head that shows where, nothing hidden in it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from scipy.special import softmax

from tests.support.builds.small_networks import folded_weights
from tests.support.cli import only_error
from tests.support.pictures import picture
from train.__main__ import main
from train.errors import TrainingError, WeightsError
from train.network.backbone import (
    KERAS_ALPHAS,
    Architecture,
    between,
    build,
    channels,
    classifier,
    download_keras_weights,
    fold_keras,
)
from train.network.frozen import Frozen
from train.network.weights import Convolution
from train.recipe.config import TrainConfig

ALPHA, SIZE_PX = 0.35, 96
SMALL = Architecture(alpha=ALPHA, size_px=SIZE_PX)


@pytest.fixture(scope="module")
def weights() -> list[Convolution]:
    return list(folded_weights(ALPHA, np.random.default_rng(0)))


@pytest.fixture(scope="module")
def backbone(weights: list[Convolution]) -> keras.Model:
    return build(SMALL, weights)


def with_random_head(backbone: keras.Model, classes: int) -> keras.Model:
    network = classifier(backbone, classes)
    rng = np.random.default_rng(classes)
    kernel = rng.normal(0, 0.05, (1, 1, backbone.output_shape[-1], classes))
    network.get_layer("class_map").set_weights([kernel, rng.normal(0, 1, classes)])
    return network


@pytest.fixture(scope="module")
def network(backbone: keras.Model) -> keras.Model:
    return with_random_head(backbone, 3)


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint8]:
    return np.stack([picture(k % 3, k, SIZE_PX, SIZE_PX) for k in range(4)])


# --- widths and shapes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (1.0, [32, 16, 24, 32, 64, 96, 160, 320]),
        (0.35, [16, 8, 8, 16, 24, 32, 56, 112]),
        (0.5, [16, 8, 16, 16, 32, 48, 80, 160]),
        (0.75, [24, 16, 24, 24, 48, 72, 120, 240]),
        (1.4, [48, 24, 32, 48, 88, 136, 224, 448]),
    ],
)
def test_widths_are_those_of_the_published_networks(alpha: float, expected: list[int]) -> None:
    assert [channels(width, alpha) for width in (32, 16, 24, 32, 64, 96, 160, 320)] == expected


def test_no_width_is_below_eight_or_more_than_a_tenth_down() -> None:
    for width in range(1, 400):
        for alpha in (0.1, *KERAS_ALPHAS):
            found = channels(width, alpha)
            assert found % 8 == 0
            assert found >= max(8, 0.9 * width * alpha)


@pytest.mark.parametrize("alpha", [0.35, 1.3])
def test_shapes_are_those_of_keras_own_network(alpha: float) -> None:
    theirs = keras.applications.MobileNetV2((96, 96, 3), alpha, include_top=False, weights=None)
    ours = build(Architecture(alpha=alpha, size_px=96), fold_keras(theirs))
    assert ours.output_shape == theirs.output_shape


@pytest.mark.parametrize("size_px", [32, 96, 224, 320])
def test_the_map_has_a_cell_for_every_32_pixels(weights: list[Convolution], size_px: int) -> None:
    backbone = build(Architecture(alpha=ALPHA, size_px=size_px), weights)
    assert backbone.input_shape == (None, size_px, size_px, 3)
    assert backbone.output_shape == (None, size_px // 32, size_px // 32, 1280)


def test_there_is_no_padding_or_batchnorm_layer_and_bytes_go_in(network: keras.Model) -> None:
    kinds = {type(layer).__name__ for layer in network.layers}
    assert kinds == {
        "InputLayer",
        "Rescaling",
        "Conv2D",
        "DepthwiseConv2D",
        "ReLU",
        "Add",
        "GlobalAveragePooling2D",
        "Softmax",
    }
    assert network.input.dtype == "uint8"
    assert {name: output.shape for name, output in network.output.items()} == {
        "probabilities": (None, 3),
        "class_map": (None, 3, 3, 3),
    }


def test_every_byte_is_scaled_exactly(network: keras.Model) -> None:
    every = np.resize(np.arange(256, dtype=np.uint8), (1, SIZE_PX, SIZE_PX, 3))
    scaled = keras.Model(network.input, network.layers[1].output)(every).numpy()
    assert np.array_equal(scaled, every.astype(np.float64) / 128 - 1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [("one less", "52 in the network"), ("one more", "52 in the network"), ("turned", "kernel")],
)
def test_weights_that_do_not_fit_are_refused(
    weights: list[Convolution], spoil: str, message: str
) -> None:
    spoiled = {
        "one less": weights[:-1],
        "one more": [*weights, weights[-1]],
        "turned": [*weights[:-1], Convolution(weights[-1].kernel.swapaxes(2, 3), weights[-1].bias)],
    }[spoil]
    with pytest.raises(WeightsError, match=message):
        build(SMALL, spoiled)


# --- settings that cannot be --------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [1, 31, 100, 225, 1056, -32])
def test_a_size_that_would_need_padding_is_refused(size_px: int) -> None:
    with pytest.raises(TrainingError, match="multiple of 32"):
        Architecture(size_px=size_px)


@pytest.mark.parametrize("alpha", [0, -1, 2.5, float("nan")])
def test_an_impossible_width_is_refused(alpha: float) -> None:
    with pytest.raises(TrainingError, match="--alpha"):
        Architecture(alpha=alpha)


@pytest.mark.parametrize(
    "setting",
    [{"epochs": -1}, {"views": 0}, {"batch_size": 0}, {"first_trained_block": 17}, {"seed": -1}],
)
def test_an_impossible_setting_is_refused_by_name(setting: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=next(iter(setting))):
        replace(TrainConfig(), **setting)


@pytest.mark.parametrize(("alpha", "size_px"), [(0.4, 224), (1.0, 320)])
def test_a_width_that_keras_has_no_weights_for_is_refused_at_once(
    alpha: float, size_px: int
) -> None:
    with pytest.raises(WeightsError, match="--alpha"):
        download_keras_weights(Architecture(alpha=alpha, size_px=size_px))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--size", "225", "multiple of 32"),
        ("--alpha", "7", "--alpha"),
        ("--epochs", "-1", "epochs"),
    ],
)
def test_the_command_says_it_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    assert main(["fit", "--out", str(tmp_path / "train"), option, value]) == 1
    assert message in only_error(capfd.readouterr().err)
    assert not (tmp_path / "train").exists()


# --- the head -----------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 5, 17])
def test_the_head_is_pooling_then_a_dense_layer(
    backbone: keras.Model, pixels: npt.NDArray[np.uint8], classes: int
) -> None:
    network = with_random_head(backbone, classes)
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    dense = keras.layers.Dense(classes, activation="softmax")
    usual = keras.Model(backbone.input, dense(pooled))
    kernel, bias = network.get_layer("class_map").get_weights()
    dense.set_weights([kernel[0, 0], bias])
    found, expected = network(pixels)["probabilities"].numpy(), usual(pixels).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.allclose(found, expected, atol=1e-5)


def test_the_map_says_what_the_probabilities_are_made_of(
    network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    outputs = {name: value.numpy() for name, value in network(pixels).items()}
    logits = outputs["class_map"].mean(axis=(1, 2))
    assert np.allclose(softmax(logits, axis=1), outputs["probabilities"], atol=1e-5)


def test_a_new_head_names_no_class(backbone: keras.Model, pixels: npt.NDArray[np.uint8]) -> None:
    assert np.allclose(classifier(backbone, 4)(pixels)["probabilities"], 0.25)


# --- the part that is trained -------------------------------------------------------------------


def test_the_parts_together_are_the_whole(
    network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    frozen = keras.Model(network.input, network.get_layer("block_12").output)
    top = between(network, "block_12", "probabilities")
    assert np.allclose(top(frozen(pixels)), network(pixels)["probabilities"], atol=1e-6)


def test_training_a_part_changes_the_network_above_the_cut_alone(
    weights: list[Convolution], pixels: npt.NDArray[np.uint8]
) -> None:
    network = with_random_head(build(SMALL, weights), 3)
    frozen = keras.Model(network.input, network.get_layer("block_12").output)
    activations = frozen(pixels)
    top = between(network, "block_12", "logits")
    before = network(pixels)["probabilities"].numpy()
    optimizer = keras.optimizers.SGD(0.01)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(tf.nn.log_softmax(top(activations))[:, 1])
    optimizer.apply(tape.gradient(loss, top.trainable_variables), top.trainable_variables)
    after = network(pixels)["probabilities"].numpy()
    assert (after[:, 1] > before[:, 1] + 1e-4).all()
    assert np.array_equal(frozen(pixels), activations)


def test_the_frozen_part_gives_on_the_device_runtime_what_keras_gives(
    network: keras.Model, pixels: npt.NDArray[np.uint8]
) -> None:
    part = keras.Model(network.input, network.get_layer("block_12").output)
    frozen = Frozen.of(part)
    with ThreadPoolExecutor(3) as pool:
        rows = np.stack(list(pool.map(frozen, pixels)))
    assert rows.dtype == np.float16 and rows.shape[1:] == frozen.output_shape
    expected = np.asarray(part(pixels))
    assert np.abs(rows - expected).max() < 2e-3 * np.abs(expected).max()
