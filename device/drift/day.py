"""One day of moments as histograms, of pictures by hour of day and of answers by light."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from device.drift.sample import BINS, CELLS, OF_PICTURE, STATISTICS, Floats, Sample

NO_HOUR = 24
"""After the 24 hours of a day, which are in UTC because summer time would shift them: moments at
which the clock was not set."""
HOURS = NO_HOUR + 1
LIGHTS = 16
"""Steps of light, each of equal width in the root of the brightness."""
Counts = npt.NDArray[np.float32]
"""float32 (..., `HOURS`, statistics, `BINS`): how many moments. Those with an answer are counted by
light (`light_of`) instead of hours: in the dark known photos are strange, too, at any hour."""


def _no_counts() -> Counts:
    return np.zeros((HOURS, len(STATISTICS), BINS), np.float32)


def _no_layouts() -> Floats:
    return np.zeros((HOURS, CELLS), np.float32)


@dataclass(frozen=True)
class Day:
    """What was counted on one day; one writer adds to its arrays in place."""

    date: str = ""
    """In UTC, such as 2026-11-26; empty while the clock was not set."""
    counts: Counts = field(default_factory=_no_counts)
    layouts: Floats = field(default_factory=_no_layouts)
    """float32 (`HOURS`, `CELLS`): sums of the layouts."""
    labels: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """float32 (classes,): how many accepted answers there were of each class."""
    score_sum: float = 0.0
    """Of accepted answers."""

    @property
    def moments(self) -> int:
        """How many moments were noted."""
        return round(float(self.counts[:, 0].sum()))

    @property
    def accepted(self) -> int:
        """How many answers were accepted."""
        return int(self.labels.sum())

    @property
    def answers(self) -> int:
        """How many answers there were."""
        return round(float(self.counts[:, _UNKNOWN].sum()))

    def record(self) -> dict[str, Any]:
        """What is kept of it in a list of days, as a JSON object."""
        return {
            "date": self.date,
            "moments": self.moments,
            "answers": self.answers,
            "accepted": self.accepted,
            "score_sum": round(self.score_sum, 4),
        }


def light_of(brightness: float) -> int:
    """The row in which answers to pictures of a mean brightness (0 to 255) are counted."""
    return min(int(math.sqrt(max(brightness, 0.0))), LIGHTS - 1)


_UNKNOWN = next(i for i, each in enumerate(STATISTICS) if each.name == "unknown")


def add(day: Day, hour: int, sample: Sample, classes: int) -> Day:
    """Add a moment.

    Args:
        day: its arrays change.
        hour: 0 to 23, or `NO_HOUR`.
        sample: of the moment.
        classes: how many the model has.
    """
    light = light_of(sample.picture.brightness)
    for number, lower, share in sample.places():
        row = hour if OF_PICTURE[number] else light
        day.counts[row, number, lower] += 1 - share
        day.counts[row, number, lower + 1] += share
    day.layouts[hour] += sample.picture.layout
    labels = day.labels if len(day.labels) == classes else np.zeros(classes, np.float32)
    answer, score_sum = sample.answer, day.score_sum
    if answer is not None and answer.accepted:
        labels[answer.label] += 1
        score_sum += answer.score
    return Day(day.date, day.counts, day.layouts, labels, score_sum)
