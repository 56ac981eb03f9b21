"""Frozen features of rendered pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.workstation.photo_files import PhotoFiles
from device.workstation.quiet import quiet_tensorflow
from tests.bench.honesty.judge import Shot
from train.network.backbones import MOBILENET_V2
from train.network.fetch_weights import fetch_weights


def features_of(
    taken: Sequence[Shot], folder: Path, weights: Path
) -> Mapping[str, npt.NDArray[np.float32]]:
    """What the network before any training sees in the pictures of a folder.

    Returns:
        By SHA-256, float32 (channels,), of length 1.
    """
    with quiet_tensorflow():
        from train.curate.features import frozen_features

    path = fetch_weights(weights, MOBILENET_V2.checkpoint) if weights.is_dir() else weights
    rows = frozen_features(taken, PhotoFiles(folder), str(path), folder / "cache")[:]
    return dict(zip((shot.sha256 for shot in taken), rows, strict=True))
