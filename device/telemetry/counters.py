"""The service's counters, written by its threads and read as one snapshot."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from device import __version__
from device.drift.status import DriftStatus
from device.safe_text import printable
from device.settings.address import safe, shown
from device.telemetry.observation import ModelInfo, Observation
from device.telemetry.status import BoardStatus, CameraState, CameraStatus, SinkStatus, Status
from device.telemetry.updates import UpdateStatus

FPS_WINDOW_S = 5.0
FEWEST_FPS_SAMPLES = 3
"""Kept however old they are: the settings may ask for one frame every 100 s."""
MAX_FPS_SAMPLES = 2000


class Telemetry:
    """Thread-safe; every method is short enough for the inference thread.

    Problem texts come from cameras, brokers and libraries and go to all outputs, so they are made
    safe here, once for all of them.
    """

    def __init__(self, source: str = "") -> None:
        self._lock = threading.Lock()
        self._started_unix_s, self._started_s = time.time(), time.monotonic()
        self.camera = CameraCounters(source)
        self._board = BoardStatus()
        self._drift: DriftStatus | None = None
        self._update: UpdateStatus | None = None
        self._sinks: dict[str, SinkCounters] = {}
        self._model: ModelInfo | None = None
        self._model_problem = self._config_problem = ""
        self._swaps_total = self._reloads_total = self._inferences_total = 0
        self._invoke_s_total = self._overhead_s_total = self._latency_s_total = 0.0
        self._recent: deque[float] = deque(maxlen=MAX_FPS_SAMPLES)

    def snapshot(self) -> Status:
        """Everything as of now."""
        now_s = time.monotonic()
        with self._lock:
            return Status(
                version=__version__,
                started_unix_s=self._started_unix_s,
                uptime_s=now_s - self._started_s,
                camera=self.camera.status,
                board=self._board,
                model=self._model,
                model_problem=self._model_problem,
                swaps_total=self._swaps_total,
                inferences_total=self._inferences_total,
                invoke_s_total=self._invoke_s_total,
                overhead_s_total=self._overhead_s_total,
                latency_s_total=self._latency_s_total,
                fps=_rate(self._recent, now_s),
                reloads_total=self._reloads_total,
                config_problem=self._config_problem,
                sinks={name: sink.status for name, sink in self._sinks.items()},
                drift=self._drift,
                update=self._update,
            )

    def start_sink(self, name: str) -> "SinkCounters":
        """A sink starts; returns the counters to write to, until `end_sink`."""
        sink = SinkCounters()
        with self._lock:
            self._sinks[name] = sink
        return sink

    def end_sink(self, name: str, sink: "SinkCounters") -> None:
        """A sink was closed; a newer sink with the same name is not affected."""
        with self._lock:
            if self._sinks.get(name) is sink:
                del self._sinks[name]

    def drift(self, status: DriftStatus | None) -> None:
        """Set what is known of drift; None if nothing is."""
        with self._lock:
            self._drift = status

    def update(self, status: UpdateStatus | None) -> None:
        """Set what the updater tells; None if nobody asks it."""
        with self._lock:
            self._update = status

    def board(self, status: BoardStatus) -> None:
        """Set the board's state."""
        with self._lock:
            self._board = status

    def model(self, info: ModelInfo) -> None:
        """A model went live; the first one does not count as a swap."""
        with self._lock:
            self._swaps_total += self._model is not None
            self._model, self._model_problem = info, ""

    def model_problem(self, problem: str) -> None:
        """A bundle was refused."""
        with self._lock:
            self._model_problem = safe(problem)

    def reloaded(self, problem: str = "") -> None:
        """Settings were reloaded, or refused."""
        with self._lock:
            self._config_problem = safe(problem)
            self._reloads_total += not problem

    def inferred(self, observation: Observation) -> None:
        """One more frame was taken, and classified if it needed to be."""
        with self._lock:
            self._recent.append(time.monotonic())
            if not observation.invoke_s:
                return
            self._inferences_total += 1
            self._invoke_s_total += observation.invoke_s
            self._overhead_s_total += observation.overhead_s
            self._latency_s_total += observation.latency_s


