"""What verification records of a model under faults of cameras."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from device.workstation.faults.catalogue import Strength, title
from device.workstation.wording import number

Interval = tuple[float, float]
"""95%."""
Real = float
"""The type float, for classes below with a field of that name."""


class Told(StrEnum):
    """What the photos tell of int8 under a fault, compared with float."""

    SAME = "as good as float"
    WORSE = "worse than float"
    TOO_FEW = "not enough photos to tell"


@dataclass(frozen=True)
class ClassUnderFault:
    """One class under a fault; shares of its photos, None if it has none."""

    label: str
    n: int
    float: Real | None
    int8: Real | None
    unknown: Real | None
    """Of int8's answers."""


@dataclass(frozen=True)
class FaultFigures:
    """Both models under one fault at one strength."""

    fault: str
    title: str
    strength: Strength
    amount: str
    float_accuracy: float
    float_interval: Interval
    int8_accuracy: float
    """Right, whether or not it is called unknown."""
    int8_interval: Interval
    loss_points: float
    """Float's accuracy minus that of int8 under this fault, percentage points."""
    loss_interval_points: Interval
    unknown: float
    """Share of all photos that int8 calls unknown."""
    right_and_told: float
    """Share that is named right and not called unknown."""
    wrong_and_told: float
    """Share that is named wrong and not called unknown."""
    per_class: tuple[ClassUnderFault, ...]


@dataclass(frozen=True)
class WithoutFault:
    """int8 on the same photos as they are."""

    accuracy: float
    interval: Interval
    unknown: float
    right_and_told: float
    wrong_and_told: float


@dataclass(frozen=True)
class FaultRuling:
    """What the gate says of one fault at medium strength."""

    fault: str
    told: Told
    loss_bound_points: float
    """The loss of int8 is below this, one-sided 95%."""


@dataclass(frozen=True)
class FaultsFigures:
    """`faults` in `verification.json`."""

    n: int
    """Photos of the test part that were spoiled."""
    events: int
    without: WithoutFault
    rows: tuple[FaultFigures, ...]
    """By fault in the order of the catalogue, then by strength."""
    rulings: tuple[FaultRuling, ...]
    missing: Mapping[str, str]
    """By title, why a fault could not be rendered."""

    def at(self, strength: Strength) -> tuple[FaultFigures, ...]:
        """The rows of one strength, the lowest accuracy of int8 first."""
        rows = [row for row in self.rows if row.strength == strength]
        return tuple(sorted(rows, key=lambda row: row.int8_accuracy))

    @property
    def mean_accuracy(self) -> float:
        """Of int8, the mean over the faults at medium strength."""
        rows = self.at(Strength.MEDIUM)
        return sum(row.int8_accuracy for row in rows) / len(rows)

    def claim(self) -> "FaultsClaim":
        """What of it the manifest says."""
        worst = self.at(Strength.MEDIUM)[0]
        return FaultsClaim(
            n=self.n,
            measured=tuple(ruling.fault for ruling in self.rulings),
            missing=tuple(self.missing),
            mean_accuracy=self.mean_accuracy,
            worst=worst.fault,
            worst_accuracy=worst.int8_accuracy,
            worst_wrong_and_told=max(row.wrong_and_told for row in self.at(Strength.MEDIUM)),
            most_lost_points=max(row.loss_points for row in self.at(Strength.MEDIUM)),
            undecided=tuple(each.fault for each in self.rulings if each.told is Told.TOO_FEW),
        )


@dataclass(frozen=True)
class FaultsClaim:
    """What a bundle's manifest claims about faults; all of int8 at medium strength."""

    n: int
    measured: tuple[str, ...]
    """Names of the faults."""
    missing: tuple[str, ...]
    """Titles of those that could not be rendered."""
    mean_accuracy: float
    """Over the faults."""
    worst: str
    """The fault with the lowest accuracy."""
    worst_accuracy: float
    worst_wrong_and_told: float
    """The largest share of photos that is named wrong and not called unknown, under any fault."""
    most_lost_points: float
    """The largest loss compared with float, under any fault."""
    undecided: tuple[str, ...]
    """Faults for which the photos are too few to tell whether int8 is as good as float."""


def faults_line(claim: FaultsClaim | None) -> str:
    """How good int8 is under faults of the camera, and under the worst one."""
    if claim is None:
        return "faults of the camera were left out (FAULTS=none)"
    return (
        f"under {number(len(claim.measured), 'fault')} of the camera int8 is right for "
        f"{claim.mean_accuracy:.1%} on average; worst is {title(claim.worst)} with "
        f"{claim.worst_accuracy:.1%} (medium strength, n = {claim.n:,})"
    )
