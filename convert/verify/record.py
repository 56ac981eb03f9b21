"""Makes the record `verification.json` from a verdict and its evidence."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict

from convert.verify.comparison import Verification
from convert.verify.evidence import Evidence
from device.contract.statistics import FeatureStatistics
from device.workstation.conversion import (
    EdgeTpuFigures,
    Interval,
    Verdict,
    VerificationRecord,
)
from device.workstation.expected import NewPlaces, SamePlaces
from device.workstation.faults.figures import FaultsFigures
from device.workstation.shares import ShareByEvent
from device.workstation.training import DataSet
from device.workstation.unknown.known import (
    UsualFigures,
)


def verification_record(
    verification: Verification,
    evidence: Evidence,
    edge_tpu: EdgeTpuFigures,
    models: Mapping[str, bytes],
    *,
    data: DataSet,
    allow_regression: bool,
    commit: str,
    same_places: SamePlaces | None = None,
    new_places: NewPlaces | None = None,
    of_cut: ShareByEvent | None = None,
    faults: FaultsFigures | None = None,
) -> VerificationRecord:
    """The record for `verification.json`.

    Args:
        verification: the verdict.
        evidence: the findings that explain it, and the threshold.
        edge_tpu: the Edge TPU's part.
        models: the models that were compared, by file name.
        data: the photos.
        allow_regression: whether the int8 model ships even if the gate fails.
        commit: the commit of this project that did the verification.
        same_places: what training expects of the float network on other events.
        new_places: what training expects of the float network at new places.
        of_cut: int8's accuracy on the test photos that are cut; None if none is.
        faults: both models under faults of the camera; None if that was left out.
    """
    v, judgement, quantization = verification, verification.judgement, verification.quantization
    at_same_places, at_new_places = (
        _of_int8(expected, quantization.loss_points / 100) for expected in (same_places, new_places)
    )
    without = same_places.without if same_places else ()
    return VerificationRecord(
        verdict=judgement.verdict,
        gate_n=judgement.n,
        gate_events=judgement.events,
        loss_bound_points=judgement.loss_bound_points,
        detectable_loss_points=judgement.detectable_loss_points,
        gate_note=judgement.note,
        passed=judgement.verdict is Verdict.PASSED,
        failures=judgement.failures,
        allow_regression=allow_regression,
        data=data.description,
        n=v.int8.n,
        events=v.int8.events,
        region=data.region,
        cut=of_cut.n if of_cut else 0,
        cut_accuracy=of_cut.value if of_cut else None,
        cut_accuracy_interval=of_cut.interval if of_cut else None,
        keras_accuracy=v.keras.value,
        keras_accuracy_interval=v.keras.interval,
        float_accuracy=v.float32.value,
        float_accuracy_interval=v.float32.interval,
        int8_accuracy=v.int8.value,
        int8_accuracy_interval=v.int8.interval,
        same_places_accuracy=at_same_places[0],
        same_places_interval=at_same_places[1],
        same_places_n=data.photos(without) if same_places else 0,
        same_places_events=same_places.events if same_places else 0,
        same_places_without=without,
        new_places_accuracy=at_new_places[0],
        new_places_interval=at_new_places[1],
        loss_points=quantization.loss_points,
        loss_interval_points=quantization.loss_interval_points,
        agreement=quantization.agreement.value,
        agreement_interval=quantization.agreement.interval,
        mcnemar_p=quantization.mcnemar_p,
        only_float_right=quantization.only_reference_right,
        only_int8_right=quantization.only_other_right,
        mean_divergence_bits=quantization.mean_divergence,
        max_divergence_bits=quantization.max_divergence,
        max_probability_difference=quantization.max_difference,
        export_agreement=v.export.agreement.value,
        export_max_probability_difference=v.export.max_difference,
        saturated_map_share=v.saturated_map_share,
        per_class=v.recall,
        gate=asdict(v.gate),
        model_sha256={
            name: hashlib.sha256(model).hexdigest() for name, model in sorted(models.items())
        },
        edge_tpu=edge_tpu,
        faults=faults.claim() if faults else None,
        strangers=evidence.own.claim() if evidence.own else None,
        commit=commit,
        threshold=evidence.threshold.threshold_figures(),
        usual=usual_figures(evidence.statistics),
        score_offset=evidence.score_offset,
        evidence=evidence.evidence_figures(),
        under_faults=faults,
    )


def usual_figures(statistics: FeatureStatistics) -> UsualFigures:
    """What is usual for known photos, as the record has it."""
    doubt, outside = ((float(middle), float(spread)) for middle, spread in statistics.usual)
    classes = tuple((float(middle), float(limit)) for middle, limit in statistics.classes)
    return UsualFigures(doubt, outside, classes)


def _of_int8(
    expected: SamePlaces | NewPlaces | None, loss: float
) -> tuple[float, Interval] | tuple[None, None]:
    """What to expect of int8, if it loses as much as it does on the test part."""
    if expected is None:
        return None, None
    value, low, high = (
        min(max(share - loss, 0.0), 1.0) for share in (expected.accuracy, *expected.interval)
    )
    return value, (low, high)