class CameraCounters:
    """The state of the camera; written by whatever reads its frames."""

    def __init__(self, source: str) -> None:
        self._lock = threading.Lock()
        self._status = CameraStatus(source=_shown(source))

    @property
    def status(self) -> CameraStatus:
        """As of now."""
        return self._status

    def connecting(self, source: str) -> None:
        """From now on the camera is another one."""
        state = CameraState.CONNECTING
        with self._lock:
            self._status = replace(self._status, source=_shown(source), state=state, problem="")

    def streams(self, *, again: bool = False) -> None:
        """Frames come; `again` after it was lost."""
        with self._lock:
            total = self._status.reconnects_total + again
            self._status = replace(
                self._status, state=CameraState.STREAMING, problem="", reconnects_total=total
            )

    def lost(self, problem: str, *, stalled: bool = False) -> None:
        """Frames stopped coming; `stalled` if their absence is the only sign."""
        with self._lock:
            self._status = replace(
                self._status,
                state=CameraState.LOST,
                problem=safe(problem),
                stalls_total=self._status.stalls_total + stalled,
                lag_s=0.0,
            )

    def ended(self) -> None:
        """The source was a file or folder and has ended."""
        with self._lock:
            self._status = replace(self._status, state=CameraState.ENDED)

    def corrupt_frame(self) -> None:
        """One more could not be decoded."""
        with self._lock:
            total = self._status.corrupt_total + 1
            self._status = replace(self._status, corrupt_total=total)

    def frames(
        self,
        came: int,
        *,
        captured_s: float,
        size_px: tuple[int, int] | None,
        dropped: int = 0,
        lag_s: float = 0.0,
    ) -> None:
        """More frames came.

        Args:
            came: how many.
            captured_s: `time.monotonic()` of the newest.
            size_px: its width and height; None, if it was not decoded, leaves them as they were.
            dropped: how many were dropped for a newer one.
            lag_s: how far the newest is behind the camera's stream.
        """
        with self._lock:
            before = self._status
            width_px, height_px = size_px or (before.width_px, before.height_px)
            self._status = replace(
                before,
                frames_total=before.frames_total + came,
                dropped_total=before.dropped_total + dropped,
                width_px=width_px,
                height_px=height_px,
                last_frame_s=captured_s,
                lag_s=lag_s,
            )


class SinkCounters:
    """The state of one sink; written by its own thread and the inference thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status = SinkStatus()

    @property
    def status(self) -> SinkStatus:
        """As of now."""
        return self._status

    def dropped(self, observations: int, *, lost_changes: int) -> None:
        """Observations were dropped before the sink took them; some were label changes."""
        with self._lock:
            self._status = replace(
                self._status,
                dropped_total=self._status.dropped_total + observations,
                lost_changes_total=self._status.lost_changes_total + lost_changes,
            )

    def delivered(self) -> None:
        """One more observation was delivered."""
        with self._lock:
            total = self._status.delivered_total + 1
            self._status = replace(self._status, delivered_total=total)

    def failed(self, problem: str) -> None:
        """A call failed."""
        with self._lock:
            total = self._status.errors_total + 1
            self._status = replace(self._status, errors_total=total, problem=safe(problem))

    def works(self, *, rest: str = "") -> None:
        """What failed works again; `rest` is the problem of another of its methods, if any."""
        with self._lock:
            self._status = replace(self._status, problem=safe(rest))

    def figures(self, figures: Mapping[str, float]) -> None:
        """Set the sink's own figures."""
        with self._lock:
            self._status = replace(self._status, figures=dict(figures))


def _shown(source: str) -> str:
    return printable(shown(source))


def _rate(moments: "deque[float]", now_s: float) -> float:
    """Frames per second over the last seconds, or the last frames if they are further apart."""
    while len(moments) > FEWEST_FPS_SAMPLES and moments[0] < now_s - FPS_WINDOW_S:
        moments.popleft()
    if len(moments) < 2:
        return 0.0
    took_s = moments[-1] - moments[0]
    overdue_s = now_s - moments[-1] - took_s / (len(moments) - 1)
    if overdue_s > max(FPS_WINDOW_S, took_s):
        return 0.0
    # Once the next frame is overdue, the rate falls.
    return (len(moments) - 1) / max(took_s + max(overdue_s, 0.0), 1e-9)
