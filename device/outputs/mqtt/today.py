"""How many visits there were today, of which classes."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from device.visits import days
from device.visits.days import Days
from device.visits.visit import Visit


class Today:
    """Counts visits by label, and begins again at the device's local midnight.

    What is kept on the disk is counted too, so a restart, or a clock that is set late, costs none.
    """

    def __init__(self, kept: Days) -> None:
        self._kept = kept
        self._day: date | None = None
        self._labels: dict[str, str] = {}
        """By id: a visit may be told again, or be on the disk already."""

    def add(self, visit: Visit) -> None:
        """Count a visit that has ended, if it began today."""
        self._follow_calendar()
        if visit.day == self._day:
            self._labels[visit.id] = visit.label

    def record(self) -> dict[str, Any]:
        """The message: day, number of visits, and that of each label."""
        self._follow_calendar()
        counts: Mapping[str, int] = Counter(self._labels.values())
        return {
            "day": str(self._day),
            "visits": sum(counts.values()),
            "labels": dict(sorted(counts.items())),
        }

    def _follow_calendar(self) -> None:
        today = days.today()
        if today != self._day:
            self._day = today
            self._labels = {visit.id: visit.label for visit in self._kept.of(today)}
            # Only this summary of a day is used: days of years would fill the memory.
            self._kept.forget()
