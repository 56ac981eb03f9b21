"""Promises of the table of layers."""

import numpy as np
import pytest

from tests.support.builds.small_networks import random_network
from tests.support.pictures import SIZE_PX, square_picture
from train.network.backbone import Architecture, build, channels, classifier
from train.network.backbones import MOBILENET_V2
from train.network.layer_table import describe, seconds, shares, weight_changes
from train.network.weights import Convolution

CUT = "block_12"


def macs_by_formula(alpha: float, size: int, classes: int) -> int:
    """Multiply-accumulates of the paper's table 2 (Sandler et al. 2018)."""
    width, cells = channels(32, alpha), (size // 2) ** 2
    total = 27 * width * cells
    for stage in MOBILENET_V2.stages:
        for repeat in range(stage.blocks):
            inner, out = stage.expansion * width, channels(stage.channels, alpha)
            before = cells
            if repeat == 0 and stage.stride == 2:
                cells //= 4
            expand = before * width * inner if stage.expansion > 1 else 0
            total += expand + cells * inner * (9 + out)
            width = out
    last = channels(1280, max(1.0, alpha))
    return total + cells * last * (width + classes)


def zeros(alpha: float) -> list[Convolution]:
    from tests.support.builds.small_networks import folded_weights

    return list(folded_weights(alpha, np.random.default_rng(0)))


def test_macs_of_the_full_network_are_those_of_the_paper() -> None:
    network = classifier(build(Architecture(), zeros(1.0)), 5)
    table = describe(network, CUT)
    total = sum(layer.macs for layer in table)
    # 300.8 million with the paper's 1,000 classes on the pooled features, 1.28 million of them.
    head = next(layer for layer in table if layer.name == "class_map")
    assert total - head.macs + 1280 * 1000 == pytest.approx(300.8e6, rel=5e-4)
    assert total == macs_by_formula(1.0, 224, 5)
    assert sum(layer.parameters for layer in table) == network.count_params()


@pytest.mark.parametrize(("size", "classes"), [(32, 2), (96, 30)])
def test_macs_of_any_network_are_those_of_the_formula(size: int, classes: int) -> None:
    table = describe(random_network(classes, size), CUT)
    assert sum(layer.macs for layer in table) == macs_by_formula(0.35, size, classes)


def test_shapes_and_strides_are_those_of_the_network() -> None:
    network = random_network()
    table = {layer.name: layer for layer in describe(network, CUT)}
    for name, layer in table.items():
        shape = network.get_layer(name).output.shape[1:]
        assert layer.output == ((1, 1, *shape) if len(shape) == 1 else tuple(shape))
    strides = {name for name, layer in table.items() if layer.stride == 2}
    assert strides == {"conv0", *(f"block_{i}_depthwise" for i in (1, 3, 6, 13))}


def test_layers_behind_the_cut_are_the_trained_ones() -> None:
    table = describe(random_network(), CUT)
    trained = [layer.name for layer in table if layer.trained]
    assert trained[0] == "block_13_expand" and trained[-1] == "probabilities"
    assert table[-1].name == "probabilities"


@pytest.mark.parametrize(
    ("backbone", "size_px", "name"),
    [
        ("mobilenet-v2", SIZE_PX, "conv0"),
        ("mobilenet-v2", SIZE_PX, "block_0_depthwise"),
        ("mobilenet-v2", SIZE_PX, "block_1_depthwise"),
        # Kernels of 5 cells with a stride, on an even and on an odd side.
        ("efficientnet-lite0", 128, "block_3_depthwise"),
        ("efficientnet-lite0", 132, "block_3_depthwise"),
    ],
)
def test_a_cell_sees_the_stated_pixels_and_no_others(
    backbone: str, size_px: int, name: str
) -> None:
    import tensorflow as tf
    from keras import Model

    network = random_network(2, size_px, backbone)
    layer = next(layer for layer in describe(network, CUT) if layer.name == name)
    # Before its ReLU a cell depends on all that it sees, whatever the values.
    start = network.get_layer("scale_to_plus_minus_one").output
    part = Model(start, network.get_layer(f"{name}_conv").output)
    cell = layer.output[0] // 2
    pixels = tf.random.stateless_uniform((1, size_px, size_px, 3), (0, 0), -1, 1)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        outputs = tf.reduce_sum(part(pixels)[0, cell, cell] ** 2)
    seen = np.flatnonzero(np.abs(tape.gradient(outputs, pixels).numpy()).sum(axis=(0, 2, 3)))
    centre = layer.first_centre_px + cell * layer.step_px
    assert seen[-1] - seen[0] + 1 == layer.sees_px
    assert (seen[0] + seen[-1]) / 2 == centre


def test_every_layer_gets_its_share_of_the_time() -> None:
    network = random_network()
    taken = seconds(network, np.stack([square_picture(i) for i in range(2)]))
    assert list(taken) == [layer.name for layer in describe(network, CUT)]
    assert min(taken.values()) > 0
    assert sum(shares(taken).values()) == pytest.approx(1)


def test_change_of_a_kernel_is_relative_to_what_it_was() -> None:
    before = zeros(0.35)
    network = classifier(build(Architecture(alpha=0.35, size_px=SIZE_PX), before), 2)
    moved = network.get_layer("block_16")
    kernel, bias = moved.get_weights()
    moved.set_weights([kernel * 1.25, bias])
    changes = weight_changes(network, before)
    assert changes["block_16"] == pytest.approx(0.25, rel=1e-5)
    assert {name for name, change in changes.items() if change} == {"block_16"}
    assert "class_map" not in changes and len(changes) == len(before)
