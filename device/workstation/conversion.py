"""The files of `build/convert`: what export and verification write, for the bundle and tables.

The int8 model and the one for the Edge TPU are named as in the bundle. The folder of the network
for microcontrollers, `build/micro/convert`, holds the same files.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from device.contract import bundle
from device.contract.look.rules import Region
from device.errors import BundleError
from device.workstation.faults.figures import FaultsClaim, FaultsFigures
from device.workstation.records import Record, checked
from device.workstation.unknown.known import (
    ClassKept,
    ScoreOffsetFigures,
    ThresholdFigures,
    UsualFigures,
)
from device.workstation.unknown.strangers import (
    LeftOutClass,
    NamedStranger,
    OwnClaim,
    OwnFigures,
    TurnedFigures,
)
from device.workstation.wording import at_the_same_places, number, rather_than

INT8_MODEL = bundle.MODEL
EDGETPU_MODEL = bundle.EDGETPU_MODEL
FLOAT_MODEL = "model_float32.tflite"
EQUALIZATION = "equalization.npz"
STATISTICS = bundle.STATISTICS
CALIBRATION = "calibration.json"
VERIFICATION = "verification.json"

Interval = tuple[float, float]
"""95%."""
T = TypeVar("T")
Real = float
"""The type float, for classes below with a field of that name."""


# --- export ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CalibrationPhoto:
    """A photo that was used to measure the ranges of activations."""

    path: str
    """Relative to the data folder."""
    sha256: str


@dataclass(frozen=True)
class ExportRecord(Record):
    """`calibration.json`: what the models were made from, and which files belong together."""

    SCHEMA: ClassVar[int] = 1
    MADE_BY: ClassVar[str] = "make convert"

    commit: str
    """Of this project, that quantized."""
    seed: int
    photos: tuple[CalibrationPhoto, ...]
    files: Mapping[str, str]
    """SHA-256 by file name."""


# --- verification: accuracy and the gate ----------------------------------------------------------


class Verdict(StrEnum):
    """The result of the gate."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_ENOUGH = "not enough photos to tell"
    NOT_ENOUGH_EVENTS = "not enough events to tell"
    """The photos would be enough if each was of an event of its own."""

    @property
    def undecided(self) -> bool:
        """Whether the photos neither speak against the model nor prove it."""
        return self in (Verdict.NOT_ENOUGH, Verdict.NOT_ENOUGH_EVENTS)


@dataclass(frozen=True)
class ClassRecall:
    """The share of one class's photos that each model recognises; None if it has no photos."""

    label: str
    n: int
    events: int
    """Occasions at which its photos were taken."""
    float: Real | None
    float_interval: Interval | None
    int8: Real | None
    int8_interval: Interval | None


# --- verification: the Edge TPU -------------------------------------------------------------------


@dataclass(frozen=True)
class OperatorKind:
    """How many operators of one kind the model has, and how many an Edge TPU may run."""

    operator: str
    count: int
    mapped: int


@dataclass(frozen=True)
class CpuOperator:
    """An operator that runs on the CPU by the published rules."""

    operator: str
    output: str
    """Name of its first output tensor."""
    reason: str


@dataclass(frozen=True)
class CompiledOperators:
    """A row of the compiler's log."""

    operator: str
    count: int
    status: str


@dataclass(frozen=True)
class CompilerFigures:
    """The result of `edgetpu_compiler`."""

    version: str
    failure: str
    """Why it made no model; empty if it made one."""
    operators: tuple[CompiledOperators, ...]


@dataclass(frozen=True)
class EdgeTpuFigures:
    """Which operators an Edge TPU would run."""

    failures: tuple[str, ...]
    """The operators that would run on the CPU."""
    summary: str
    cpu_operators_allowed: bool
    operators: int
    static_kinds: tuple[OperatorKind, ...]
    static_cpu_operators: tuple[CpuOperator, ...]
    compiler: CompilerFigures | None
    """None where it is not installed."""


