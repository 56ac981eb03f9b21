"""Verification: Keras against float TFLite against int8 TFLite, and whether the last may ship."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import Progress

from convert.artifacts.exported import Export, read_export
from convert.artifacts.training import Training, load_network, read
from convert.commands.progress import bar, bars
from convert.config import ConvertConfig
from convert.errors import GateError
from convert.targets import edgetpu, runtimes
from convert.tflite.flatbuffer import read_facts
from convert.verify import comparison
from convert.verify.comparison import Outputs, Verification
from device.commit import commit
from device.files import write_bytes
from device.inference.classifier import Classifier
from device.workstation.conversion import (
    EDGETPU_MODEL,
    VERIFICATION,
    EdgeTpuFigures,
    VerificationRecord,
)
from device.workstation.quiet import quiet_tensorflow
from device.workstation.training import Part

if TYPE_CHECKING:
    from convert.verify.evidence import Evidence

WORST_LAYERS_NAMED = 3
OPERATORS_NAMED = 3


@dataclass(frozen=True)
class VerifyInputs:
    """What a verification reads and where it writes."""

    training: Path
    """The folder that training left."""
    models: Path
    """The folder that export left; `verification.json` goes there, too."""
    report: Path
    """Where training's report goes, with the section on quantization in it."""
    config: ConvertConfig = field(default_factory=ConvertConfig)


@dataclass(frozen=True)
class Verified:
    """What a verification found and wrote."""

    inputs: VerifyInputs
    data: str
    """One line on the photos."""
    verification: Verification
    evidence: "Evidence"
    edge_tpu: EdgeTpuFigures

    @property
    def shipped_on_request(self) -> bool:
        """Whether the gate failed, and the model ships all the same."""
        return not self.verification.ships and self.inputs.config.allow_regression

    def objections(self) -> list[str]:
        """What forbids to ship the model, and what may help; none if it ships."""
        config = self.inputs.config
        found = []
        if not self.verification.ships and not config.allow_regression:
            found.append(self._regression())
        if self.edge_tpu.failures and not config.allow_cpu_operators:
            found.append(self._cpu_operators())
        return found

    def _regression(self) -> str:
        failures = "; ".join(self.verification.judgement.failures)
        return (
            f"the int8 model may not ship: {failures}. Most noise comes from "
            f"{self.evidence.noisiest(WORST_LAYERS_NAMED)}. See {self.inputs.report}; more photos, "
            "more EPOCHS= or CALIBRATION= may help; ALLOW_REGRESSION=1 ships it all the same, and "
            "the manifest says so"
        )

    def _cpu_operators(self) -> str:
        failures = "; ".join(self.edge_tpu.failures[:OPERATORS_NAMED])
        return (
            f"an Edge TPU would leave operators to the CPU: {failures}. ALLOW_CPU_OPERATORS=1 "
            "ships it all the same"
        )


def verify_models(inputs: VerifyInputs, *, show_progress: bool = False) -> Verified:
    """Compare the models on held-out photos; write `verification.json` and the report.

    Returns:
        The findings, be they good or bad: `require_shipping` raises for bad ones.

    Raises:
        InputError: if what training or export left is missing, damaged or of different runs.
        GateError: if no known runtime would load the int8 model.
    """
    models, made_by = _read(inputs), commit()
    with bars(show_progress) as progress:
        test, validation = (_classify(models, part, progress) for part in (Part.TEST, Part.VAL))
        gate = inputs.config.gate
        verification = comparison.compare_models(models.training.labels, test, gate, validation)
        evidence = _gather(models, test, validation, progress)
    data = models.training.metrics.data.description
    verified = Verified(inputs, data, verification, evidence, _edge_tpu(models, inputs))
    record = _record(verified, models.exported, made_by)
    # Beside the models: the bundle keeps that of the model in it, whatever is said of this one.
    record.write(inputs.models / VERIFICATION)
    _write_report(inputs.report, models, record)
    return verified


def require_shipping(verified: Verified) -> None:
    """Let only a model pass that may ship.

    Raises:
        GateError: if the gate failed or an Edge TPU would leave operators to the CPU, and this
            was not allowed.
    """
    objections = verified.objections()
    if objections:
        raise GateError(". And ".join(objections))


@dataclass(frozen=True)
class _Models:
    """The three models that are compared, and what they were made from."""

    training: Training
    page: tuple[str, str]
    """Training's report before and behind the section on quantization."""
    exported: Export
    keras: Any
    float32: Classifier
    int8: Classifier


def _read(inputs: VerifyInputs) -> _Models:
    training = read(inputs.training)
    page, exported = training.page(), read_export(inputs.models, training)
    runtimes.oldest(read_facts(exported.int8_model).operators, runtimes.read_table())
    network = load_network(training.model_path)
    float32, int8 = (
        Classifier(model, training.labels, training.preprocessing)
        for model in (exported.float_model, exported.int8_model)
    )
    return _Models(training, page, exported, network, float32, int8)


def _classify(models: _Models, part: Part, progress: Progress) -> Outputs:
    photos = models.training.photos[part]
    return comparison.classify_all(
        np.array([photo.label for photo in photos], np.int64),
        [partial(models.training.pixels, photo) for photo in photos],
        _prediction(models.keras),
        models.float32,
        models.int8,
        bar(progress, f"verifying, {part} part", len(photos)),
    )


def _prediction(network: Any) -> Callable[[Any], Any]:
    import tensorflow as tf

    predict = tf.function(
        lambda x: network(x, training=False)["probabilities"], autograph=False, jit_compile=False
    )
    return lambda pixels: predict(pixels).numpy()


def _gather(models: _Models, test: Outputs, validation: Outputs, progress: Progress) -> "Evidence":
    with quiet_tensorflow():
        from convert.verify.evidence import gather, steps

    return gather(
        models.training,
        models.keras,
        models.exported.int8_model,
        models.exported.scales,
        models.int8,
        test,
        validation,
        bar(progress, "layers and probabilities", steps(models.training)),
    )


def _edge_tpu(models: _Models, inputs: VerifyInputs) -> EdgeTpuFigures:
    """The Edge TPU's part of the verdict; leaves the compiled model beside the others."""
    model = models.exported.int8_model
    placements, compilation = edgetpu.place_operators(model), edgetpu.compile_model(model)
    path = inputs.models / EDGETPU_MODEL
    path.unlink(missing_ok=True)
    if compilation and compilation.model:
        write_bytes(path, compilation.model)
    return edgetpu.edge_tpu_figures(
        placements, compilation, allowed=inputs.config.allow_cpu_operators
    )


def _record(verified: Verified, exported: Export, made_by: str) -> VerificationRecord:
    from convert.verify.record import verification_record

    return verification_record(
        verified.verification,
        verified.evidence,
        verified.edge_tpu,
        exported.models,
        data=verified.data,
        allow_regression=verified.inputs.config.allow_regression,
        commit=made_by,
    )


def _write_report(path: Path, models: _Models, record: VerificationRecord) -> None:
    from convert.report.section import section

    training, (before, behind) = models.training, models.page
    by_path = {photo.path: photo for photo in training.photos[Part.TEST]}
    body = section(
        record, training.metrics.calibration, lambda name: training.pixels(by_path[name])
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, f"{before}{body}{behind}".encode())
