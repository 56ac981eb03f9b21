"""Connecting to a Ray cluster, with one line for whatever is in the way."""

import logging
import os
import signal
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from device.errors import ClusterError, UsageError, one_line
from device.quiet import quiet_native_stderr
from device.workstation.engine.address import check_address
from device.workstation.engine.progress import tell

ROOT = Path(__file__).resolve().parents[3]
NOT_CODE = ("/.git", "/.venv*", "/build*", "/data", "/tests", "/dist", "**/__pycache__")
"""What workers do not need of the checkout."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers."""

    ray: Any
    """The module."""

    @property
    def cores(self) -> int:
        """Of all nodes."""
        return int(self.ray.cluster_resources().get("CPU", 1))


@cache
def connected(address: str) -> Cluster:
    """Connect this process to a cluster, once, and say which it is.

    Raises:
        UsageError: if the address is none, or Ray is not installed.
        ClusterError: if nothing answers there, or another Ray or Python does.
    """
    check_address(address)
    # Nothing goes to anybody on the internet.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's own lines would break the bar; what goes wrong comes as an error, too.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Nor a trace of Ray's own code where somebody ends this process.
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"ENGINE=ray needs Ray ({one_line(error)}): `make ENGINE=ray` installs it, from "
            "train/locks/cluster.txt"
        ) from error
    try:
        with quiet_native_stderr():
            context = ray.init(
                address=address,
                runtime_env={
                    "working_dir": str(ROOT),
                    "excludes": list(NOT_CODE),
                    "env_vars": {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUTF8": "1"},
                },
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except Exception as error:
        # Ray raises bare exceptions, too: of a node that does not start in time.
        raise ClusterError(f"no work at RAY_ADDRESS={address}: {_why(error)}") from error
    _quiet(ray)
    _end_as_asked()
    nodes = sum(node["Alive"] for node in ray.nodes())
    seen = f"; dashboard http://{context.dashboard_url}" if context.dashboard_url else ""
    cluster = Cluster(ray)
    tell(f"Ray {ray.__version__}: nodes: {nodes}, cores: {cluster.cores}{seen}")
    return cluster


def _why(error: Exception) -> str:
    said = one_line(error)
    if "Version mismatch" in said or "version mismatch" in said:
        return f"{said}: install train/locks/cluster.txt and the same Python on all nodes"
    if "Could not find any running Ray" in said:
        return "no cluster runs on this machine: start one, see train/cluster"
    if "timed out during startup" in said:
        return (
            "Ray did not start within 30 s, its own limit: this machine is busy with other work. "
            "What is done is kept; give the same command again when it has less to do"
        )
    return said


def _end_as_asked() -> None:
    """Whoever ends this process sees one line; Ray's own handler says nothing."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _ended)


def _ended(number: int, frame: FrameType | None) -> None:
    # Not as Ctrl-C, at which a training takes its best epoch so far and counts as done.
    tell("ended: what is done is kept, and the same command goes on from there")
    raise SystemExit(128 + number)


def _quiet(ray: Any) -> None:
    """Our bar is the one that is shown."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
