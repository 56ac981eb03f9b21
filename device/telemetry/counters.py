"""The service's counters, written by its threads and read as one snapshot."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from device import __version__
from device.safe_text import printable
from device.settings.address import safe, shown
from device.telemetry.observation import ModelInfo, Observation
from device.telemetry.status import BoardStatus, CameraStatus, SinkStatus, Status

FPS_WINDOW_S = 5.0
FEWEST_FPS_SAMPLES = 3
"""However old they are: a service may be told to classify a frame every 100 s."""
MAX_FPS_SAMPLES = 2000


class Telemetry:
    """Thread-safe; every method is short enough for the inference thread.

    Problems come from cameras, brokers and libraries, and go to whoever may look: they are made
    safe here, once for all outputs.
    """

    def __init__(self, source: str = "") -> None:
        self._lock = threading.Lock()
        self._started_unix_s, self._started_s = time.time(), time.monotonic()
        self._camera = CameraStatus(**_shown({"source": source}))
        self._board = BoardStatus()
        self._sinks: dict[str, SinkStatus] = {}
        self._facts: dict[str, Any] = {
            "model": None,
            "model_problem": "",
            "config_problem": "",
            "swaps_total": 0,
            "reloads_total": 0,
            "inferences_total": 0,
            "invoke_s_total": 0.0,
            "overhead_s_total": 0.0,
            "latency_s_total": 0.0,
        }
        self._recent: deque[float] = deque(maxlen=MAX_FPS_SAMPLES)

    def snapshot(self) -> Status:
        """Everything as of now."""
        now_s = time.monotonic()
        with self._lock:
            return Status(
                version=__version__,
                started_unix_s=self._started_unix_s,
                uptime_s=now_s - self._started_s,
                camera=self._camera,
                board=self._board,
                fps=_rate(self._recent, now_s),
                sinks=dict(self._sinks),
                **self._facts,
            )

    def camera(self, *, count: str = "", by: int = 1, **changes: Any) -> None:
        """Change fields of `CameraStatus`, and raise one of its counters."""
        changes = _shown(changes)
        with self._lock:
            if count:
                changes[count] = getattr(self._camera, count) + by
            self._camera = replace(self._camera, **changes)

    def sink(self, name: str, *, counts: Mapping[str, int] | None = None, **changes: Any) -> None:
        """Change fields of one `SinkStatus`, and raise some of its counters."""
        changes = _shown(changes)
        with self._lock:
            status = self._sinks.get(name, SinkStatus())
            raised = {key: getattr(status, key) + by for key, by in (counts or {}).items()}
            self._sinks[name] = replace(status, **changes, **raised)

    def forget_sink(self, name: str) -> None:
        """Drop a sink that was closed."""
        with self._lock:
            self._sinks.pop(name, None)

    def board(self, status: BoardStatus) -> None:
        """Set what the board says."""
        with self._lock:
            self._board = status

    def model(self, info: ModelInfo) -> None:
        """A model went live; the first one is no swap."""
        with self._lock:
            self._facts["swaps_total"] += self._facts["model"] is not None
            self._facts |= {"model": info, "model_problem": ""}

    def model_problem(self, problem: str) -> None:
        """A bundle was not taken."""
        with self._lock:
            self._facts["model_problem"] = safe(problem)

    def reloaded(self, problem: str = "") -> None:
        """Settings were read anew, or refused."""
        with self._lock:
            self._facts["config_problem"] = safe(problem)
            self._facts["reloads_total"] += not problem

    def inferred(self, observation: Observation) -> None:
        """One more frame was classified."""
        with self._lock:
            self._facts["inferences_total"] += 1
            self._facts["invoke_s_total"] += observation.invoke_s
            self._facts["overhead_s_total"] += observation.overhead_s
            self._facts["latency_s_total"] += observation.latency_s
            self._recent.append(time.monotonic())


def _shown(changes: dict[str, Any]) -> dict[str, Any]:
    if "problem" in changes:
        changes = {**changes, "problem": safe(changes["problem"])}
    if "source" in changes:
        changes = {**changes, "source": printable(shown(changes["source"]))}
    return changes


def _rate(moments: "deque[float]", now_s: float) -> float:
    """Frames a second over the last seconds, or the last frames if those are further apart."""
    while len(moments) > FEWEST_FPS_SAMPLES and moments[0] < now_s - FPS_WINDOW_S:
        moments.popleft()
    if len(moments) < 2:
        return 0.0
    took_s = moments[-1] - moments[0]
    overdue_s = now_s - moments[-1] - took_s / (len(moments) - 1)
    if overdue_s > max(FPS_WINDOW_S, took_s):
        return 0.0
    # From when the next frame is overdue the rate falls.
    return (len(moments) - 1) / max(took_s + max(overdue_s, 0.0), 1e-9)
