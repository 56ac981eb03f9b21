"""Looking into a network: its feature maps, what excites a channel, which photo shows it best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from device.preprocess import Pixels

Floats = npt.NDArray[np.float32]
Readings = Mapping[str, Floats]
"""Output of each read layer by its name: (n, h, w, channels), probabilities (n, classes)."""

BATCH = 16
LIKENESS_LIMIT = 0.7
"""Two maps of one photo that correlate more than this show the same thing."""


@dataclass(frozen=True)
class Candidate:
    """A test photo that the report may show."""

    path: str
    label: int
    pixels: Pixels
    """uint8 (size, size, 3), as the network gets it."""


@dataclass(frozen=True)
class Survey:
    """What the network makes of all candidates."""

    probabilities: Floats
    """(n, classes)."""
    peaks: Mapping[str, Floats]
    """By layer: the largest output of each channel, (n, channels)."""
    peak_cells: Mapping[str, npt.NDArray[np.int64]]
    """By layer: where it is, as row * width + column, (n, channels)."""


class Eyes:
    """A classifier with some of its layers open to be read."""

    def __init__(self, network: keras.Model, names: Sequence[str]) -> None:
        outputs = {name: network.get_layer(name).output for name in names}
        model = keras.Model(network.input, outputs)
        shape = tf.TensorSpec((None, *network.inputs[0].shape[1:]), tf.uint8)
        self._read = tf.function(
            lambda pixels: model(pixels, training=False), [shape], autograph=False
        )

    def read(self, pixels: Pixels) -> Readings:
        """The open layers' outputs for uint8 (n, size, size, 3)."""
        return {name: value.numpy() for name, value in self._read(pixels).items()}


def survey(eyes: Eyes, candidates: Sequence[Candidate], names: Sequence[str]) -> Survey:
    """Let the network look at all candidates, a few at a time, and keep the peaks."""
    probabilities: list[Floats] = []
    peaks: dict[str, list[Floats]] = {name: [] for name in names}
    cells: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in names}
    for start in range(0, len(candidates), BATCH):
        readings = eyes.read(np.stack([c.pixels for c in candidates[start : start + BATCH]]))
        probabilities.append(readings["probabilities"])
        for name in names:
            maps = readings[name].reshape(len(readings[name]), -1, readings[name].shape[-1])
            cells[name].append(maps.argmax(axis=1))
            peaks[name].append(maps.max(axis=1))
    return Survey(
        np.concatenate(probabilities),
        {name: np.concatenate(values) for name, values in peaks.items()},
        {name: np.concatenate(values) for name, values in cells.items()},
    )


def most_telling(candidates: Sequence[Candidate], probabilities: Floats) -> int:
    """The colourful photo that the network is sure of and right about.

    If it is right about none, a wrong one is taken: the chapter explains that as well.
    """

    def merit(index: int) -> tuple[bool, float]:
        candidate, row = candidates[index], probabilities[index]
        right = int(row.argmax()) == candidate.label
        return right, float(row.max()) * colourfulness(candidate.pixels)

    return max(range(len(candidates)), key=merit)


def colourfulness(pixels: Pixels) -> float:
    """How colourful a photo looks; 0 is grey (Hasler and Suesstrunk 2003)."""
    red, green, blue = (pixels[..., i].astype(np.float64) for i in range(3))
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def varied_channels(maps: Floats, count: int) -> list[int]:
    """The channels whose maps vary most over the photo, each unlike the ones before it.

    Args:
        maps: (h, w, channels).
        count: at most this many; fewer where the others would look the same.
    """
    flat = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    norms = np.linalg.norm(flat, axis=0)
    chosen: list[int] = []
    for channel in np.argsort(-norms, kind="stable"):
        likeness = flat[:, chosen].T @ flat[:, channel] / (norms[chosen] * norms[channel] + 1e-12)
        if norms[channel] > 0 and (np.abs(likeness) < LIKENESS_LIMIT).all():
            chosen.append(int(channel))
        if len(chosen) == count:
            break
    return chosen


def arguing_channels(features: Floats, weights: Floats, count: int) -> list[int]:
    """The channels that add most to the logit of one class.

    Args:
        features: (h, w, channels), what the head gets.
        weights: (channels,), the head's for this class against the average of all classes.
        count: how many.
    """
    contributions = features.mean(axis=(0, 1)) * weights
    return [int(channel) for channel in np.argsort(-contributions, kind="stable")[:count]]


def moved(pixels: Pixels, right_px: int) -> Pixels:
    """The photo moved to the right; its own mirror image fills the gap."""
    padded = np.pad(pixels, ((0, 0), (right_px, 0), (0, 0)), mode="reflect")
    return padded[:, : pixels.shape[1]]


def shuffled(pixels: Pixels, seed: int = 0) -> Pixels:
    """The same pixels in random places."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    return np.random.default_rng(seed).permutation(flat).reshape(pixels.shape)


def plain(pixels: Pixels) -> Pixels:
    """A picture of one colour: the photo's average."""
    mean = np.rint(pixels.mean(axis=(0, 1))).astype(np.uint8)
    return np.broadcast_to(mean, pixels.shape).copy()


def around(pixels: Pixels, centre_px: tuple[float, float], side_px: int) -> Pixels:
    """The square of `side_px` around a row and column, pushed inside the photo."""
    edges = [
        int(np.clip(round(c - side_px / 2), 0, size - side_px))
        for c, size in zip(centre_px, pixels.shape, strict=False)
    ]
    return pixels[edges[0] : edges[0] + side_px, edges[1] : edges[1] + side_px]


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's, of two maps; 0 if one of them is flat."""
    x, y = a.ravel() - a.mean(dtype=np.float64), b.ravel() - b.mean(dtype=np.float64)
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norm) if norm else 0.0
