"""The gate under faults: at medium strength int8 must be as good as float.

Float and int8 see the same spoiled photos. A fault that makes photos hard puts many of them close
to the border between two classes, and there both models toss coins: of 488 photos 20 may differ,
and chance alone moves the loss by a point. A rule for a dozen faults must know that, or it stops
every second good model. So a fault fails if the photos that only one model gets right are too
uneven for a true loss of what is allowed, by an exact test whose level is divided by the number of
faults, and of classes. A loss that may be chance or not is "not enough photos to tell".

All numbers are of as many single photos as would tell as much, as in `convert.verify.gate`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from convert.config import Gate
from convert.verify.faults.answers import Case, Spoiled
from convert.verify.gate import CHANCE, at_least
from convert.verify.statistics import (
    Labels,
    paired_effective_n,
    paired_interval_points,
    upper_bound,
)
from device.workstation.faults.catalogue import Strength
from device.workstation.faults.figures import FaultRuling, Told
from device.workstation.wording import photos_in_events

NORMAL_90 = 1.6448536269514722
"""Between plus and minus this lie 90% of a normal distribution: the bound of a one-sided 95%."""

Change = Labels
"""int64 (n,): 1 for photos that only float gets right, -1 for those that only int8 does, else 0."""


@dataclass(frozen=True)
class Ruling:
    """What the gate says of one fault."""

    case: Case
    told: Told
    loss_bound_points: float
    failures: tuple[str, ...]
    """Each names the fault, and the class if it is about one."""

    def record(self) -> FaultRuling:
        """The record for `verification.json`."""
        return FaultRuling(self.case[0].name, self.told, self.loss_bound_points)


@dataclass(frozen=True)
class _Pairs:
    """Photos on which two models differ, as numbers of single ones."""

    lost: float
    won: float
    n: float

    @classmethod
    def of(cls, change: Change, events: Sequence[str]) -> "_Pairs":
        """Of photos of events."""
        effective = paired_effective_n(change, events)
        single = effective / len(change)
        return cls((change > 0).sum() * single, (change < 0).sum() * single, effective)

    def exceeds(self, share: float, level: float) -> bool:
        """Whether chance does not explain the loss, if a share of all photos is truly lost."""
        apart = self.lost + self.won
        if self.lost - self.won <= share * self.n + 1e-9:
            return False
        # Of the photos on which they differ, so many would be lost.
        true = min(1.0, (1 + share * self.n / apart) / 2)
        return at_least(self.lost, apart, true) < level

    def bound_points(self) -> float:
        """The loss is below this, one-sided 95%; never below what no lost photo would prove."""
        paired = paired_interval_points(self.lost, self.won, self.n, NORMAL_90)[1]
        return max(paired, 100 * upper_bound(max(0.0, self.lost - self.won), self.n))


def rule(spoiled: Spoiled, gate: Gate) -> list[Ruling]:
    """Judge each fault at medium strength."""
    cases = [case for case in spoiled.int8 if case[1] is Strength.MEDIUM]
    return [_rule(spoiled, case, gate, len(cases)) for case in cases]


def _rule(spoiled: Spoiled, case: Case, gate: Gate, faults: int) -> Ruling:
    right, other = (
        answers[case].named == spoiled.truth for answers in (spoiled.float32, spoiled.int8)
    )
    change = right.astype(np.int64) - other
    pairs = _Pairs.of(change, spoiled.events)
    failures = [
        *_of_all(case, change, spoiled, pairs.exceeds(gate.max_loss_points / 100, CHANCE / faults)),
        *_of_classes(case, change, spoiled, gate, faults),
    ]
    bound = pairs.bound_points()
    too_few = bound > gate.loss_to_rule_out_points
    told = Told.WORSE if failures else Told.TOO_FEW if too_few else Told.SAME
    return Ruling(case, told, bound, tuple(failures))


def _of_all(case: Case, change: Change, spoiled: Spoiled, failed: bool) -> Iterator[str]:
    if failed:
        photos = photos_in_events(len(change), len(set(spoiled.events)))
        points = 100 * change.mean()
        yield f"under {case[0].title} int8 loses {points:.2f} points of top-1 on {photos}"


def _of_classes(
    case: Case, change: Change, spoiled: Spoiled, gate: Gate, faults: int
) -> Iterator[str]:
    share, level = gate.max_class_loss_points / 100, CHANCE / (faults * len(spoiled.labels))
    occasions = np.asarray(spoiled.events)
    for label, name in enumerate(spoiled.labels):
        members = spoiled.truth == label
        own, events = change[members], occasions[members].tolist()
        if len(own) and _Pairs.of(own, events).exceeds(share, level):
            photos = photos_in_events(len(own), len(set(events)))
            yield f'under {case[0].title} int8 loses {own.sum()} of the {photos} of class "{name}"'