# --- verification: evidence -----------------------------------------------------------------------


@dataclass(frozen=True)
class ReliabilityFigures:
    """How well one model's scores match its share of right answers; all from 0 to 1."""

    expected_calibration_error: float
    """The estimate of the true error."""
    interval: Interval
    measured_calibration_error: float
    """The error over the bins; with few photos it comes out too large."""
    bins: tuple[tuple[int, float, float], ...]
    """Photos, mean score, share named right."""


@dataclass(frozen=True)
class CalibrationErrors:
    """The models' reliability."""

    untempered: ReliabilityFigures
    """Of the float model without the temperature that training folded into it."""
    float: ReliabilityFigures
    int8: ReliabilityFigures


@dataclass(frozen=True)
class LayerFigures:
    """How far one int8 tensor is from float."""

    layer: str
    sqnr_db: float | None
    """Signal to quantization noise up to this layer; None if exact."""
    local_sqnr_db: float | None
    """The layer's own part; None if exact."""
    cosine: float
    saturated: float
    """Share of values at an end of their range."""
    clipped: float
    """Share of values at an end because the exact value is outside the range."""


@dataclass(frozen=True)
class Disagreement:
    """A test photo to which float and int8 give different names."""

    path: str
    label: str
    float: str
    float_score: Real
    int8: str
    int8_score: Real


@dataclass(frozen=True)
class EvidenceFigures:
    """The figures that explain a verdict."""

    calibration: CalibrationErrors
    threshold_curve: tuple[tuple[float, float, float | None], ...]
    """Limit on distances, coverage and precision (None where no photo is left)."""
    kept: tuple[ClassKept, ...]
    """By class, how many test photos are not called unknown."""
    clutter: TurnedFigures
    """Rendered pictures of nothing."""
    named: tuple[NamedStranger, ...]
    """Those that get a label, the least strange first."""
    backgrounds: TurnedFigures | None
    """The same for boxes of background, which a device may cut by mistake; None if the test part
    has no photos that are cut, or none with room beside their subject."""
    own: OwnFigures | None
    """The same for the user's own pictures; None without any that judge."""
    left_out: tuple[LeftOutClass, ...]
    """Classes in turn as the stranger to the others; the ones with the most photos if many."""
    layers: tuple[LayerFigures, ...]
    """In network order."""
    disagreements: tuple[Disagreement, ...]


