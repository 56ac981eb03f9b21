"""The sink that keeps visits, so that the page can list them after a restart.

What is known of a visit that goes on is written from time to time, so that a kill does not lose it:
`device.service.visiting` ends such a visit at the next start.
"""

import time
from pathlib import Path

from device.settings.sections import VisitsConfig
from device.telemetry.observation import Observation
from device.telemetry.status import Status
from device.visits.store import VisitStore
from device.visits.visit import Visit

KEEP_S = 10.0
"""How often a visit that goes on is written: each time waits for the disk."""
TIDY_S = 600.0


class Visits:
    """Writes visits to the folder of the settings."""

    name = "visits"
    wants_pictures = False

    def __init__(self, config: VisitsConfig) -> None:
        """Prepare; no file is touched before the first visit."""
        self._store = VisitStore(Path(config.path), config.max_mb, config.max_age_days)
        self._going: Visit | None = None
        """What has been seen of a visit and is not written yet."""
        self._kept_s = self._tidied_s = float("-inf")

    def publish(self, observation: Observation) -> None:
        """Write a visit when it begins, every few seconds, and when it has ended.

        Raises:
            OSError: if it cannot be written.
        """
        if (ended := observation.ended_visit) is not None:
            self._store.add(ended)
            self._going = None
        elif observation.visit is not None:
            self._going = observation.visit
            if observation.visit_changed or time.monotonic() >= self._kept_s + KEEP_S:
                self._keep()

    def tick(self, status: Status) -> None:
        """Remove what is too old.

        Raises:
            OSError: if that is not possible.
        """
        if time.monotonic() >= self._tidied_s + TIDY_S:
            self._tidied_s = time.monotonic()
            self._store.tidy()

    def close(self) -> None:
        """Write what is known of the visit that goes on.

        Raises:
            OSError: if it cannot be written.
        """
        self._keep()

    def _keep(self) -> None:
        self._kept_s = time.monotonic()
        if self._going is not None:
            self._store.keep(self._going)
            self._going = None
