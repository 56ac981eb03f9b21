"""Verifications of given answers, complete but for what needs a network and many pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convert.config import Gate
from convert.targets import edgetpu
from convert.verify.comparison import Outputs, compare_models
from convert.verify.confidence import measure_threshold, score_offset, threshold_curve
from convert.verify.reliability import Reliability, without_temperature
from device.contract.statistics import LIMIT, FeatureStatistics
from device.workstation.conversion import (
    Disagreement,
    EdgeTpuFigures,
    VerificationRecord,
)
from device.workstation.expected import NewPlaces, SamePlaces
from device.workstation.faults.figures import FaultsFigures
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.training import DataSet
from device.workstation.unknown.known import (
    ClassKept,
)
from device.workstation.unknown.strangers import NamedStranger, OwnFigures
from tests.support.builds.training_records import data_set_of
from tests.support.device.known import STATISTICS

if TYPE_CHECKING:
    from convert.verify.evidence import Evidence
    from convert.verify.layer_noise import LayerError

CLUTTER = share_by_event(np.arange(200) < 146, range(200))
ON_EDGE_TPU = edgetpu.edge_tpu_figures(
    [edgetpu.Placement("CONV_2D", "map", "")], None, allowed=True
)


def evidence_of(
    outputs: Outputs,
    threshold: float | None,
    layers: Sequence[LayerError] = (),
    disagreements: Sequence[Disagreement] = (),
    statistics: FeatureStatistics | None = None,
    own: OwnFigures | None = None,
) -> Evidence:
    """What explains a verdict on these answers; of pictures of nothing, 146 of 200 are rejected.

    Photos with a score below `threshold` are too strange; with None, or 0, none is.
    """
    from convert.verify.confidence import Area
    from convert.verify.evidence import Evidence
    from convert.verify.strangers import Turned

    truth, events = outputs.truth, outputs.events
    float32, int8 = outputs.float32, outputs.int8
    limit = LIMIT if threshold else None
    distance = (1 - int8.max(axis=1)) / (1 - (threshold or 0.0))
    right, near = int8.argmax(axis=1) == truth, distance <= (limit or np.inf)
    return Evidence(
        statistics=statistics or STATISTICS,
        threshold=measure_threshold(limit, truth, int8, distance, events),
        score_offset=score_offset(right[near], int8.max(axis=1)[near], np.asarray(events)[near]),
        curve=threshold_curve(truth, int8, distance),
        kept=(ClassKept("red", 20, 0.95, (0.75, 0.99)),),
        untempered=Reliability.of(truth, without_temperature(float32, 0.5), events),
        float32=Reliability.of(truth, float32, events),
        int8=Reliability.of(truth, int8, events),
        clutter=Turned(CLUTTER, Area(0.957, 0.94, 0.97), 0.55, Area(0.912, 0.89, 0.93)),
        named=(NamedStranger("7", "red", 0.91, 0.25),),
        backgrounds=None,
        own=own,
        left_out=(),
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
