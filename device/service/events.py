"""What the other threads, and signals, tell the service's main thread."""

from dataclasses import dataclass
from enum import Enum, auto

from device.inference.trial import LoadedModel


class Signal(Enum):
    """What a signal asks for."""

    STOP = auto()
    RELOAD = auto()


@dataclass(frozen=True)
class ModelPassed:
    """A bundle passed its trial: its model is to run from now on."""

    model: LoadedModel


@dataclass(frozen=True)
class ModelRefused:
    """The first bundle did not: there is nothing to run."""

    fault: Exception


@dataclass(frozen=True)
class SourceEnded:
    """The frames of a source came to their end."""

    run_number: int
    """Of the service's sources, which one."""
    fault: BaseException | None
    """None: a file's own end."""


Event = Signal | ModelPassed | ModelRefused | SourceEnded
