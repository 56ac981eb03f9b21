"""Frames of a live camera that comes and goes.

The camera is read on a thread that can be abandoned: a decoder or driver call that never returns
costs that thread, not the service. Only the newest frame is kept.
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
"""The thread that waits for frames shows at least this often that it is alive."""
CLOSE_LOST_S, CLOSE_LOST_POLL_S = 0.5, 0.05
"""How long a lost camera may take to close, and how often to check whether it has."""
IMPORT_LIMIT_S = 120.0
"""For importing a camera's library: from a slow card at boot this takes many seconds."""
MAX_HANGING = 4
"""How many abandoned threads may hang at once; with more, a new process is safer."""


class LiveCapture(Polled):
    """The newest frames of a camera; reconnects forever, with growing pauses.

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
        # After `close` nothing is opened and no telemetry is written.
        self._lock = threading.Lock()
        self._hanging: list[Attempt] = []
        self._was_lost, self._streams = False, False
        self._wait_s = FIRST_WAIT_S
        self._pause_end_s: float | None = None
        """When the camera is opened again; None unless it is lost."""
        # Keeps going while the camera is lost.
        self.alive_s = time.monotonic()
        # At once: the camera opens while the consumer still starts up.
        self._attempt = Attempt(open_source, telemetry)

    @property
    def ended(self) -> bool:
        """Whether there will be no more frames: it was closed."""
        return self._closed.is_set()

    def poll(self, timeout_s: float) -> Frame | None:
        """The newest frame not returned yet; corrupt frames are counted and skipped.

        Returns:
            None if no frame came in time, or after `close`. If the camera is lost, each call goes
            on with getting it back.

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
        """Yield the frames of `poll` until it is closed; raises the same errors."""
        while not self.ended:
            if (frame := self.poll(POLL_S)) is not None:
                yield frame

    def close(self) -> None:
        """End `poll` and `frames` at once, whatever the camera is doing."""
        with self._lock:
            self._closed.set()
            self._attempt.abandon()

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until the camera is released; false if it still is not, or hangs."""
        deadline_s = time.monotonic() + timeout_s
        return all(a.join(max(0.0, deadline_s - time.monotonic())) for a in self._attempts())

    @property
    def patience_s(self) -> float:
        """How long a working camera may take to notice that it was closed."""
        return self._limit_s(self._attempt)

    @property
    def keeps_camera(self) -> bool:
        """Whether it still holds a camera, so that nothing else in this process can open it."""
        return any(a.hang_is_final and not a.join(0) for a in self._attempts())

    def _attempts(self) -> list["Attempt"]:
        return [*self._hanging, self._attempt]

    def _reopen(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._attempt = Attempt(self._open, self._telemetry)

    def _unless_closed(self, update: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed.is_set():
                update()

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
        self._unless_closed(partial(self._telemetry.camera.streams, again=self._was_lost))
        self._was_lost = False

    def _handle_loss(self, attempt: "Attempt") -> None:
        attempt.abandon()
        problem = attempt.problem or "the stream ended"
        if self._telemetry.snapshot().camera.problem != problem:
            log.warning("camera: %s; trying again", problem)
        self._was_lost, self._streams = True, False
        self._unless_closed(partial(self._telemetry.camera.lost, problem, stalled=attempt.stalled))
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
        """Wait for a lost camera to close; false if it does not, true if `close` was called."""
        end_s = time.monotonic() + CLOSE_LOST_S
        while not attempt.join(CLOSE_LOST_POLL_S):
            if self.ended or time.monotonic() >= end_s:
                return self.ended
        return True

    def _wait_out_pause(self, timeout_s: float) -> bool:
        """Wait out the pause after a loss, within the timeout; then open the camera again."""
        if self._pause_end_s is None:
            return False
        rest_s = self._pause_end_s - time.monotonic()
        if self._closed.wait(min(max(0.0, rest_s), timeout_s)) or rest_s > timeout_s:
            return True
        self._pause_end_s = None
        self._reopen()
        return False


class Attempt:
    """One attempt to read the camera, on its own thread, with a slot for the newest frame."""

    def __init__(self, open_source: Callable[[], FrameSource], telemetry: Telemetry) -> None:
        self._open = open_source
        self._telemetry = telemetry
        self._ready = threading.Condition()
        self._newest: Frame | None = None
        self._abandoned = False
        self.since_s = time.monotonic()
        """When the newest frame came; before the first, when the current step began."""
        self.opened = self.has_frames = self.stalled = False
        self.ended = False
        self.hang_is_final = False
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Frame | None:
        """Wait for the newest frame; None after the timeout or when there are no more."""
        with self._ready:
            self._ready.wait_for(lambda: self._newest is not None or self.ended, timeout_s)
            newest, self._newest = self._newest, None
        return self._decoded(newest) if newest and newest.decoder else newest

    def _decoded(self, frame: Frame) -> Frame | None:
        """What came before it was wanted, decoded now; None if it is damaged."""
        made = frame.decoded()
        with self._ready:
            if not self._abandoned and made.error:
                self._telemetry.camera.corrupt_frame()
            elif not self._abandoned:
                self._telemetry.camera.frames(
                    0, captured_s=made.captured_s, size_px=made.size_px, lag_s=made.lag_s
                )
        return None if made.error else made

    def abandon(self) -> None:
        """Ask the thread to close the camera, and do not wait for it."""
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
            # Drivers and decoders raise all kinds of errors; the next attempt may succeed.
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
                # The telemetry may belong to another camera by now.
                return
            if frame.error:
                self._telemetry.camera.corrupt_frame()
                return
            # Not the capture time: a camera whose frames come late has not stalled.
            self.since_s = time.monotonic()
            came = dropped = frame.outdated
            if not frame.is_passed_over:
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
