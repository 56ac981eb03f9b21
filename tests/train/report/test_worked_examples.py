"""Promises of the worked examples: they are what TensorFlow computes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from keras import Model

from tests.support.builds.small_networks import random_network
from tests.support.pictures import SIZE_PX, square_picture
from train.report import worked_examples

PHOTO = square_picture(1)


def convolved(image: npt.NDArray[np.float64], kernel: npt.NDArray[np.float64]) -> Any:
    batch = image[np.newaxis, ..., np.newaxis]
    return tf.nn.conv2d(batch, kernel[..., None, None], 1, "VALID").numpy()


@pytest.mark.parametrize("name", worked_examples.CLASSIC)
def test_classic_kernels_slide_as_in_tensorflow(name: str) -> None:
    image = worked_examples.grey(PHOTO)
    kernel = worked_examples.CLASSIC[name]
    ours = worked_examples.slide(image, kernel, same=False)
    assert np.allclose(ours, np.squeeze(convolved(image, kernel)), atol=1e-6)
    same = worked_examples.slide(image, kernel)
    assert same.shape == image.shape and np.array_equal(same[1:-1, 1:-1], ours)


def test_the_worked_example_is_of_the_photo_and_right() -> None:
    image = worked_examples.grey(PHOTO)
    example = worked_examples.worked_example(image)
    row, column = example.place
    assert np.array_equal(image[row : row + 5, column : column + 5], example.patch)
    result = convolved(example.patch.astype(float), example.kernel.astype(float))
    assert np.array_equal(np.squeeze(result), example.output)
    assert example.products.sum() == example.output[1, 1]
    everywhere = np.abs(np.squeeze(convolved(image, example.kernel.astype(float))))
    assert abs(example.output[1, 1]) == everywhere[1:-1, 1:-1].max()


def test_the_worked_neuron_is_the_networks_own() -> None:
    network = random_network()
    weights, bias = network.get_layer("conv0_conv").get_weights()
    outputs = Model(network.input, network.get_layer("conv0").output)(PHOTO[np.newaxis]).numpy()[0]
    for channel in range(weights.shape[-1]):
        neuron = worked_examples.neuron(channel, PHOTO / 128 - 1, weights, bias, outputs)
        row, column = neuron.place
        if outputs[row, column, channel] < worked_examples.CEILING:
            assert neuron.output == pytest.approx(float(outputs[row, column, channel]), abs=1e-5)
        assert sum(sheet[3] for sheet in neuron.sheets) == pytest.approx(neuron.total - neuron.bias)


def test_pooling_is_tensorflows() -> None:
    cells = worked_examples.grey(PHOTO)
    largest, average = worked_examples.pooled(cells)
    given = cells[np.newaxis, ..., np.newaxis]
    assert np.array_equal(largest, np.squeeze(tf.nn.max_pool2d(given, 2, 2, "VALID")))
    assert np.allclose(average, np.squeeze(tf.nn.avg_pool2d(given, 2, 2, "VALID")))


def test_the_most_varied_window_is_part_of_the_map() -> None:
    cells = np.zeros((8, 8))
    cells[5:7, 1:3] = (6, 0), (0, 6)
    window = worked_examples.most_varied_window(cells, 4)
    assert window.shape == (4, 4) and window.sum() == 12


def test_a_learned_kernel_that_is_a_classic_one_is_found() -> None:
    rng = np.random.default_rng(0)
    learned = rng.normal(size=(3, 3, 3, 8))
    learned[..., 5] = -worked_examples.CLASSIC["sharpen"][..., np.newaxis] * (0.2, 0.5, 0.1)
    found = worked_examples.twin(worked_examples.CLASSIC["sharpen"], learned)
    assert found.channel == 5 and found.likeness == pytest.approx(-1)
    assert worked_examples.twin(worked_examples.CLASSIC["sharpen"], learned, [5]).channel != 5


def test_flat_pictures_have_a_worked_example_too() -> None:
    example = worked_examples.worked_example(np.full((SIZE_PX, SIZE_PX), 7.0))
    assert not example.output.any()
