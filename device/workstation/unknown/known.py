"""What becomes of known photos."""

from dataclasses import dataclass

Interval = tuple[float, float]
"""95%."""


@dataclass(frozen=True)
class ThresholdFigures:
    """The distance beyond which a picture shows nothing known, and its effect on the test part."""

    value: float | None
    """None: there were too few photos to choose it."""
    n: int
    coverage: float
    """Share of the photos within it."""
    coverage_interval: Interval
    precision: float | None
    """The share of these that is named right; None if no photo is within it."""
    precision_interval: Interval | None


@dataclass(frozen=True)
class ScoreOffsetFigures:
    """How far the mean score of accepted validation photos is below their accuracy."""

    value: float
    """A share, below 0 if it is above; less of it the more of it may be chance."""
    error: float
    """Standard error, of which events are the unit."""
    measured: float
    """What `value` was before."""
    n: int
    """Accepted photos ..."""
    events: int
    """... and their events."""


@dataclass(frozen=True)
class UsualFigures:
    """What is usual for known photos, from which distances are made (`FeatureStatistics`)."""

    doubt: tuple[float, float]
    """Middle and one step of minus the highest logit: its spread."""
    outside: tuple[float, float]
    """The same of the features' share beside all known directions: 0.6 of its spread."""
    classes: tuple[tuple[float, float], ...]
    """Of the strangeness of photos that get each label, the middle and the limit."""


@dataclass(frozen=True)
class ClassKept:
    """How many test photos of a class get a label; None if the class has no photos."""

    label: str
    n: int
    kept: float | None
    interval: Interval | None
