"""A real classifier of the tiny photos, made in seconds without training: network, models, bundle.

TensorFlow is imported where it is used. Each is made once in a run of pytest, in its folder `base`.
"""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.artifacts.exported import Export
from convert.artifacts.training import LabelledPhoto, Training
from convert.pack import bundle
from convert.quantize.known import known_features
from convert.tflite.metadata import Description, embed
from convert.verify.confidence import scale
from convert.verify.models import Models
from device.commit import UNKNOWN
from device.workstation.conversion import FLOAT_MODEL, VerificationRecord
from device.workstation.conversion import INT8_MODEL as MODEL
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import REPORT, REPORT_PLACE, Metrics, Part
from tests.support.builds.small_networks import fit_head, folded_weights
from tests.support.builds.tiny_photos import TinyPhoto, photos_of, write
from tests.support.builds.training_records import fit_settings, metrics_of
from tests.support.builds.verified import evidence_of, record_of
from tests.support.pictures import LABELS, RULES, SIZE_PX

if TYPE_CHECKING:
    from convert.quantize.plan import Plan

ALPHA = 0.35


@cache
def tiny_training(base: Path) -> Training:
    """What training would leave, for the tiny photos; without model.keras."""
    folder, data = base / "tiny" / "train", base / "tiny" / "data"
    folder.mkdir(parents=True)
    (folder / REPORT).write_text("<html>" + "".join(REPORT_PLACE) + "</html>")
    photos = {part: tuple(_written(photo, data) for photo in photos_of(part)) for part in Part}
    return Training(
        folder, PhotoFiles(data), LABELS, RULES, photos, _metrics(sum(map(len, photos.values())))
    )


def _written(photo: TinyPhoto, data: Path) -> LabelledPhoto:
    write(photo, data)
    digest = hashlib.sha256(photo.content).hexdigest()
    return LabelledPhoto(photo.path, photo.label, digest, event=digest[:12], place="")


def _metrics(photos: int) -> Metrics:
    """Those of a network that was never tested, on the tiny photos."""
    metrics = metrics_of(np.eye(len(LABELS), dtype=int).tolist(), LABELS)
    description = f"{photos} synthetic pictures in {len(LABELS)} classes"
    data = replace(metrics.data, name="tiny", description=description)
    return replace(metrics, data=data, config=fit_settings(ALPHA, SIZE_PX))


def _pixels(training: Training) -> Any:
    return np.stack([training.pixels(photo) for photo in training.photos[Part.TRAIN]])


@cache
def tiny_network(base: Path) -> Any:
    """A random backbone, its head fitted on the tiny training part."""
    from train.network.backbone import Architecture, build, classifier

    training = tiny_training(base)
    weights = folded_weights(ALPHA, np.random.default_rng(0))
    backbone = build(Architecture(alpha=ALPHA, size_px=SIZE_PX), weights)
    network = classifier(backbone, len(LABELS))
    features = backbone(_pixels(training)).numpy()
    labels = [photo.label for photo in training.photos[Part.TRAIN]]
    network.get_layer("class_map").set_weights(fit_head(features.mean(axis=(1, 2)), labels))
    return network


@cache
def tiny_plan(base: Path) -> "Plan":
    """The network's quantization, calibrated on its training part."""
    from convert.quantize.plan import make_plan

    return make_plan(tiny_network(base), _pixels(tiny_training(base)))


@cache
def tiny_models(base: Path) -> dict[str, bytes]:
    """The float32 and the int8 TFLite model of the network, by file name."""
    from convert.quantize.export import float_model, int8_model

    description = Description("tiny", "synthetic pictures", LABELS)
    network = tiny_network(base)
    return {
        FLOAT_MODEL: float_model(network),
        MODEL: embed(int8_model(network, tiny_plan(base)), description),
    }


@cache
def tiny_files(base: Path) -> dict[str, bytes]:
    """The files of the bundle, by name."""
    inputs = bundle.Inputs(tiny_training(base), _exported(base), _verification(base))
    return bundle.build(replace(inputs, golden_photos=4))


@cache
def _exported(base: Path) -> Export:
    models, calibration = tiny_models(base), tiny_training(base).photos[Part.TRAIN]
    statistics = known_features(tiny_training(base), models[MODEL])
    return Export(models[FLOAT_MODEL], models[MODEL], {}, statistics, 0, calibration, UNKNOWN)


def _verification(base: Path) -> VerificationRecord:
    training = tiny_training(base)
    outputs = Models.of(training, _exported(base), tiny_network(base)).classify(Part.TEST)
    named = outputs.int8.argmax(axis=1)
    known = scale(_exported(base).statistics, named, outputs.measured, outputs.events).statistics
    evidence, data = evidence_of(outputs, 0.25, statistics=known), training.metrics.data
    return record_of(LABELS, outputs, evidence, models=tiny_models(base), data=data)
