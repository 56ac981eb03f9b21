"""What a linear classifier on frozen features reaches on the worlds' flowers before any scene."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sklearn.linear_model import LogisticRegression

from device.contract.arrays import Pixels
from device.contract.preprocess import Preprocessing, prepare
from tests.bench.honesty.bare import CLASSES, JUDGED, TAUGHT, subject
from tests.bench.honesty.judge import ITERATIONS, STRENGTH
from train.curate.features import Backbone, picture_features
from train.network.backbone import Architecture, load_weights
from train.network.backbones import BACKBONES
from train.network.fetch_weights import fetch_weights

VIEWS = 4
"""Of each photo that a linear classifier is taught."""


def linear(name: str, options: argparse.Namespace) -> dict[str, bool]:
    """Whether a linear classifier on frozen features is right, once for each world and flower.

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
        partial(_prepared, photos[c][i], f"{c} {i} {draw}", rules) for c, i, draw in taught + judged
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


def _prepared(photo: Path, draw: str, rules: Preprocessing) -> Pixels:
    return prepare(subject(photo, draw), rules)
