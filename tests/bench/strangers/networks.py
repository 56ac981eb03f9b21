"""Networks that were never shown one of the classes, and what they see of all photos.

Of a split, its photos of one class are left out and the others are trained on by the recipe. The
frozen part sees the same views whichever class is left out, so it is asked once.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from convert.verify.clutter import clutter
from device.contract.arrays import Pixels
from device.contract.photos import load_photo
from device.workstation.training import DATA, DataRecord, Part
from train.network.backbone import between, build, classifier, load_weights
from train.network.cache import Activations, cached
from train.network.frozen import Frozen
from train.network.weights import Convolution, weights_sha256
from train.recipe.activations import Seen
from train.recipe.config import TrainConfig
from train.recipe.draws import Drawn, Draws, Pairs
from train.recipe.finetune import FineTuner, fit_head
from train.recipe.photos import Photos, read_photos
from train.recipe.places import read_exchange
from train.recipe.truth import Truth

RENDERED = 400
MIXED = 400
"""Blends of two training photos of different classes, half and half, before the trained blocks."""
BATCH = 64
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Frozens:
    """What the frozen part sees of the photos of a split."""

    training: Path
    """The folder with the split."""
    photos: Photos
    config: TrainConfig
    convolutions: list[Convolution]
    cache: Path

    @classmethod
    def of(cls, training: Path, config: TrainConfig, weights: Path, cache: Path) -> "Frozens":
        """Of the split in a folder.

        Raises:
            BuildFolderError: if there is none, or its photos or the weights cannot be read.
        """
        photos = read_photos(DataRecord.read(training / DATA), training)
        convolutions = load_weights(str(weights), config.architecture)
        return cls(training, photos, config, convolutions, cache)

    def network(self, classes: int) -> keras.Model:
        """A new one."""
        return classifier(build(self.config.architecture, self.convolutions), classes)

    @cached_property
    def stem(self) -> Frozen:
        """The frozen part."""
        network = self.network(2)
        return Frozen.of(keras.Model(network.input, network.get_layer(self.config.cut).output))

    @cached_property
    def views(self) -> Activations:
        """float16 (photos * views, ...): every view of the training photos, photo by photo."""
        return self._seen(Part.TRAIN, self.config.views)

    @cached_property
    def plain(self) -> dict[Part, Activations]:
        """float16 (photos, ...): the photos themselves, of each part."""
        training = self.views[:: self.config.views]
        return {Part.TRAIN: training} | {p: self._seen(p, 1) for p in (Part.VAL, Part.TEST)}

    def _seen(self, part: Part, views: int) -> Activations:
        photos, config = self.photos, self.config
        exchange = read_exchange(photos, config.preprocessing)
        sha256 = weights_sha256(self.convolutions)
        seen = Seen(self.network(2), config, sha256, photos, exchange, self.training, self.cache)
        items = [
            (row, photos.cuts.get(row.path), view)
            for row in photos.rows[part]
            for view in range(views)
        ]
        path = self.cache / f"{seen.key()}_{part}_all{views}.f16"
        title = f"{part} photos, {views} views"
        return cached(path, seen.task(self.stem), items, self.stem.output_shape, title)

    def strangers(self, folder: Path | None) -> dict[str, Activations]:
        """Of rendered pictures, and of the photos of a folder."""
        size = (self.config.preprocessing.height_px, self.config.preprocessing.width_px)
        found = {"rendered": self._of([clutter(number, size) for number in range(RENDERED)])}
        paths = sorted(path for path in folder.iterdir()) if folder else []
        if paths:
            rules = self.config.preprocessing
            found["other"] = self._of([load_photo(path, rules) for path in paths])
        return found

    def _of(self, pictures: Sequence[Pixels]) -> Activations:
        return np.stack([self.stem(picture) for picture in pictures])


@dataclass(frozen=True)
class LeftOut:
    """A training without one class."""

    frozen: Frozens
    label: int

    @cached_property
    def numbers(self) -> dict[Part, npt.NDArray[np.int64]]:
        """The class of each photo."""
        return {part: self.frozen.photos.numbers(part) for part in Part}

    def kept(self, part: Part) -> npt.NDArray[np.intp]:
        """Indices of the photos of other classes."""
        return np.flatnonzero(self.numbers[part] != self.label)

    def truth(self, part: Part) -> Truth:
        """Of these; the classes are numbered anew."""
        whole = self.frozen.photos.truth(part).of(self.kept(part))
        return Truth(whole.labels - (whole.labels > self.label), whole.weights)

    def trained(self, state: Path, share: float = 1.0) -> keras.Model:
        """The network after the recipe.

        Args:
            state: where it continues if it was cut short; after the end nothing is trained.
            share: of the way from where fine-tuning began that the weights go (`go_back`).
        """
        frozen, config = self.frozen, self.frozen.config
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
        classes = len(frozen.photos.labels) - 1
        network = frozen.network(classes)
        kept, val = self.kept(Part.TRAIN), frozen.plain[Part.VAL][self.kept(Part.VAL)]

        def compute(pairs: Pairs) -> Activations:
            rows = kept[pairs.photos] * config.views + pairs.views
            return np.asarray(frozen.views[rows])

        views = Drawn(Draws.of(config, len(kept)), compute)
        ask, truths = _Tail(network, config), (self.truth(Part.TRAIN), self.truth(Part.VAL))
        head = fit_head(ask(views.first())[0], truths[0], ask(val)[0], truths[1], classes)
        network.get_layer("class_map").set_weights(list(head))
        tail = between(network, config.cut, "logits")
        began = [np.array(variable) for variable in tail.trainable_variables]
        FineTuner(tail, config, views, truths[0], val, truths[1]).run(state, lambda *_: None)
        go_back(tail.trainable_variables, began, share)
        return network

    def shown(self, network: keras.Model, others: dict[str, Activations]) -> dict[str, Any]:
        """Arrays: the features of all photos and pictures, classes, events, and the last layer."""
        ask, frozen = _Tail(network, self.frozen.config), self.frozen
        found: dict[str, Any] = {}
        for part in Part:
            found[f"truth_{part}"] = self.numbers[part]
            found[f"events_{part}"] = np.array(frozen.photos.events(part))
        plain: dict[str, Activations] = {str(part): one for part, one in frozen.plain.items()}
        for name, activations in {**plain, **others, "mixed": self._mixed()}.items():
            found[f"features_{name}"], found[f"map_{name}"] = ask(activations)
            found[f"middle_{name}"] = middle(activations)
        kernel, bias = network.get_layer("class_map").get_weights()
        return found | {"kernel": kernel[0, 0], "bias": bias, "left_out": np.array(self.label)}

    def _mixed(self) -> Activations:
        rng, kept = np.random.default_rng(0), self.kept(Part.TRAIN)
        labels, plain = self.numbers[Part.TRAIN], self.frozen.plain[Part.TRAIN]
        pairs = rng.choice(kept, (4 * MIXED, 2))
        pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]][:MIXED]
        halves = [plain[side].astype(np.float32) for side in pairs.T]
        return np.asarray((halves[0] + halves[1]) / 2, np.float16)


def go_back(variables: Sequence[keras.Variable], began: Sequence[Floats], share: float) -> None:
    """Leave of what training has changed only a share (Wortsman et al. 2022); 1 leaves all."""
    for variable, first in zip(variables, began, strict=True):
        variable.assign(first + share * (np.array(variable) - first))


class _Tail:
    """The trained part of a network."""

    def __init__(self, network: keras.Model, config: TrainConfig) -> None:
        outputs = [network.get_layer(name).output for name in ("features", "class_map")]
        tail = keras.Model(network.get_layer(config.cut).output, outputs)
        self._run = tf.function(
            lambda x: self._pooled(*tail(tf.cast(x, tf.float32), training=False)),
            autograph=False,
            reduce_retracing=True,
        )

    @staticmethod
    def _pooled(features: tf.Tensor, class_map: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.reduce_mean(features, (1, 2)), class_map

    def __call__(self, activations: Activations) -> tuple[Floats, Floats]:
        """The features, float32 (n, features), and the class map, float32 (n, h, w, classes)."""
        starts = range(0, len(activations), BATCH)
        parts = [self._run(activations[i : i + BATCH]) for i in starts]
        return (
            np.concatenate([features.numpy() for features, _ in parts]),
            np.concatenate([class_map.numpy() for _, class_map in parts]),
        )


def middle(activations: Activations) -> Floats:
    """float32 (n, 2 * channels): mean and spread over the picture of the frozen part's output."""
    parts = []
    for start in range(0, len(activations), BATCH):
        part = activations[start : start + BATCH].astype(np.float32)
        parts.append(np.concatenate([part.mean(axis=(1, 2)), part.std(axis=(1, 2))], axis=1))
    return np.concatenate(parts)


def keep(path: Path, arrays: dict[str, Any]) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **arrays)
    os.replace(part, path)
