"""Export: the trained network as a float32 and an int8 TFLite model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.artifacts.exported import Export
from convert.artifacts.training import LabelledPhoto, Training, load_network, read_training
from convert.commands.progress import bar
from convert.config import ConvertConfig
from convert.quantize.calibration import choose
from convert.quantize.known import known_features, photos_seen
from convert.targets import runtimes
from convert.tflite import metadata
from convert.tflite.flatbuffer import read_facts
from device.commit import commit
from device.contract.statistics import FeatureStatistics
from device.workstation.engine.progress import bars
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import Part

if TYPE_CHECKING:
    from convert.quantize.plan import Plan


@dataclass(frozen=True)
class ExportInputs:
    """What an export reads and where it writes."""

    training: Path
    """The folder of the training."""
    out: Path
    """The folder for the models."""
    config: ConvertConfig = field(default_factory=ConvertConfig)


def export_models(inputs: ExportInputs, *, show_progress: bool = False) -> Export:
    """Quantize the trained network; write and return both models with their record.

    Raises:
        InputError: if a file of the training is missing or damaged.
        ConversionError: if the converter produced an unexpected graph.
        GateError: if no known runtime can load the int8 model; then nothing is written.
    """
    training, made_by = read_training(inputs.training), commit()
    network = load_network(training.model_path)
    seed = inputs.config.seed
    photos = choose(training.photos[Part.TRAIN], inputs.config.calibration_photos, seed)
    plan = _plan(network, training, photos, show_progress)
    reference, model = _convert(network, plan, training)
    runtimes.oldest_runtimes(read_facts(model).operators, runtimes.read_runtimes())
    statistics = _statistics(training, model, show_progress)
    exported = Export(reference, model, plan.scales, statistics, seed, photos, made_by)
    exported.write(inputs.out)
    return exported


def _plan(
    network: Any, training: Training, photos: Sequence[LabelledPhoto], show_progress: bool
) -> "Plan":
    with quiet_tensorflow():
        from convert.quantize.plan import make_plan

    pixels = np.stack([training.pixels(photo) for photo in photos])
    with bars(shown=show_progress) as progress:
        advance = bar(progress, "quantizing layers", len(network.layers))
        return make_plan(network, pixels, advance)


def _statistics(training: Training, model: bytes, show_progress: bool) -> FeatureStatistics:
    with bars(shown=show_progress) as progress:
        advance = bar(progress, "features of known photos", photos_seen(training))
        return known_features(training, model, advance)


def _convert(network: Any, plan: "Plan", training: Training) -> tuple[bytes, bytes]:
    """The float32 and the int8 model."""
    with quiet_tensorflow():
        from convert.quantize.export import float_model, int8_model

        reference = float_model(network)
        return reference, metadata.embed(int8_model(network, plan), _description(training))


def _description(training: Training) -> metadata.Description:
    data = training.metrics.data
    text = f"Classifies a picture into {len(training.labels)} classes. {data.description}"
    return metadata.Description(data.name, text, training.labels)
