"""Measures the models under faults of cameras, judges int8, and makes the record of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from convert.artifacts.training import Training, one_class_after_another
from convert.config import Gate
from convert.verify.confidence import Scaled
from convert.verify.faults.answers import (
    Case,
    Spoiled,
    answer,
    photos_spoiled,
    spoiled_pixels,
)
from convert.verify.faults.gate import Ruling, rule
from convert.verify.gate import Judgement
from convert.verify.models import Models
from convert.verify.statistics import Labels, paired_effective_n, paired_interval_points
from device.contract.arrays import Pixels
from device.workstation.conversion import Verdict
from device.workstation.faults.catalogue import FAULTS, Fault, Strength
from device.workstation.faults.figures import (
    ClassUnderFault,
    FaultFigures,
    FaultsFigures,
    Told,
    WithoutFault,
)
from device.workstation.shares import share_by_event

if TYPE_CHECKING:
    from convert.verify.layer_noise import LayerError

LAYER_PHOTOS = 12
"""Spoiled photos on which layers are compared, for each fault that fails."""
LAYERS_NAMED = 3


@dataclass(frozen=True)
class UnderFaults:
    """Figures and rulings of all faults that could be rendered."""

    figures: FaultsFigures
    failures: tuple[str, ...]
    """Each names the fault, the class if it is about one, and the noisiest layers."""

    def judge(self, judgement: Judgement, *, strict: bool) -> Judgement:
        """The verdict on the photos as they are, and on the spoiled ones."""
        undecided = self._undecided()
        failures = [*judgement.failures, *self.failures, *([undecided] if strict else [])]
        return replace(
            judgement,
            verdict=Verdict.FAILED if self.failures else judgement.verdict,
            failures=tuple(filter(None, failures)),
            note="; ".join(filter(None, [judgement.note, undecided])),
        )

    def _undecided(self) -> str:
        few = [ruling.fault for ruling in self.figures.rulings if ruling.told is Told.TOO_FEW]
        if not few:
            return ""
        names = "any fault" if len(few) == len(self.figures.rulings) else ", ".join(few)
        return f"{Told.TOO_FEW} if int8 is as good as float under {names} of the camera"


def steps(models: Models) -> int:
    """How often `measure` calls `advance`."""
    return len(photos_spoiled(models.training))


def measure(
    models: Models,
    faults: Sequence[Fault],
    known: Scaled,
    gate: Gate,
    advance: Callable[[], None] = lambda: None,
) -> UnderFaults | None:
    """Measure both models under some faults; None if none of them can be rendered here.

    Args:
        models: and their photos.
        faults: from the catalogue.
        known: what the device calls unknown.
        gate: the limits.
        advance: called after each photo.
    """
    missing = {fault.title: why for fault in faults if (why := fault.missing())}
    able = [fault for fault in faults if fault.title not in missing]
    if not able:
        return None
    both = (models.exported.float_model, models.exported.int8_model)
    spoiled = answer(models.training, able, both, known, advance)
    rulings = rule(spoiled, gate)
    failures = tuple(line for each in rulings for line in _lines(models, each))
    return UnderFaults(figures_of(spoiled, rulings, missing), failures)


def figures_of(
    spoiled: Spoiled, rulings: Sequence[Ruling], missing: Mapping[str, str]
) -> FaultsFigures:
    """The record for `verification.json`; `missing`: by title, why a fault was not rendered."""
    return FaultsFigures(
        n=len(spoiled.truth),
        events=len(set(spoiled.events)),
        without=_without(spoiled),
        rows=tuple(_row(spoiled, case) for case in spoiled.int8),
        rulings=tuple(ruling.record() for ruling in rulings),
        missing=missing,
    )


def example(training: Training, figures: FaultsFigures | None) -> dict[str, Pixels]:
    """One test photo under each measured fault at medium strength, by the fault's name."""
    names = {row.fault for row in figures.rows} if figures else set()
    photo = one_class_after_another(photos_spoiled(training))[0]
    return {
        fault.name: spoiled_pixels(training, photo, (fault, Strength.MEDIUM))
        for fault in FAULTS
        if fault.name in names
    }


def _lines(models: Models, ruling: Ruling) -> list[str]:
    """The failures of one fault, with the layers that are noisiest under it."""
    if not ruling.failures:
        return []
    from convert.verify.layer_noise import describe, worst_first

    layers = describe(worst_first(_layers(models, ruling.case))[:LAYERS_NAMED])
    return [f"{line} (most noise there from {layers})" for line in ruling.failures]


def _layers(models: Models, case: Case) -> "list[LayerError]":
    from convert.verify.layer_noise import compare_layers

    training, exported = models.training, models.exported
    photos = one_class_after_another(photos_spoiled(training))[:LAYER_PHOTOS]
    pixels = (spoiled_pixels(training, photo, case) for photo in photos)
    return compare_layers(models.keras, exported.int8_model, exported.scales, pixels)


def _without(spoiled: Spoiled) -> WithoutFault:
    answers = spoiled.without
    right = answers.named == spoiled.truth
    share = share_by_event(right, spoiled.events)
    return WithoutFault(
        accuracy=share.value,
        interval=share.interval,
        unknown=float(answers.unknown.mean()),
        right_and_told=float((right & ~answers.unknown).mean()),
        wrong_and_told=float((~right & ~answers.unknown).mean()),
    )


def _row(spoiled: Spoiled, case: Case) -> FaultFigures:
    fault, strength = case
    float_right = spoiled.float32[case].named == spoiled.truth
    right, unknown = spoiled.int8[case].named == spoiled.truth, spoiled.int8[case].unknown
    float32, int8 = (share_by_event(hits, spoiled.events) for hits in (float_right, right))
    return FaultFigures(
        fault=fault.name,
        title=fault.title,
        strength=strength,
        amount=fault.shown(strength),
        float_accuracy=float32.value,
        float_interval=float32.interval,
        int8_accuracy=int8.value,
        int8_interval=int8.interval,
        loss_points=100 * (float32.value - int8.value),
        loss_interval_points=_interval(float_right.astype(np.int64) - right, spoiled),
        unknown=float(unknown.mean()),
        right_and_told=float((right & ~unknown).mean()),
        wrong_and_told=float((~right & ~unknown).mean()),
        per_class=tuple(_classes(spoiled, case)),
    )


def _interval(change: Labels, spoiled: Spoiled) -> tuple[float, float]:
    effective = paired_effective_n(change, spoiled.events)
    single = effective / len(change)
    lost, won = float((change > 0).sum()), float((change < 0).sum())
    return paired_interval_points(lost * single, won * single, effective)


def _classes(spoiled: Spoiled, case: Case) -> list[ClassUnderFault]:
    float32, int8 = spoiled.float32[case], spoiled.int8[case]
    rows = []
    for label, name in enumerate(spoiled.labels):
        of = spoiled.truth == label
        values = (float32.named == label, int8.named == label, int8.unknown)
        shares = [float(hits[of].mean()) if of.any() else None for hits in values]
        rows.append(ClassUnderFault(name, int(of.sum()), *shares))
    return rows
