"""What is told of drift: alarms with their cures, the estimated accuracy, the last days."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device.contract.accuracy import ScoreOffset
from device.drift.sample import Family

CURES = {
    Family.CAMERA: "look at the camera: clean the lens, set focus and light, turn it back",
    Family.WORLD: "label what output.collect saves (*-world.jpg first), and train again with it",
    Family.CONFIDENCE: "train again with photos of this camera",
    Family.PLACE: "collect and label photos from here (output.collect), and train again with them",
}
SAYS = {
    **{family: f"{family} has changed" for family in Family},
    Family.PLACE: "this place is not what it was trained for",
}
"""What an alarm says, before its reason."""
ACCURACY_DAYS = 7
"""The accuracy is estimated over so many of the last days."""
FEWEST_DAYS = 3
"""With fewer days there is no interval, and so no estimate."""
FEWEST_ACCEPTED = 20
T_975 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45)
"""97.5% points of Student's t with 1 to 6 degrees of freedom."""
Z_975 = 1.96
"""That of the normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """The accuracy of accepted answers by their calibrated scores; shares, 0 to 1."""

    mean: float
    low: float
    high: float
    """An interval of 95% from how days differ, and from how well the offset of scores is known."""
    days: int


@dataclass(frozen=True)
class FamilyStatus:
    """What is known of one family."""

    level: float = 0.0
    """The sum as a share of its limit: above 1 there is an alarm."""
    alarm: bool = False
    since: str = ""
    """Day on which the alarm began (UTC); empty without one, or if the clock was not set."""
    why: str = ""
    """What has changed, in words; empty without an alarm."""
    cure: str = ""
    """What to do about it; likewise."""


@dataclass(frozen=True)
class DayStatus:
    """One day that was judged."""

    date: str
    levels: tuple[float, ...]
    """Of each family, as in `FamilyStatus`."""
    moments: int
    answers: int
    accepted: int
    score_sum: float


@dataclass(frozen=True)
class DriftStatus:
    """All that is known; a snapshot."""

    learned_days: int = 0
    """Days of the reference so far."""
    wanted_days: int = 7
    families: Mapping[Family, FamilyStatus] = field(default_factory=dict)
    accuracy: Estimate | None = None
    """None while there is too little."""
    days: tuple[DayStatus, ...] = ()
    """The last ones, the oldest first."""
    mix: str = ""
    """How the shares of classes have changed, for information; empty if they have not."""

    @property
    def alarms(self) -> tuple[Family, ...]:
        """The families with an alarm."""
        return tuple(family for family, status in self.families.items() if status.alarm)

    @property
    def is_accuracy_valid(self) -> bool:
        """Whether scores mean what they say: not while camera, world or place are others."""
        return not {Family.CAMERA, Family.WORLD, Family.PLACE} & set(self.alarms)

    def record(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "learned_days": self.learned_days,
            "wanted_days": self.wanted_days,
            "families": {
                family.value: {
                    "level": round(status.level, 3),
                    "alarm": status.alarm,
                    "since": status.since,
                    "why": status.why,
                    "cure": status.cure,
                }
                for family, status in self.families.items()
            },
            "accuracy": self._accuracy(),
            "days": [
                {
                    "date": day.date,
                    "levels": [round(level, 3) for level in day.levels],
                    "moments": day.moments,
                    "answers": day.answers,
                    "accepted": day.accepted,
                }
                for day in self.days
            ],
            "mix": self.mix,
        }

    def _accuracy(self) -> dict[str, Any] | None:
        if self.accuracy is None:
            return None
        found = self.accuracy
        shares = {"mean": found.mean, "low": found.low, "high": found.high}
        rounded = {name: round(share, 4) for name, share in shares.items()}
        return {**rounded, "days": found.days, "valid": self.is_accuracy_valid}


def estimate(days: Sequence[DayStatus], offset: ScoreOffset) -> Estimate | None:
    """The mean score of what was accepted on the last days and the offset, with an interval.

    Days are the unit: answers of one day resemble one another. A day with more answers weighs more.

    Args:
        days: the oldest first.
        offset: of the bundle's scores.
    """
    last = [day for day in days[-ACCURACY_DAYS:] if day.accepted]
    number, accepted = len(last), sum(day.accepted for day in last)
    if number < FEWEST_DAYS or accepted < FEWEST_ACCEPTED:
        return None
    mean = sum(day.score_sum for day in last) / accepted
    squares = sum((day.score_sum - mean * day.accepted) ** 2 for day in last)
    error = math.sqrt(squares * number / (number - 1)) / accepted
    half = math.hypot(T_975[number - 2] * error, Z_975 * offset.error)
    mean += offset.value
    low, middle, high = (min(max(one, 0.0), 1.0) for one in (mean - half, mean, mean + half))
    return Estimate(middle, low, high, number)
