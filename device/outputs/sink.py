"""Where observations go, and the thread between the frame loop and each of them.

The inference thread only ever puts an observation into a mailbox, which takes microseconds and
never waits. What a slow sink misses is replaced by what is newer; label changes wait their turn.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from device.settings.sections import Config
from device.telemetry.observation import Observation
from device.telemetry.status import Status

log = logging.getLogger("fieldguide")


class Sink(Protocol):
    """Something that takes observations.

    All three methods are called on the sink's own thread, one at a time, so they may block and
    need no locks of their own. What they raise is counted and shown as the sink's problem
    (`SinkStatus`), logged when it changes, and gone with the next call of the same method that does
    not raise; the sink goes on being called. A label change whose `publish` raised OSError or
    OutputError is offered again, before anything newer, about once a second.
    """

    name: str
    """The name of its section below `output`, as in `device.outputs.registry`."""

    @property
    def wants_pictures(self) -> bool:
        """Read for every frame: may change with the number of viewers. Costs memory while true."""
        ...

    def publish(self, observation: Observation) -> None:
        """Take an observation: the newest, or an older one in which the label had changed."""
        ...

    def tick(self, status: Status) -> None:
        """Look after itself, about once a second, also while no frames come."""
        ...

    def close(self) -> None:
        """Say goodbye in well under a second; nothing is called after that."""
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
    """A sink with figures of its own; read on its thread."""

    @property
    def figures(self) -> Mapping[str, float]:
        """By name, as Prometheus spells names: with a unit, and with `_total` if it only grows."""
        ...


@runtime_checkable
class BacklogAware(Protocol):
    """A sink that treats news and backlog differently."""

    catching_up: bool
    """Set before each `publish` and `tick`: whether something newer waits already."""


@dataclass(frozen=True)
class Context:
    """What a sink is built from."""

    config: Config
    status: Callable[[], Status]
    """The service's state now; from any thread."""
    keep: Callable[[Observation, str], str]
    """`PhotoSaver.keep` of the sink that has it; OutputError while none does."""
