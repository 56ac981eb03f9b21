"""Commands, here or on a node of the cluster: trials of a sweep."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from device import child
from device.errors import ClusterError, one_line
from device.workstation.engine.choice import engine
from device.workstation.engine.cluster import connected
from device.workstation.engine.on_ray import OnRay


@dataclass(frozen=True)
class Command:
    """A command that writes what it says to a file."""

    words: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    """Where it runs."""
    log: Path
    """Absolute."""

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it on this machine; it ends when the process that started it does."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                self.words,
                env=dict(self.environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for who started it: a training that sees it keeps its best epoch so far
                # and counts as done.
                start_new_session=True,
                preexec_fn=child.tie(signal.SIGTERM),
            )


class Running(Protocol):
    """A command at work."""

    def poll(self) -> int | None:
        """Its exit status; None while it is at work."""

    def terminate(self) -> None:
        """Ask it to end."""

    def wait(self, timeout: float) -> Any:
        """Wait for its end, at most so many seconds."""


def start(command: Command) -> Running:
    """Start a command where this process' engine has its workers.

    On a cluster it is another node each time; if that is lost, another one runs it again.
    """
    chosen = engine()
    if isinstance(chosen, OnRay):
        ray = connected(chosen.address).ray
        run = ray.remote(num_cpus=1, max_retries=3, scheduling_strategy="SPREAD")(_status)
        return _OnNode(ray, run.remote(command))
    return command.start()


def _status(command: Command) -> int:
    """What runs on a node."""
    for folder in (Path(command.folder), command.log.parent):
        if not folder.is_dir():
            raise ClusterError(
                f"{folder} is not on the node {os.uname().nodename}: a sweep needs the checkout "
                "and BUILD= at the same path on every node"
            )
    return command.start().wait()


@dataclass(frozen=True)
class _OnNode:
    """A command on some node, with the methods of a process."""

    ray: Any
    task: Any

    def poll(self) -> int | None:
        ready, _ = self.ray.wait([self.task], timeout=0)
        return self._ended if ready else None

    @cached_property
    def _ended(self) -> int:
        try:
            return int(self.ray.get(self.task))
        except self.ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            raise ClusterError(one_line(cause)) from error

    def terminate(self) -> None:
        self.ray.cancel(self.task, force=True)

    def wait(self, timeout: float) -> None:
        with suppress(Exception):
            self.ray.get(self.task, timeout=timeout)
