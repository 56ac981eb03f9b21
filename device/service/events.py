"""Messages from other threads, and from signals, to the service's main thread."""

from dataclasses import dataclass
from enum import Enum, auto

from device.inference.trial import LoadedModel


class Signal(Enum):
    """The request behind a signal."""

    STOP = auto()
    RELOAD = auto()


@dataclass(frozen=True)
class ModelPassed:
    """A bundle passed its trial: its model runs from now on."""

    model: LoadedModel


@dataclass(frozen=True)
class ModelRefused:
    """The first bundle failed its trial: there is nothing to run."""

    fault: Exception


@dataclass(frozen=True)
class SourceEnded:
    """A source has no more frames."""

    run_number: int
    """Which of the service's sources, counted from the start."""
    fault: BaseException | None
    """None if a file simply ended."""


Event = Signal | ModelPassed | ModelRefused | SourceEnded
