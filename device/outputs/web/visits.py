"""What the page shows of visits: today's, the newest first, and how many there were on each day."""

import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from device.settings.sections import VisitsConfig
from device.telemetry.observation import Observation
from device.visits.days import Days, today
from device.visits.visit import Visit

DAYS = 14
"""Days with a bar, today included."""
MOST_LISTED = 60
"""Most of today's visits with a row of their own."""


class SeenVisits:
    """Visits that were kept, and the one that goes on; usable from any thread."""

    def __init__(self, config: VisitsConfig) -> None:
        self._follows = config.enabled
        self._days = Days(Path(config.path))
        self._lock = threading.Lock()
        self._going: Visit | None = None

    def add(self, observation: Observation) -> None:
        """Take the next observation."""
        self._going = None if observation.ended_visit is not None else observation.visit

    def record(self) -> dict[str, Any]:
        """As a JSON object; the oldest day first, days without visits included."""
        going = self._going
        with self._lock:
            visits, counts = self._days.today(), self._days.counts(DAYS)
        return {
            "follows": self._follows,
            "going": going and going.record(),
            "today": [visit.record() for visit in visits[:MOST_LISTED]],
            "more": max(0, len(visits) - MOST_LISTED),
            "days": [
                {"day": day.isoformat(), "visits": dict(counts.get(day, {}))} for day in _days()
            ],
        }

    def picture(self, visit_id: str) -> bytes | None:
        """The JPEG of a visit; None if there is none."""
        going = self._going
        if going is not None and going.id == visit_id:
            return going.picture
        return self._days.picture(visit_id)


def _days() -> list[date]:
    return [today() - timedelta(days=ago) for ago in reversed(range(DAYS))]
