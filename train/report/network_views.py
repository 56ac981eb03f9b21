"""Views into a network: feature maps, what excites a channel, which photo shows it best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from device.contract.arrays import Pixels
from train.network.backbone import between

Floats = npt.NDArray[np.float32]
Readings = Mapping[str, Floats]
"""Output of each layer by its name: (n, h, w, channels), probabilities (n, classes)."""

BATCH = 16
SMALL_MAP = 10
"""Maps up to this side are used whole."""
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
    """The network's outputs for all candidates."""

    probabilities: Floats
    """(n, classes)."""
    class_maps: Floats
    """(n, h, w, classes)."""
    peaks: Mapping[str, Floats]
    """By layer: the largest output of each channel, (n, channels)."""
    peak_cells: Mapping[str, npt.NDArray[np.int64]]
    """By layer: the position of that peak, as row * width + column, (n, channels)."""


class LayerReader:
    """Reads the outputs of some layers of a classifier."""

    def __init__(self, network: keras.Model, names: Sequence[str]) -> None:
        outputs = {name: network.get_layer(name).output for name in names}
        model = keras.Model(network.input, outputs)
        shape = tf.TensorSpec((None, *network.inputs[0].shape[1:]), tf.uint8)
        self._read = tf.function(
            lambda pixels: model(pixels, training=False), [shape], autograph=False
        )

    def read(self, pixels: Pixels) -> Readings:
        """The layers' outputs for uint8 (n, size, size, 3)."""
        return {name: value.numpy() for name, value in self._read(pixels).items()}


def survey(reader: LayerReader, candidates: Sequence[Candidate], names: Sequence[str]) -> Survey:
    """Run the network on all candidates, a few at a time, and keep the peaks."""
    probabilities: list[Floats] = []
    class_maps: list[Floats] = []
    peaks: dict[str, list[Floats]] = {name: [] for name in names}
    cells: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in names}
    for start in range(0, len(candidates), BATCH):
        readings = reader.read(np.stack([c.pixels for c in candidates[start : start + BATCH]]))
        probabilities.append(readings["probabilities"])
        class_maps.append(readings["class_map"])
        for name in names:
            peak, cell = _peaks(readings[name])
            peaks[name].append(peak)
            cells[name].append(cell)
    return Survey(
        np.concatenate(probabilities),
        np.concatenate(class_maps),
        {name: np.concatenate(values) for name, values in peaks.items()},
        {name: np.concatenate(values) for name, values in cells.items()},
    )


def _peaks(maps: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Largest value of each map, and its position row * width + column; (n, channels) each."""
    side = maps.shape[1]
    rows, columns = _inside(side)
    inner = maps[:, rows, columns]
    flat = inner.reshape(len(maps), -1, maps.shape[-1])
    cells = flat.argmax(axis=1)
    row, column = np.divmod(cells, inner.shape[2])
    return flat.max(axis=1), (row + rows.start) * side + column + columns.start


def most_telling(candidates: Sequence[Candidate], seen: Survey) -> int:
    """The index of a colourful photo with a clear object, classified correctly and confidently.

    If it is wrong about all photos, a wrong one is taken: the chapter explains that as well.
    """

    def merit(index: int) -> tuple[bool, float]:
        candidate, row = candidates[index], seen.probabilities[index]
        right = int(row.argmax()) == candidate.label
        map_contrast = focus(evidence(seen.class_maps[index])[..., row.argmax()])
        return right, float(row.max()) * map_contrast * colour_contrast(candidate.pixels)

    return max(range(len(candidates)), key=merit)


def evidence(class_map: Floats) -> Floats:
    """A class map minus the average of its classes; softmax depends only on that."""
    result: Floats = class_map - class_map.mean(axis=-1, keepdims=True)
    return result


def colour_contrast(pixels: Pixels) -> float:
    """How much the colours of a photo differ: their spread along red-green and yellow-blue.

    This is the part of the colourfulness of Hasler and Suesstrunk (2003) that a single colour all
    over the photo does not increase.
    """
    red, green, blue = (pixels[..., i].astype(np.float64) for i in range(3))
    return float(np.hypot((red - green).std(), ((red + green) / 2 - blue).std()))


def focus(cells: Floats) -> float:
    """How much of a map's strength comes from differences between its cells, 0 to 1."""
    strength = float(np.sqrt(np.square(cells, dtype=np.float64).mean()))
    return float(cells.std(dtype=np.float64)) / strength if strength else 0.0


def unlike_channels(maps: Floats, merits: Floats, count: int) -> list[int]:
    """The channels with the highest merit whose maps do not resemble those chosen before.

    Args:
        maps: (h, w, channels).
        merits: (channels,).
        count: at most this many; fewer where the others would look the same.
    """
    flat = maps.reshape(-1, maps.shape[-1]).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    norms = np.linalg.norm(flat, axis=0)
    says_something = (norms > 0) | (len(flat) == 1)
    chosen: list[int] = []
    for channel in np.argsort(-merits, kind="stable"):
        likeness = flat[:, chosen].T @ flat[:, channel] / (norms[chosen] * norms[channel] + 1e-12)
        if says_something[channel] and (np.abs(likeness) < LIKENESS_LIMIT).all():
            chosen.append(int(channel))
        if len(chosen) == count:
            break
    return chosen


def contributions(network: keras.Model, name: str, maps: Floats, number: int) -> Floats:
    """What each channel adds to the logit of one class, against the average of all classes.

    Activation times gradient, summed over the map: exact for the last layer, whose path to the
    logit is linear, and a first-order estimate for the layers before it.

    Args:
        network: the classifier.
        name: a layer that every path to the logits leads through.
        maps: its output, (h, w, channels).
        number: index of the class.

    Returns:
        (channels,).
    """
    rest = between(network, name, "logits")
    activations = tf.constant(maps[np.newaxis])
    with tf.GradientTape() as tape:
        tape.watch(activations)
        logits = rest(activations, training=False)[0]
        logit = logits[number] - tf.reduce_mean(logits)
    added: Floats = (tape.gradient(logit, activations) * activations).numpy()[0]
    total: Floats = added[_inside(len(maps))].sum(axis=(0, 1))
    return total


def _inside(side: int) -> tuple[slice, slice]:
    """A map without its outermost cells, which see padding; small maps are used whole."""
    margin = 1 if side > SMALL_MAP else 0
    return slice(margin, side - margin), slice(margin, side - margin)


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
