"""Frames of a live camera that comes and goes.

The camera is read on a thread that can be abandoned: a decoder or driver call that never comes
back costs that thread, not the service. Only the newest frame is kept.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from device.camera.frame import Frame, FrameSource
from device.errors import CameraHangsError, SourceError, StalledError
from device.settings.address import safe
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry

log = logging.getLogger("fieldguide")

FIRST_WAIT_S = 0.25
ALIVE_S = 1.0
"""How often a pause says that it is one."""
IMPORT_LIMIT_S = 120.0
"""For importing a camera's library: from a slow card at boot it takes many seconds."""
MAX_HANGING = 4
"""Abandoned threads that may hang at once; with more, a new process is cleaner."""


class LiveCapture:
    """The newest frames of a camera; reconnects for ever, with growing pauses.

    One thread calls `frames`; `close` may come from any.
    """

    live = True
    hang_is_final = False

    def __init__(
        self, open_source: Callable[[], FrameSource], config: CameraConfig, telemetry: Telemetry
    ) -> None:
        self._open = open_source
        self._config = config
        self._telemetry = telemetry
        self._closed = threading.Event()
        # Nothing is opened and nothing told once `close` is through.
        self._lock = threading.Lock()
        self._hanging: list[Attempt] = []
        self._was_lost = False
        self.alive_s = time.monotonic()
        """When this machinery last did something; a camera that is gone does not stop it."""
        # At once, while whoever wants the frames still gets ready for them.
        self._attempt = Attempt(open_source, telemetry)

    def frames(self) -> Iterator[Frame]:
        """Yield the newest frame each time; corrupt ones are counted and passed over.

        Raises:
            CameraHangsError: if only a new process can open the camera again.
        """
        wait_s = FIRST_WAIT_S
        while not self._closed.is_set():
            for frame in self._frames_of(self._attempt):
                wait_s = FIRST_WAIT_S
                yield frame
            if self._closed.is_set():
                return
            self._lost(self._attempt)
            self._pause(wait_s)
            wait_s = min(2 * wait_s, self._config.longest_wait_s)
            self._open_anew()

    def close(self) -> None:
        """End `frames` within a moment, whatever the camera does."""
        with self._lock:
            self._closed.set()
            self._attempt.abandon()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait for the camera to be given back; false if it is not yet, or hangs."""
        deadline_s = time.monotonic() + timeout_s
        return all(a.join(max(0.0, deadline_s - time.monotonic())) for a in self._attempts())

    @property
    def patience_s(self) -> float:
        """How long a camera that works may take to notice that it is closed."""
        return self._limit_s(self._attempt)

    @property
    def keeps_camera(self) -> bool:
        """Whether it still has a camera that nobody else in this process can open meanwhile."""
        return any(a.hang_is_final and not a.join(0) for a in self._attempts())

    def _attempts(self) -> list["Attempt"]:
        return [*self._hanging, self._attempt]

    def _open_anew(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._attempt = Attempt(self._open, self._telemetry)

    def _tell(self, **facts: Any) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._telemetry.camera(**facts)

    def _frames_of(self, attempt: "Attempt") -> Iterator[Frame]:
        first = True
        while not self._closed.is_set():
            self.alive_s = time.monotonic()
            frame = attempt.take(timeout_s=min(0.5, self._config.stall_limit_s / 4))
            if frame is not None:
                if first:
                    self._found()
                first = False
                yield frame
            elif attempt.ended or self._stalled(attempt):
                return

    def _stalled(self, attempt: "Attempt") -> bool:
        limit_s = self._limit_s(attempt)
        if time.monotonic() - attempt.since_s < limit_s:
            return False
        attempt.problem, attempt.stalled = f"no frame for {limit_s:.3g} s", True
        return True

    def _limit_s(self, attempt: "Attempt") -> float:
        if not attempt.opened:
            return IMPORT_LIMIT_S
        return self._config.stall_limit_s if attempt.has_frames else self._config.open_limit_s

    def _found(self) -> None:
        if self._was_lost:
            log.info("camera: frames are back")
            self._tell(count="reconnects_total")
        self._was_lost = False
        self._tell(state="streaming", problem="")

    def _lost(self, attempt: "Attempt") -> None:
        attempt.abandon()
        if attempt.stalled:
            self._tell(count="stalls_total")
        problem = attempt.problem or "the stream ended"
        if self._telemetry.snapshot().camera.problem != problem:
            log.warning("camera: %s; trying again", problem)
        self._was_lost = True
        self._tell(state="lost", problem=problem, lag_s=0.0)
        if not attempt.join(0.5):
            self._hanging.append(attempt)
            if attempt.hang_is_final:
                raise CameraHangsError(f"camera: {problem}, and it hangs: a new process is needed")
        self._hanging = [hanging for hanging in self._hanging if not hanging.join(0)]
        if len(self._hanging) > MAX_HANGING:
            raise CameraHangsError(
                f"camera: {len(self._hanging)} attempts to open it hang: a new process is needed"
            )

    def _pause(self, wait_s: float) -> None:
        end_s = time.monotonic() + wait_s
        while (rest_s := end_s - time.monotonic()) > 0 and not self._closed.is_set():
            # In pieces: who waits for a camera is alive, however long.
            self.alive_s = time.monotonic()
            self._closed.wait(min(rest_s, ALIVE_S))


class Attempt:
    """One opening of the camera, on a thread of its own, with one slot for the newest frame."""

    def __init__(self, open_source: Callable[[], FrameSource], telemetry: Telemetry) -> None:
        self._open = open_source
        self._telemetry = telemetry
        self._ready = threading.Condition()
        self._newest: Frame | None = None
        self._abandoned = False
        self.since_s = time.monotonic()
        """The newest frame's time; before the first, when whatever is under way began."""
        self.opened = self.has_frames = self.stalled = False
        self.ended = False
        self.hang_is_final = False
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame, waited for; None after the timeout or when there are no more."""
        with self._ready:
            self._ready.wait_for(lambda: self._newest is not None or self.ended, timeout_s)
            newest, self._newest = self._newest, None
            return newest

    def abandon(self) -> None:
        """Ask the thread to close the camera, and forget it if it cannot."""
        with self._ready:
            self._abandoned = True
            self.ended = True
            self._ready.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; false if it still runs."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        problem = ""
        try:
            source = self._open()
            self.hang_is_final = source.hang_is_final
            self.since_s, self.opened = time.monotonic(), True
            if self._is_abandoned():
                return
            frames = source.frames()
            for frame in frames:
                if self._is_abandoned():
                    frames.close()  # type: ignore[attr-defined]
                    return
                self._put(frame)
        except SourceError as error:
            problem = safe(str(error))
            self.stalled = self.stalled or isinstance(error, StalledError)
        except Exception as error:
            # Drivers and decoders raise what they like; whatever it is, the next attempt may do.
            problem = safe(f"{type(error).__name__}: {error}")
        with self._ready:
            self.problem = self.problem or problem
            self.ended = True
            self._ready.notify_all()

    def _is_abandoned(self) -> bool:
        return self._abandoned

    def _put(self, frame: Frame) -> None:
        with self._ready:
            if self._abandoned:
                # It may be another camera's telemetry by now.
                return
            if frame.error:
                self._telemetry.camera(count="corrupt_total")
                return
            # Now, and not when it was captured: late frames are no stalled camera.
            self.since_s = time.monotonic()
            dropped = frame.outdated
            if frame.picture is not None:
                dropped += self._newest is not None
                self._newest, self.has_frames = frame, True
                self._ready.notify()
            self._count(frame, dropped)

    def _count(self, frame: Frame, dropped: int) -> None:
        facts: dict[str, Any] = {"last_frame_s": frame.captured_s, "lag_s": frame.lag_s}
        if frame.picture is not None:
            facts["height_px"], facts["width_px"] = frame.picture.shape[:2]
        came = frame.outdated + (frame.picture is not None)
        self._telemetry.camera(count="frames_total", by=came, **facts)
        if dropped:
            self._telemetry.camera(count="dropped_total", by=dropped)