# --- the records ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claims:
    """What a bundle's manifest claims about its verification: the verdict and its figures."""

    verdict: Verdict
    gate_n: int
    """Photos that the verdict rests on: the validation and the test part."""
    gate_events: int
    """Events that these are of."""
    loss_bound_points: float
    """The loss by int8 is below this, with one-sided confidence of 95%."""
    detectable_loss_points: float
    """A model that truly loses this much passes at most one time in twenty."""
    gate_note: str
    passed: bool
    failures: tuple[str, ...]
    """The reasons not to ship."""
    allow_regression: bool
    """Whether it ships in spite of failures."""
    data: str
    """One line on the photos."""
    n: int
    """Photos of the test part; the figures below are about these."""
    events: int
    """Events that these are of; n if each is of its own. All intervals are by event."""
    region: Region
    """What of a picture the models were shown."""
    cut: int
    """Of the n, those that were cut to where something is; the others were shown whole."""
    cut_accuracy: float | None
    """Of int8 on those alone; None without any."""
    cut_accuracy_interval: Interval | None
    keras_accuracy: float
    keras_accuracy_interval: Interval
    float_accuracy: float
    float_accuracy_interval: Interval
    int8_accuracy: float
    int8_accuracy_interval: Interval
    same_places_accuracy: float | None
    """What to expect of int8 on other events like these, from whole events of all parts held out in
    turn; None where the n photos are of many events, or all events are too few."""
    same_places_interval: Interval | None
    same_places_n: int
    """Photos of these events; 0 without the figure."""
    same_places_events: int
    same_places_without: tuple[str, ...]
    """Classes that the figure is not about, because they have a single event."""
    new_places_accuracy: float | None
    """What to expect of int8 at places that it has no photos of; None if the photos are of too few
    places to tell."""
    new_places_interval: Interval | None
    loss_points: float
    loss_interval_points: Interval
    agreement: float
    agreement_interval: Interval
    mcnemar_p: float
    """Could the difference be chance? Exact, two-sided; by event if photos are in events."""
    only_float_right: int
    only_int8_right: int
    mean_divergence_bits: float
    max_divergence_bits: float
    max_probability_difference: float
    export_agreement: float
    export_max_probability_difference: float
    saturated_map_share: float
    per_class: tuple[ClassRecall, ...]
    gate: Mapping[str, bool | int | float]
    """The limits by name; `convert.config.Gate` says what each means."""
    model_sha256: Mapping[str, str]
    """By file name."""
    edge_tpu: EdgeTpuFigures
    faults: FaultsClaim | None
    """Under faults of the camera; None if that was left out (`FAULTS=none`)."""
    strangers: OwnClaim | None
    """Of the user's own pictures that show none of the classes; None without any that judge."""
    commit: str
    """Of this project, that verified."""

    @property
    def held_out(self) -> str:
        """What to expect on other events, and when to rely on it; empty without an estimate."""
        if self.same_places_accuracy is None or self.same_places_interval is None:
            return ""
        said = at_the_same_places(
            self.same_places_accuracy,
            self.same_places_interval,
            self.same_places_n,
            self.same_places_events,
            self.same_places_without,
        )
        return f"{said}; {rather_than(self.n, self.events)}"

    @property
    def shown(self) -> str:
        """What of the test photos the models were shown; empty if they are for whole pictures."""
        if self.region is Region.WHOLE:
            return ""
        photos, rest = number(self.n, "test photo"), f"the other {self.n - self.cut:,} whole"
        said = f"{self.cut:,} of {photos} cut to what differs from their place"
        if self.cut == self.n:
            return said
        if self.cut_accuracy is None or self.cut_accuracy_interval is None:
            return f"{said}, {rest}"
        low, high = self.cut_accuracy_interval
        right = f"{self.cut_accuracy:.1%} (95% {low:.1%} to {high:.1%})"
        return f"{said} (int8 top-1 of these {right}), {rest}"


@dataclass(frozen=True)
class VerificationRecord(Claims, Record):
    """`verification.json`: the claims with the evidence for them."""

    SCHEMA: ClassVar[int] = 8
    MADE_BY: ClassVar[str] = "make verify"

    threshold: ThresholdFigures
    usual: UsualFigures
    score_offset: ScoreOffsetFigures | None
    """None if too few validation photos are accepted."""
    evidence: EvidenceFigures
    under_faults: FaultsFigures | None
    """All figures behind `faults`."""

    def claims(self) -> dict[str, Any]:
        """The manifest's `verification`; the threshold has its own place there."""
        whole = asdict(self)
        return {field.name: whole[field.name] for field in fields(Claims)}


def claims_of(manifest: Mapping[str, Any]) -> Claims:
    """What a bundle's manifest claims.

    Raises:
        BundleError: if it was packed by another version.
    """
    return _part(Claims, manifest, "verification")


def threshold_of(manifest: Mapping[str, Any]) -> ThresholdFigures:
    """The threshold that a bundle's manifest holds, with its figures; raises as `claims_of`."""
    return _part(ThresholdFigures, manifest, "threshold")


def _part(cls: type[T], manifest: Mapping[str, Any], name: str) -> T:
    try:
        return checked(cls, manifest.get(name))
    except ValueError as error:
        raise BundleError(
            f"{bundle.MANIFEST}: its {name} is of another version ({error}); run `make bundle` "
            "again"
        ) from error
