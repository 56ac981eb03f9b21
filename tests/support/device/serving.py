"""Sinks with a server, at work for the length of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from device.outputs.http.serving import ServingSink
from tests.support.device.observations import Surroundings

Served = TypeVar("Served", bound=ServingSink)


@contextmanager
def served(sink: Served, surroundings: Surroundings) -> Iterator[Served]:
    """The sink listens, and is closed at the end."""
    sink.tick(surroundings.status())
    try:
        yield sink
    finally:
        sink.close()
