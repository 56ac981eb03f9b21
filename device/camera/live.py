"""Frames of a live camera that comes and goes.

The camera is read on a thread that can be abandoned: a decoder or driver call that never comes
back costs that thread, not the service. Only the newest frame is kept.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from device.camera.frame import Frame, FrameSource, Polled
from device.errors import CameraHangsError, SourceError, StalledError
from device.settings.address import safe
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry

log = logging.getLogger("fieldguide")

FIRST_WAIT_S = 0.25
POLL_S = 0.5
"""How often, at least, whoever waits for frames says that it is alive."""
CLOSE_LOST_S, CLOSE_LOST_POLL_S = 0.5, 0.05
"""How long a camera that was lost may take to end, and how often it is looked whether it has."""
IMPORT_LIMIT_S = 120.0
"""For importing a camera's library: from a slow card at boot it takes many seconds."""
MAX_HANGING = 4
"""Abandoned threads that may hang at once; with more, a new process is cleaner."""


class LiveCapture(Polled):
    """The newest frames of a camera; reconnects for ever, with growing pauses.

    `poll` and `frames` are for one thread at a time; `close` may come from any.
    """

    live = True

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
        self._was_lost, self._streams = False, False
        self._wait_s = FIRST_WAIT_S
        self._pause_end_s: float | None = None
        """When the camera is opened again; None unless it is lost."""
        # A camera that is gone does not stop it.
        self.alive_s = time.monotonic()
        # At once, while whoever wants the frames still gets ready for them.
        self._attempt = Attempt(open_source, telemetry)

    @property
    def ended(self) -> bool:
        """Whether there will be no more frames: it was closed."""
        return self._closed.is_set()

    def poll(self, timeout_s: float) -> Frame | None:
        """The newest frame that was not given yet; corrupt ones are counted and passed over.

        Returns:
            None if none came in time, or when it is closed. The camera may be gone meanwhile:
            each call goes on with getting it back.

        Raises:
            CameraHangsError: if only a new process can open the camera again.
        """
        end_s = time.monotonic() + timeout_s
        most_s = min(POLL_S, self._config.stall_limit_s / 4)
        while not self.ended:
            self.alive_s = time.monotonic()
            frame = self._next(min(max(0.0, end_s - self.alive_s), most_s))
            if frame is not None or time.monotonic() >= end_s:
                return frame
        return None

    def frames(self) -> Iterator[Frame]:
        """Yield what `poll` gives, until it is closed; raises as that does."""
        while not self.ended:
            if (frame := self.poll(POLL_S)) is not None:
                yield frame

    def close(self) -> None:
        """End `poll` and `frames` within a moment, whatever the camera does."""
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

    def _reopen(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._attempt = Attempt(self._open, self._telemetry)

    def _tell(self, tell: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed.is_set():
                tell()

    def _next(self, timeout_s: float) -> Frame | None:
        if self._wait_out_pause(timeout_s):
            return None
        frame = self._attempt.take(timeout_s)
        if frame is not None:
            self._note_streaming()
        elif not self.ended and (self._attempt.ended or self._stalled(self._attempt)):
            self._handle_loss(self._attempt)
        return frame

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

    def _note_streaming(self) -> None:
        if self._streams:
            return
        self._streams, self._wait_s = True, FIRST_WAIT_S
        if self._was_lost:
            log.info("camera: frames are back")
        self._tell(partial(self._telemetry.camera.streams, again=self._was_lost))
        self._was_lost = False

    def _handle_loss(self, attempt: "Attempt") -> None:
        attempt.abandon()
        problem = attempt.problem or "the stream ended"
        if self._telemetry.snapshot().camera.problem != problem:
            log.warning("camera: %s; trying again", problem)
        self._was_lost, self._streams = True, False
        self._tell(partial(self._telemetry.camera.lost, problem, stalled=attempt.stalled))
        if not self._wait_for_end(attempt):
            self._hanging.append(attempt)
            if attempt.hang_is_final:
                raise CameraHangsError(f"camera: {problem}, and it hangs: a new process is needed")
        self._hanging = [hanging for hanging in self._hanging if not hanging.join(0)]
        if len(self._hanging) > MAX_HANGING:
            raise CameraHangsError(
                f"camera: {len(self._hanging)} attempts to open it hang: a new process is needed"
            )
        self._pause_end_s = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, self._config.longest_wait_s)

    def _wait_for_end(self, attempt: "Attempt") -> bool:
        """Wait for a lost camera to end; false if it does not, true if all of this is closed."""
        end_s = time.monotonic() + CLOSE_LOST_S
        while not attempt.join(CLOSE_LOST_POLL_S):
            if self.ended or time.monotonic() >= end_s:
                return self.ended
        return True

    def _wait_out_pause(self, timeout_s: float) -> bool:
        """Wait out the pause after a loss, as long as there is time; then open the camera again."""
        if self._pause_end_s is None:
            return False
        rest_s = self._pause_end_s - time.monotonic()
        if self._closed.wait(min(max(0.0, rest_s), timeout_s)) or rest_s > timeout_s:
            return True
        self._pause_end_s = None
        self._reopen()
        return False


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
                self._telemetry.camera.corrupt_frame()
                return
            # Now, and not when it was captured: late frames are no stalled camera.
            self.since_s = time.monotonic()
            came = dropped = frame.outdated
            if frame.picture is not None:
                came, dropped = came + 1, dropped + (self._newest is not None)
                self._newest, self.has_frames = frame, True
                self._ready.notify()
            self._telemetry.camera.frames(
                came,
                dropped=dropped,
                captured_s=frame.captured_s,
                lag_s=frame.lag_s,
                size_px=frame.size_px,
            )
