"""What the manifest says of accuracy, and checks of its numbers."""

from dataclasses import dataclass
from typing import Any

_THRESHOLD_INTERVALS = ("coverage_interval", "precision_interval")


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


@dataclass(frozen=True)
class ScoreOffset:
    """How far the mean score of accepted answers is below their accuracy."""

    value: float = 0.0
    """A share, -1 to 1, that is added to a mean score; below 0 if scores promise too much."""
    error: float = 0.0
    """Its standard error, 0 to 1."""


TAKEN_AT_THEIR_WORD = ScoreOffset()


def score_offset_of(record: Any) -> ScoreOffset | None:
    """From the manifest's record of it; without one scores are taken at their word.

    Returns:
        None if the record is damaged.
    """
    if record is None:
        return TAKEN_AT_THEIR_WORD
    if not isinstance(record, dict) or not is_share(record.get("error")):
        return None
    value: Any = record.get("value")
    return ScoreOffset(float(value), float(record["error"])) if is_share(value, -1) else None


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


def is_threshold(record: Any) -> bool:
    """Whether it is a limit on distances, and its effect on `n` photos not used to choose it."""
    return (
        isinstance(record, dict)
        and set(record) == {"value", "n", "coverage", "precision", *_THRESHOLD_INTERVALS}
        and is_count(record["n"])
        and (record["value"] is None or is_share(record["value"]))
        and is_share(record["coverage"])
        and all(is_interval(record[name]) for name in _THRESHOLD_INTERVALS)
        and (record["precision"] is None or is_share(record["precision"]))
    )


def is_interval(value: Any) -> bool:
    """Whether it is None or two shares."""
    if value is None:
        return True
    return isinstance(value, list) and len(value) == 2 and all(map(is_share, value))


def is_share(value: Any, least: float = 0) -> bool:
    """Whether it is a number from `least` to 1."""
    # NaN compares false. A bool is an int, but not a share.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and least <= value <= 1


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
