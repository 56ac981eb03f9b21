"""Verifies the models: compares Keras, float and int8 TFLite, and decides if int8 may ship."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from convert.artifacts.exported import Export, read_export
from convert.artifacts.training import Training, load_network, read_training
from convert.commands.progress import bar
from convert.config import ConvertConfig
from convert.errors import GateError
from convert.targets import edgetpu, runtimes
from convert.tflite.flatbuffer import read_facts
from convert.verify import comparison
from convert.verify.comparison import Outputs, Verification
from convert.verify.faults.measure import UnderFaults, example, measure, steps
from convert.verify.models import Models
from convert.verify.strangers import judging
from device.commit import commit
from device.files import write_bytes
from device.workstation.conversion import (
    EDGETPU_MODEL,
    VERIFICATION,
    EdgeTpuFigures,
    VerificationRecord,
)
from device.workstation.engine.progress import bars
from device.workstation.faults.catalogue import chosen
from device.workstation.faults.figures import FaultsFigures
from device.workstation.quiet import quiet_tensorflow
from device.workstation.shares import ShareByEvent
from device.workstation.training import Metrics, Part

if TYPE_CHECKING:
    from convert.verify.evidence import Evidence

WORST_LAYERS_NAMED = 3
OPERATORS_NAMED = 3


@dataclass(frozen=True)
class VerifyInputs:
    """What a verification reads and where it writes."""

    training: Path
    """The folder of the training."""
    models: Path
    """The folder of the export; `verification.json` is written there, too."""
    report: Path
    """The path for training's report with the section on quantization."""
    config: ConvertConfig = field(default_factory=ConvertConfig)


@dataclass(frozen=True)
class Verified:
    """What a verification found and wrote."""

    inputs: VerifyInputs
    verification: Verification
    evidence: "Evidence"
    record: VerificationRecord
    """The content of `verification.json`."""

    @property
    def shipped_on_request(self) -> bool:
        """Whether the model ships although the gate failed."""
        return not self.verification.ships and self.inputs.config.allow_regression

    def objections(self) -> list[str]:
        """Why the model may not ship, and what may help; an empty list if it may ship."""
        config = self.inputs.config
        found = []
        if not self.verification.ships and not config.allow_regression:
            found.append(self._regression())
        if self.record.edge_tpu.failures and not config.allow_cpu_operators:
            found.append(self._cpu_operators())
        return found

    def _regression(self) -> str:
        failures = "; ".join(self.verification.judgement.failures)
        return (
            f"the int8 model may not ship: {failures}. Most noise comes from "
            f"{self.evidence.noisiest(WORST_LAYERS_NAMED)}. See {self.inputs.report}; more photos, "
            "more EPOCHS= or CALIBRATION= may help. ALLOW_REGRESSION=1 ships it anyway, and the "
            "manifest says so"
        )

    def _cpu_operators(self) -> str:
        failures = "; ".join(self.record.edge_tpu.failures[:OPERATORS_NAMED])
        return (
            f"an Edge TPU would leave operators to the CPU: {failures}. ALLOW_CPU_OPERATORS=1 "
            "ships it anyway"
        )


def verify_models(inputs: VerifyInputs, *, show_progress: bool = False) -> Verified:
    """Compare the models on held-out photos; write `verification.json` and the report.

    Returns:
        The findings, good or bad; `require_shipping` raises an error for bad ones.

    Raises:
        InputError: if files of training or export are missing, damaged or of different runs.
        GateError: if no known runtime can load the int8 model.
    """
    training, made_by = read_training(inputs.training), commit()
    page, models = training.page(), _models(inputs, training)
    with bars(shown=show_progress) as progress:
        test, validation = (_classify(models, part, progress) for part in (Part.TEST, Part.VAL))
        gate = inputs.config.gate
        occasion_only = training.metrics.data.occasion_only
        verification = comparison.compare_models(
            training.labels, test, gate, validation, occasion_only
        )
        evidence = _gather(models, test, validation, progress)
        faults = _under_faults(models, inputs.config, evidence, progress)
    if faults:
        judgement = faults.judge(verification.judgement, strict=gate.strict)
        verification = replace(verification, judgement=judgement)
    record = _record(
        *(inputs, models, verification, evidence, made_by, _of_cut(training, test)),
        faults.figures if faults else None,
    )
    # Beside the models: the bundle keeps the verification of its own model, whatever this one says.
    record.write(inputs.models / VERIFICATION)
    _write_report(inputs.report, page, training, record)
    return Verified(inputs, verification, evidence, record)


