"""The protocols of sinks, which take observations, and what they are built from.

The inference thread only puts observations into mailboxes (`device.outputs.thread`), which takes
microseconds and never waits. If a sink is slow, newer observations replace the waiting one, but
label changes and visits queue up.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from device.drift.status import DriftStatus
from device.settings.sections import Config
from device.telemetry.observation import Observation
from device.telemetry.status import Status
from device.telemetry.updates import UpdateStatus

log = logging.getLogger("fieldguide")


class Sink(Protocol):
    """Something that takes observations.

    All three methods are called on the sink's own thread, one at a time, so they may block and
    need no locks. What they raise is counted and shown as the sink's problem (`SinkStatus`), and
    logged when it changes; it is cleared by the next call of the same method that does not raise.
    The sink is still called after an error. An observation that `must_arrive` and whose `publish`
    raised OSError or OutputError is offered again, before anything newer, about once a second.
    """

    name: str
    """As in `device.outputs.registry`: the name of its settings section."""

    @property
    def wants_pictures(self) -> bool:
        """Whether it needs pictures, which cost memory. Read for each frame, so it may change."""
        ...

    def publish(self, observation: Observation) -> None:
        """Take an observation: the newest, or an older one that must arrive."""
        ...

    def tick(self, status: Status) -> None:
        """Do periodic work, about once a second, even while no frames come."""
        ...

    def close(self) -> None:
        """Shut down in well under a second; nothing is called after that."""
        ...


@runtime_checkable
class PhotoSaver(Protocol):
    """A sink that also saves pictures on demand; called from any thread."""

    def keep(self, observation: Observation, label: str) -> str:
        """Save the observation's picture below `label`; returns the file's name.

        Raises:
            OutputError: if there is no picture, or no room for it.
        """
        ...


@runtime_checkable
class Counting(Protocol):
    """A sink with its own figures for the metrics; read on its thread."""

    @property
    def figures(self) -> Mapping[str, float]:
        """By name in Prometheus' style: with a unit, and ending in `_total` if it only grows."""
        ...


@runtime_checkable
class BacklogAware(Protocol):
    """A sink that must know whether an observation is current or from a backlog."""

    catching_up: bool
    """Set before each `publish` and `tick`: whether something newer is already waiting."""


@runtime_checkable
class Selective(Protocol):
    """A sink that needs some observations only; the others do not wake its thread."""

    def needs(self, observation: Observation) -> bool:
        """Whether to publish it; asked on the frame loop's thread, so it never waits."""
        ...


@runtime_checkable
class DriftWatcher(Protocol):
    """The sink that watches for change; all may be called from any thread."""

    @property
    def drift(self) -> DriftStatus | None:
        """What is known; None as long as nothing is."""
        ...

    def acknowledge_drift(self) -> None:
        """Take what is seen now as usual; takes effect within a second."""
        ...

    def drift_picture(self, which: str) -> bytes | None:
        """A JPEG of "then" or "now", at the same hour of the day; None if there is none."""
        ...


@runtime_checkable
class Updating(Protocol):
    """The sink that speaks with the updater; all may be called from any thread."""

    @property
    def update(self) -> UpdateStatus:
        """What the updater tells."""
        ...

    def install_update(self) -> None:
        """Ask for what is meant for this board, at any hour.

        Raises:
            OutputError: if that is not possible.
        """
        ...


@dataclass(frozen=True)
class Context:
    """What a sink is built from."""

    config: Config
    status: Callable[[], Status]
    """Returns the service's state; may be called from any thread."""
    keep: Callable[[Observation, str], str]
    """`PhotoSaver.keep` of the sink that has it; raises OutputError if none has."""
    watcher: Callable[[], DriftWatcher | None] = lambda: None
    """Returns the sink that watches for change; None if there is none."""
    updating: Callable[[], Updating | None] = lambda: None
    """Returns the sink that speaks with the updater; None if there is none."""
