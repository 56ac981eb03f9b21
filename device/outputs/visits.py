"""The sink that keeps visits, so that the page can list them after a restart.

What is known of a visit that goes on is written from time to time, so that a kill does not lose it:
`device.service.visiting` ends such a visit at the next start.
"""

import time
from pathlib import Path

from device.contract.look.rules import Seen
from device.settings.sections import VisitsConfig
from device.telemetry.observation import Observation
from device.telemetry.status import Status
from device.visits.store import VisitStore
from device.visits.visit import Visit

KEEP_S = 10.0
"""How often a visit that goes on is written: each time waits for the disk."""
TIDY_S = 600.0


def store_of(config: VisitsConfig) -> VisitStore:
    """The folder of the settings."""
    return VisitStore(Path(config.path), config.max_mb, config.max_age_days)


class Visits:
    """Writes visits to the folder of the settings."""

    name = "visits"
    wants_pictures = False

    def __init__(self, config: VisitsConfig) -> None:
        """Prepare; no file is touched before the first visit."""
        self._store = store_of(config)
        self._going: Visit | None = None
        """The visit that goes on, as if it had ended with the last frame that showed it."""
        self._is_kept = True
        self._kept_s = self._tidied_s = float("-inf")

    def needs(self, observation: Observation) -> bool:
        """Whether it tells of a visit."""
        return observation.visit is not None

    def publish(self, observation: Observation) -> None:
        """Write a visit when it begins, every few seconds, and when it has ended.

        Raises:
            OSError: if it cannot be written.
        """
        visit = observation.visit
        if visit is None:
            return
        if visit.end_unix_s is not None:
            self._store.add(visit)
            if self._is_noted(visit):
                self._going = None
            return
        if not self._is_noted(visit) or observation.seen is Seen.SOMETHING:
            # As if it had ended now: perhaps nothing more is heard of it.
            self._going, self._is_kept = visit.ended(observation.unix_s), False
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

    def _is_noted(self, visit: Visit) -> bool:
        return self._going is not None and self._going.id == visit.id

    def _keep(self) -> None:
        self._kept_s = time.monotonic()
        if self._going is not None and not self._is_kept:
            self._store.keep(self._going)
            self._is_kept = True
