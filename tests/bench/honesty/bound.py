"""What a linear classifier on frozen features reaches on the worlds' flowers before any scene.

The photos, crops, sizes, light and noise are those of `cases/26-events/world.py`; the picture is
the square of the subject itself, so nothing is lost to a place or to a box that is off.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing, prepare
from tests.bench.honesty.judge import ITERATIONS, STRENGTH
from train.curate.features import Backbone, picture_features
from train.network.backbone import Architecture, load_weights
from train.network.backbones import BACKBONES
from train.network.fetch_weights import fetch_weights

CLASSES = ("rose", "tulip", "sunflower")
TAUGHT, JUDGED = range(30), range(100, 160)
"""Numbers of the photos of each class."""
VIEWS = 4
"""Of each photo that is taught."""
NOISE = 4.0


def bound(name: str, options: argparse.Namespace) -> dict[str, bool]:
    """Whether each flower is classified rightly, once for each world.

    Args:
        name: of the backbone.
        options: `shared`, `weights`, `out` and `worlds` of the command line.
    """
    architecture = Architecture(name)
    rules = Preprocessing(architecture.size_px, architecture.size_px)
    weights = fetch_weights(options.weights, BACKBONES[name].checkpoint)
    backbone = Backbone(architecture, load_weights(str(weights), architecture), rules)
    taught = [(c, i, f"taught {view}") for c in CLASSES for i in TAUGHT for view in range(VIEWS)]
    judged = [(c, i, f"world {w}") for w in options.worlds for c in CLASSES for i in JUDGED]
    photos = {c: sorted((options.shared / "flowers" / c).glob("*.jpg")) for c in CLASSES}
    pictures: Sequence[Callable[[], Pixels]] = [
        partial(_subject, photos[c][i], f"{c} {i} {draw}", rules) for c, i, draw in taught + judged
    ]
    key = [f"{photos[c][i].name} {draw}" for c, i, draw in taught + judged]
    rows = picture_features(pictures, key, backbone, options.out / f"bound-{name}")
    model = LogisticRegression(C=STRENGTH, max_iter=ITERATIONS)
    model.fit(rows[: len(taught)], [c for c, *_ in taught])
    said = model.predict(rows[len(taught) :])
    return {
        f"{draw}/{c}/p_e{i - JUDGED[0]:03d}_0.jpg": bool(one == c)
        for (c, i, draw), one in zip(judged, said, strict=True)
    }


def _subject(photo: Path, draw: str, rules: Preprocessing) -> Pixels:
    """The middle of a photo as small, bright and noisy as in an event."""
    rng = np.random.default_rng([*draw.encode()])
    image = Image.open(photo).convert("RGB")
    side = int(min(image.size) * 0.8)
    left, upper = (image.width - side) // 2, (image.height - side) // 2
    size = int(rng.uniform(110, 170))
    small = image.crop((left, upper, left + side, upper + side)).resize((size, size))
    lit = np.asarray(small) * rng.uniform(0.6, 1.15) + rng.normal(0, NOISE, (size, size, 3))
    return prepare(Image.fromarray(lit.clip(0, 255).astype(np.uint8)), rules)
