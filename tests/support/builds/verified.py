"""Verifications of given answers, complete but for what needs a network and many pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convert.config import Gate
from convert.targets import edgetpu
from convert.verify.comparison import Outputs, compare_models
from convert.verify.confidence import measure_threshold, threshold_curve
from convert.verify.reliability import Reliability, without_temperature
from device.workstation.conversion import (
    Disagreement,
    EdgeTpuFigures,
    VerificationRecord,
)
from device.workstation.expected import NewPlaces, SamePlaces
from device.workstation.faults.figures import FaultsFigures
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.training import DataSet
from tests.support.builds.training_records import data_set_of

if TYPE_CHECKING:
    from convert.verify.evidence import Evidence
    from convert.verify.layer_noise import LayerError

CLUTTER = share_by_event(np.arange(200) < 146, range(200))
ON_EDGE_TPU = edgetpu.edge_tpu_figures(
    [edgetpu.Placement("CONV_2D", "map", "")], None, allowed=True
)


def evidence_of(
    outputs: Outputs,
    threshold: float,
    layers: Sequence[LayerError] = (),
    disagreements: Sequence[Disagreement] = (),
) -> Evidence:
    """What explains a verdict on these answers; of pictures of nothing, 146 of 200 are rejected."""
    from convert.verify.evidence import Evidence, Turned

    truth, events = outputs.truth, outputs.events
    float32, int8 = outputs.float32, outputs.int8
    return Evidence(
        threshold=measure_threshold(threshold, truth, int8, events),
        curve=threshold_curve(truth, int8),
        untempered=Reliability.of(truth, without_temperature(float32, 0.5), events),
        float32=Reliability.of(truth, float32, events),
        int8=Reliability.of(truth, int8, events),
        clutter=Turned(CLUTTER, 0.957),
        backgrounds=None,
        layers=list(layers),
        disagreements=tuple(disagreements),
    )


def record_of(
    labels: Sequence[str],
    outputs: Outputs,
    evidence: Evidence,
    edge_tpu: EdgeTpuFigures = ON_EDGE_TPU,
    models: Mapping[str, bytes] | None = None,
    data: DataSet | None = None,
    same_places: SamePlaces | None = None,
    new_places: NewPlaces | None = None,
    of_cut: ShareByEvent | None = None,
    faults: FaultsFigures | None = None,
) -> VerificationRecord:
    """`verification.json` for these answers."""
    from convert.verify.record import verification_record

    return verification_record(
        compare_models(labels, outputs, Gate()),
        evidence,
        edge_tpu,
        models or {},
        data=data or data_set_of(labels),
        allow_regression=False,
        commit="unknown",
        same_places=same_places,
        new_places=new_places,
        of_cut=of_cut,
        faults=faults,
    )
