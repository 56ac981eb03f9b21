"""What the manifest says of accuracy, and checks of its numbers."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """A share with its 95% interval; all 0..1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the int8 model on photos that it has never seen; shares are 0..1."""

    value: float
    low: float
    """Lower end of its interval."""
    high: float
    photos: int
    """How many."""
    events: int
    """Occasions at which these were taken; as many as photos if none was taken with another."""
    same_places: Estimate | None
    """What to expect of other events like these, which is surer where these are few; None if these
    are enough, or that is not known."""
    new_places: Estimate | None
    """What to expect where no photo was taken; None if that is not known."""


def accuracy_of(record: Any) -> Accuracy | None:
    """The int8 model's accuracy, from the manifest's record of verification; None without one."""
    if not _is_measured(record):
        return None
    low, high = map(float, record["int8_accuracy_interval"])
    return Accuracy(
        float(record["int8_accuracy"]),
        low,
        high,
        record["n"],
        record["events"],
        _estimate(record, "same_places"),
        _estimate(record, "new_places"),
    )


def is_interval(value: Any) -> bool:
    """Whether it is None or two shares."""
    if value is None:
        return True
    return isinstance(value, list) and len(value) == 2 and all(map(is_share, value))


def is_share(value: Any) -> bool:
    """Whether it is a number from 0 to 1."""
    # NaN compares false. A bool is an int, but not a share.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value <= 1


def is_count(value: Any, least: int = 1) -> bool:
    """Whether it is a whole number of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_measured(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and is_share(record.get("int8_accuracy"))
        and record.get("int8_accuracy_interval") is not None
        and is_interval(record["int8_accuracy_interval"])
        and is_count(record.get("n"))
        and is_count(record.get("events"))
    )


def _estimate(record: dict[str, Any], name: str) -> Estimate | None:
    value: Any = record.get(f"{name}_accuracy")
    interval: Any = record.get(f"{name}_interval")
    if not is_share(value) or interval is None or not is_interval(interval):
        return None
    return Estimate(float(value), *map(float, interval))
