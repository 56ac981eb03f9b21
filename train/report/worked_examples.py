"""Worked examples of convolution in numbers: classic kernels and the first layer's learned ones.

Convolution in networks does not flip the kernel before it slides, unlike in mathematics (it is a
cross-correlation). For a learned kernel that makes no difference. All functions here follow the
networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import correlate2d

from device.contract.arrays import Pixels

Floats = npt.NDArray[np.float64]
Place = tuple[int, int]
"""Row and column."""

CLASSIC: Mapping[str, Floats] = {
    "horizontal edge": np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]], float),
    "vertical edge": np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], float),
    "blur": np.full((3, 3), 1 / 9),
    "sharpen": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], float),
}
SHOWN_IN_NUMBERS = "vertical edge"
PATCH = 5
CEILING = 6.0
"""The upper limit of ReLU6."""


@dataclass(frozen=True)
class Sliding:
    """A classic kernel over a patch of grey pixels, no padding."""

    place: Place
    """Position of the patch's first pixel in the photo."""
    patch: npt.NDArray[np.int64]
    """(5, 5), 0 to 255."""
    kernel: npt.NDArray[np.int64]
    """(3, 3)."""
    products: npt.NDArray[np.int64]
    """(3, 3), products of the kernel with the middle of the patch."""
    output: npt.NDArray[np.int64]
    """(3, 3); the middle one is the sum of the products."""


@dataclass(frozen=True)
class Neuron:
    """One output number of the first layer, from the pixels it looks at."""

    channel: int
    place: Place
    """Position in the layer's output."""
    pixels: Floats
    """(3, 3, 3), scaled to -1 to 1 as the network does."""
    weights: Floats
    """(3, 3, 3)."""
    bias: float

    @property
    def sums(self) -> Floats:
        """Sum of the products per colour, (3,)."""
        total: Floats = (self.pixels * self.weights).sum(axis=(0, 1))
        return total

    @property
    def sheets(self) -> list[tuple[str, list[list[float]], list[list[float]], float]]:
        """Name, pixels, weights and sum of products by colour."""
        names = ("red", "green", "blue")
        return [
            (name, self.pixels[..., i].tolist(), self.weights[..., i].tolist(), float(self.sums[i]))
            for i, name in enumerate(names)
        ]

    @property
    def total(self) -> float:
        """The sum with the bias, before ReLU6."""
        return float(self.sums.sum() + self.bias)

    @property
    def output(self) -> float:
        """The layer's output, after ReLU6."""
        return min(max(self.total, 0.0), CEILING)


@dataclass(frozen=True)
class Twin:
    """The learned kernel that is most like a classic one."""

    channel: int
    likeness: float
    """Cosine, -1 to 1; negative: the same with light and dark exchanged."""


def grey(pixels: Pixels) -> Floats:
    """The luminance of a photo, (h, w), 0 to 255, rounded to whole numbers (ITU-R BT.601)."""
    luminance: Floats = np.rint(pixels @ np.array((0.299, 0.587, 0.114)))
    return luminance


def slide(image: Floats, kernel: Floats, *, same: bool = True) -> Floats:
    """Slide a kernel over an image (h, w), padded with zeros or (if not `same`) only inside."""
    result: Floats = correlate2d(image, kernel, mode="same" if same else "valid")
    return result


def worked_example(image: Floats) -> Sliding:
    """The classic kernel at the place of a grey image where its output is largest."""
    kernel = CLASSIC[SHOWN_IN_NUMBERS]
    margin = PATCH // 2
    answers = slide(image, kernel, same=False)[margin - 1 : 1 - margin, margin - 1 : 1 - margin]
    row, column = _argmax(np.abs(answers))
    patch = image[row : row + PATCH, column : column + PATCH]
    return Sliding(
        place=(row, column),
        patch=patch.astype(np.int64),
        kernel=kernel.astype(np.int64),
        products=(patch[1:4, 1:4] * kernel).astype(np.int64),
        output=slide(patch, kernel, same=False).astype(np.int64),
    )


def neuron(
    channel: int, scaled: Floats, kernels: Floats, biases: Floats, outputs: Floats
) -> Neuron:
    """The strongest output of a channel of the first layer below the limit of ReLU6.

    Args:
        channel: which one.
        scaled: (size, size, 3), the photo as the first convolution gets it, -1 to 1.
        kernels: (3, 3, 3, filters), of stride 2 with SAME padding.
        biases: (filters,).
        outputs: (size/2, size/2, filters), the layer's outputs.
    """
    # Away from the border, where the last row and column of the window would be zeros.
    inside = outputs[:-1, :-1, channel]
    row, column = _argmax(np.where(inside < CEILING, inside, 0))
    return Neuron(
        channel=channel,
        place=(row, column),
        pixels=scaled[2 * row : 2 * row + 3, 2 * column : 2 * column + 3],
        weights=kernels[..., channel],
        bias=float(biases[channel]),
    )


def twin(classic: Floats, kernels: Floats, taken: Sequence[int] = ()) -> Twin:
    """The learned kernel whose response to grey pictures is most like that of a classic kernel.

    Args:
        classic: (3, 3).
        kernels: (3, 3, 3, filters); on a grey picture their three colours add up.
        taken: channels that are not considered.
    """
    on_grey = kernels.sum(axis=2).reshape(9, -1)
    norms = np.linalg.norm(on_grey, axis=0) * np.linalg.norm(classic)
    cosines = classic.ravel() @ on_grey / np.maximum(norms, 1e-12)
    cosines[list(taken)] = 0
    channel = int(np.abs(cosines).argmax())
    return Twin(channel, float(cosines[channel]))


def pooled(cells: Floats) -> tuple[Floats, Floats]:
    """The maximum and the average of each 2x2 square of (h, w), h and w even."""
    squares = cells.reshape(cells.shape[0] // 2, 2, cells.shape[1] // 2, 2)
    return squares.max(axis=(1, 3)), squares.mean(axis=(1, 3))


def most_varied_window(cells: Floats, side: int) -> Floats:
    """The `side` x `side` part of a map (h, w) whose values differ most."""
    windows = sliding_window_view(cells, (side, side))
    row, column = _argmax(windows.std(axis=(2, 3)))
    window: Floats = windows[row, column]
    return window


def _argmax(values: Floats) -> Place:
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    return int(row), int(column)
