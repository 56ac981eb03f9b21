"""What runs on the nodes of a cluster: a worker does one part of the items after another."""

import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from device.errors import ClusterError, FieldguideError, one_line
from device.workstation.engine.kept import Kept, packed

MOST_TRIES = 4
"""A part is not begun more often: its worker died each time, or its node was lost."""
MOST_SHOWN = 200
"""Characters of an item in an error."""


@dataclass(frozen=True)
class Part:
    """Some chunks of the work."""

    number: int
    first: int
    """Its first chunk."""
    count: int
    """How many chunks it has; the last one may be short."""
    size: int
    """Items of a chunk."""

    @property
    def chunks(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True)
class Report:
    """What a worker says of a part."""

    part: Part
    worker: str
    """Node and process."""
    computed: int
    """Items; those of chunks that were there are not among them."""
    seconds: float
    """For these."""
    error: FieldguideError | None = None
    """Why the work cannot go on."""
    unwritten: tuple[tuple[int, bytes], ...] = ()
    """Chunks with results that could not be written here: this node's disk is full, say."""


class Worker:
    """A warm process: what the task sets up is there for all parts."""

    def __init__(self, kept: Kept, folder: str) -> None:
        """`folder` is where the driver runs: paths may be relative to it."""
        self._kept, self._folder = kept, folder
        self._function: Callable[[Any], Any] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Called by Ray Data with a batch of parts; both are pickled, since Arrow knows neither."""
        parts = map(pickle.loads, batch["part"])
        return {"report": [pickle.dumps(self.report(part)) for part in parts]}

    def report(self, part: Part) -> Report:
        """Do a part; errors that a user can act on are told, not raised."""
        node = socket.gethostname()
        worker, begun = f"{node}:{os.getpid()}", time.monotonic()
        try:
            function = self._function or self._set_up()
            self._function = function
            computed, unwritten = self._do(function, part)
        except FieldguideError as error:
            told = ClusterError(f"{error} (said by the node {node})")
            return Report(part, worker, 0, 0.0, told)
        return Report(part, worker, computed, time.monotonic() - begun, None, unwritten)

    def _set_up(self) -> Callable[[Any], Any]:
        if os.path.isdir(self._folder):
            os.chdir(self._folder)
        try:
            task, probe = self._kept.task()
        except OSError as error:
            raise ClusterError(
                f"{self._kept.address} cannot be read here ({one_line(error)}): give a BUILD= on a "
                "path that every node has, or the address of a bucket as RAY_STORE="
            ) from error
        if probe:
            probe()
        function: Callable[[Any], Any] = task.setup()
        return function

    def _begin(self, part: Part) -> int:
        """How often workers have begun this part, or 1 if that cannot be noted."""
        with suppress(OSError):
            return self._kept.begin(part.number)
        return 1

    def _do(
        self, function: Callable[[Any], Any], part: Part
    ) -> tuple[int, tuple[tuple[int, bytes], ...]]:
        computed, unwritten, tries = 0, list[tuple[int, bytes]](), self._begin(part)
        for chunk, items in _chunks(part, self._kept.items(part.number)):
            if self._kept.is_done(chunk):
                continue
            if tries > MOST_TRIES:
                raise ClusterError(
                    f"{MOST_TRIES} workers died one after the other, the last at one of "
                    f"{_shown(items[0])} to {_shown(items[-1])}: is a file there too large for the "
                    "memory of a node?"
                )
            results = packed([function(item) for item in items])
            computed += len(items)
            try:
                self._kept.write_done(chunk, results)
            except OSError:
                unwritten.append((chunk, results))
        return computed, tuple(unwritten)


def _shown(item: Any) -> str:
    text = str(item)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _chunks(part: Part, items: Sequence[Any]) -> Iterator[tuple[int, Sequence[Any]]]:
    for place, chunk in enumerate(part.chunks):
        yield chunk, items[place * part.size : (place + 1) * part.size]
