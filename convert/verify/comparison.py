"""Compares Keras, float TFLite and int8 TFLite on held-out photos.

The three models classify every photo of the validation and the test part, the two TFLite models by
the code that runs on the device. All figures are for the test part; the gate uses both parts. The
verdict and the figures go into `verification.json`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from convert.config import Gate
from convert.verify.gate import Judgement, apply_gate, class_losses
from convert.verify.statistics import (
    Comparison,
    Labels,
    Probabilities,
    compare,
    recall_by_class,
)
from device.contract.statistics import Doubles, Floats
from device.workstation.conversion import ClassRecall
from device.workstation.shares import ShareByEvent, share_by_event
from device.workstation.wording import counted, paired_test


@dataclass(frozen=True)
class Outputs:
    """The outputs of the three models for one part of the photos."""

    truth: Labels
    keras: Probabilities
    float32: Probabilities
    int8: Probabilities
    saturated_map_share: float
    """Share of int8 class-map values at the end of their range: clipped, or exactly there."""
    events: tuple[str, ...]
    """The event of each photo."""
    measured: Doubles = field(default_factory=lambda: np.empty((0, 2)))
    """float64 (n, 2): how strange int8 finds each photo (`FeatureStatistics.measured`); empty where
    nobody asks."""
    features: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """float32 (n, features) of int8; empty where nobody asks."""

    def followed_by(self, other: "Outputs") -> "Outputs":
        """Both parts as one."""
        n, more = len(self.truth), len(other.truth)
        weighted = n * self.saturated_map_share + more * other.saturated_map_share
        return Outputs(
            np.concatenate([self.truth, other.truth]),
            np.concatenate([self.keras, other.keras]),
            np.concatenate([self.float32, other.float32]),
            np.concatenate([self.int8, other.int8]),
            weighted / (n + more),
            self.events + other.events,
            np.concatenate([self.measured, other.measured]),
            np.concatenate([self.features, other.features]),
        )

    def accuracy(self, probabilities: Probabilities) -> ShareByEvent:
        """The share of the photos that a model with these outputs names right."""
        return share_by_event(probabilities.argmax(axis=1) == self.truth, self.events)

    def int8_accuracy_of(self, rows: Sequence[int]) -> ShareByEvent | None:
        """The share of some photos that int8 names right; None of no photos."""
        if not rows:
            return None
        right = (self.int8.argmax(axis=1) == self.truth)[list(rows)]
        return share_by_event(right, [self.events[row] for row in rows])


@dataclass(frozen=True)
class Verification:
    """The verdict with its evidence."""

    labels: tuple[str, ...]
    keras: ShareByEvent
    float32: ShareByEvent
    int8: ShareByEvent
    export: Comparison
    """Keras against float TFLite."""
    quantization: Comparison
    """Float TFLite against int8 TFLite."""
    recall: tuple[ClassRecall, ...]
    saturated_map_share: float
    gate: Gate
    judgement: Judgement

    @property
    def ships(self) -> bool:
        """Whether the gate lets the model ship: no rule objects."""
        return not self.judgement.failures


def compare_models(
    labels: Sequence[str],
    outputs: Outputs,
    gate: Gate,
    validation: Outputs | None = None,
    occasion_only: Collection[str] = (),
) -> Verification:
    """Compare the three models and apply the gate to the result.

    Args:
        labels: the classes' names.
        outputs: outputs for the test part, which gives all figures.
        gate: the limits.
        validation: outputs for the validation part. Training used it to choose, quantization did
            not: the gate, which compares float with int8, uses both parts.
        occasion_only: classes that all parts know from the same one or two events.
    """
    export, quantization = _compared(outputs)
    return Verification(
        labels=tuple(labels),
        keras=outputs.accuracy(outputs.keras),
        float32=outputs.accuracy(outputs.float32),
        int8=outputs.accuracy(outputs.int8),
        export=export,
        quantization=quantization,
        recall=_recalls(labels, outputs),
        saturated_map_share=outputs.saturated_map_share,
        gate=gate,
        judgement=_judge(
            labels, outputs.followed_by(validation) if validation else outputs, gate, occasion_only
        ),
    )


def _compared(outputs: Outputs) -> tuple[Comparison, Comparison]:
    """Keras against float TFLite, and that against int8."""
    truth, events = outputs.truth, outputs.events
    return (
        compare(truth, outputs.keras, outputs.float32, events),
        compare(truth, outputs.float32, outputs.int8, events),
    )


def _recalls(labels: Sequence[str], outputs: Outputs) -> tuple[ClassRecall, ...]:
    float32, int8 = (
        recall_by_class(outputs.truth, probabilities, outputs.events)
        for probabilities in (outputs.float32, outputs.int8)
    )
    return tuple(
        ClassRecall(label, f.n, f.events, f.value, f.interval, q.value, q.interval)
        if f and q
        else ClassRecall(label, 0, 0, None, None, None, None)
        for label, f, q in zip(labels, float32, int8, strict=True)
    )


def _judge(
    labels: Sequence[str], outputs: Outputs, gate: Gate, occasion_only: Collection[str]
) -> Judgement:
    named, other = outputs.float32.argmax(axis=1), outputs.int8.argmax(axis=1)
    losses = class_losses(labels, outputs.truth, named, other, outputs.events)
    return apply_gate(*_compared(outputs), losses, gate, occasion_only)


def table(verification: Verification) -> str:
    """The verdict as a readable table."""
    v, q = verification, verification.quantization
    low, high = q.loss_interval_points
    photos = counted(v.int8.n, v.int8.events)
    lines = [f"{'':14}{'top-1':>8}   95% interval       n = {photos}"]
    for name, share in (("Keras", v.keras), ("float TFLite", v.float32), ("int8 TFLite", v.int8)):
        lines.append(f"{name:14}{share.value:8.2%}   {share.low:.2%} to {share.high:.2%}")
    lines += [
        "",
        f"int8 loses {q.loss_points:+.2f} points (95% {low:+.2f} to {high:+.2f}), "
        f"{paired_test(v.int8.n, v.int8.events)} p = {q.mcnemar_p:.3f} "
        f"({q.only_reference_right} photos only float gets right, {q.only_other_right} only int8)",
        f"agreement {q.agreement.value:.2%} (95% {q.agreement.low:.2%} to {q.agreement.high:.2%}), "
        f"divergence mean {q.mean_divergence:.4f}, max {q.max_divergence:.3f} bits, "
        f"largest change of a probability {q.max_difference:.3f}",
        f"Keras and float TFLite agree on {v.export.agreement.value:.2%}, probabilities within "
        f"{v.export.max_difference:.1e}; {v.saturated_map_share:.2%} of int8 map values at the "
        "end of their range",
        "",
        *_recall_lines(v),
    ]
    judgement = v.judgement
    objections = [] if judgement.verdict.undecided else judgement.failures
    verdict = ": ".join([judgement.verdict.upper(), *filter(None, ["; ".join(objections)])])
    return "\n".join([*lines, "", f"gate {verdict}", f"({judgement.note})"])


def _recall_lines(v: Verification) -> Iterator[str]:
    """The classes; events have a column if there are events of several photos."""
    shown = v.int8.events < v.int8.n
    column = f"{'events':>8}" if shown else ""
    yield f"{'class':24}{'n':>5}{column}{'float':>9}{'int8':>9}{'change':>9}"
    for row in v.recall:
        column = f"{row.events:8}" if shown else ""
        yield f"{row.label[:23]:24}{row.n:5}{column}{_recall_columns(row)}"


def _recall_columns(row: ClassRecall) -> str:
    if row.float is None or row.int8 is None:
        return f"{'-':>9}{'-':>9}{'-':>9}"
    return f"{row.float:9.2%}{row.int8:9.2%}{100 * (row.int8 - row.float):+9.2f}"
