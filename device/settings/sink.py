"""The settings that every sink has."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SinkConfig:
    """The section of one sink, below `output`."""

    enabled: bool = False