def require_shipping(verified: Verified) -> None:
    """Raise an error unless the model may ship.

    Raises:
        GateError: if the gate failed, or an Edge TPU would leave operators to the CPU, and the
            settings do not allow that.
    """
    objections = verified.objections()
    if objections:
        raise GateError(". And ".join(objections))


def _models(inputs: VerifyInputs, training: Training) -> Models:
    exported = read_export(inputs.models, training)
    runtimes.oldest_runtimes(read_facts(exported.int8_model).operators, runtimes.read_runtimes())
    return Models.of(training, exported, load_network(training.model_path))


def _classify(models: Models, part: Part, progress: Progress) -> Outputs:
    photos = models.training.photos[part]
    return models.classify(part, bar(progress, f"verifying, {part} part", len(photos)))


def _gather(models: Models, test: Outputs, validation: Outputs, progress: Progress) -> "Evidence":
    with quiet_tensorflow():
        from convert.verify.evidence import evidence_steps, gather_evidence

    steps = evidence_steps(models.training)
    advance = bar(progress, "layers and probabilities", steps)
    return gather_evidence(models, test, validation, advance)


def _under_faults(
    models: Models, config: ConvertConfig, evidence: "Evidence", progress: Progress
) -> UnderFaults | None:
    faults = chosen(config.faults)
    if not faults:
        return None
    advance = bar(progress, "faults of cameras", steps(models))
    return measure(models, faults, evidence.known, config.gate, advance)


def _edge_tpu(exported: Export, inputs: VerifyInputs) -> EdgeTpuFigures:
    """The Edge TPU's part of the verdict; writes the compiled model beside the others."""
    model, path = exported.int8_model, inputs.models / EDGETPU_MODEL
    placements, compilation = edgetpu.place_operators(model), edgetpu.compile_model(model)
    path.unlink(missing_ok=True)
    if compilation and compilation.model:
        write_bytes(path, compilation.model)
    allowed = inputs.config.allow_cpu_operators
    return edgetpu.edge_tpu_figures(placements, compilation, allowed=allowed)


def _record(
    inputs: VerifyInputs,
    models: Models,
    verification: Verification,
    evidence: "Evidence",
    made_by: str,
    of_cut: ShareByEvent | None,
    faults: FaultsFigures | None,
) -> VerificationRecord:
    from convert.verify.record import verification_record

    metrics, exported = models.training.metrics, models.exported
    return verification_record(
        verification,
        evidence,
        _edge_tpu(exported, inputs),
        exported.models,
        data=metrics.data,
        allow_regression=inputs.config.allow_regression,
        commit=made_by,
        same_places=metrics.same_places if isinstance(metrics, Metrics) else None,
        new_places=metrics.new_places if isinstance(metrics, Metrics) else None,
        of_cut=of_cut,
        faults=faults,
    )


def _of_cut(training: Training, test: Outputs) -> ShareByEvent | None:
    photos = training.photos[Part.TEST]
    return test.int8_accuracy_of([row for row, photo in enumerate(photos) if photo.box])


def _write_report(
    path: Path, page: tuple[str, str], training: Training, record: VerificationRecord
) -> None:
    """Put the section on quantization into training's page, given the text before and after it."""
    from convert.report.section import section

    shown = (*training.photos[Part.TEST], *judging(training))
    by_path = {photo.path: photo for photo in shown}
    body = section(
        record,
        training.metrics.calibration,
        lambda name: training.pixels(by_path[name]),
        example(training, record.under_faults),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, f"{page[0]}{body}{page[1]}".encode())
