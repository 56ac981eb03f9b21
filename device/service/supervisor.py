"""The service: supervises capture, inference, sinks and model from the main thread.

It handles signals, settings, temperature and shutdown. It blocks only on its own queue, so SIGTERM
ends the service within two seconds even if something hangs elsewhere.
"""

import logging
import queue
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from device.camera.frame import FrameSource
from device.camera.live import MAX_HANGING, LiveCapture
from device.camera.source import is_camera, open_source
from device.contract.preprocess import Preprocessing
from device.errors import CameraHangsError, SourceError, one_line
from device.inference.looking import Looking
from device.inference.pace import Pace
from device.inference.trial import LoadedModel
from device.outputs.running import RunningSinks
from device.service import visiting
from device.service.events import Event, ModelPassed, ModelRefused, Signal, SourceEnded
from device.service.inference_thread import InferenceThread
from device.service.model_watcher import ModelWatcher
from device.service.place_keeper import PlaceKeeper
from device.service.systemd import Notifier
from device.settings import sections
from device.settings.sections import CameraConfig, Config
from device.settings.state import background_file
from device.telemetry.board import BoardSensors, must_slow
from device.telemetry.counters import Telemetry
from device.telemetry.status import BoardStatus, rounded_rate

log = logging.getLogger("fieldguide")

WAKE_S = 0.5
BOARD_INTERVAL_S = 2.0
STATUS_INTERVAL_S = 5.0
CAMERA_CLOSE_S = 0.3


class Service:
    """Everything that runs, and how it ends."""

    def __init__(self, path: Path, *, board: BoardSensors | None = None) -> None:
        """Read the settings and start sinks, camera and model; call it from the main thread.

        Raises:
            FieldguideError: if the settings are wrong, or a sink cannot start.
        """
        self._path = path
        # Not a threading.Event: a signal handler may interrupt this thread inside its lock.
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        # Before the settings are read: a signal tells that what was read until then may be old.
        signal.signal(signal.SIGHUP, self._on_signal(Signal.RELOAD))
        self._config = sections.load(path)
        self._board = board or BoardSensors()
        self._telemetry = Telemetry(self._config.camera.source)
        self._notifier = Notifier()
        self._inference: InferenceThread | None = None
        self._model: LoadedModel | None = None
        # Shared by all sources: cameras also ask it when the next frame is wanted.
        self._pace = Pace()
        self._looking = Looking(background_file(self._config))
        self._place = PlaceKeeper(self._looking, self._config)
        self._visiting = visiting.resumed(self._config)
        self._hanging = False
        self._leaving: list[tuple[LiveCapture, float]] = []
        """Closed captures that still hold their cameras, and until when they may."""
        self._run_number = 0
        self._board_checked_s = self._status_sent_s = float("-inf")
        self._sinks = RunningSinks(self._config, self._telemetry)
        self._capture = self._start_capture(self._config.camera)
        self._models = ModelWatcher(self._config, self._telemetry, self._accept, self._refuse)

    @property
    def hangs(self) -> bool:
        """Whether a hanging thread was left behind that may keep the process from ending."""
        return self._hanging or self._sinks.left_behind

    def run(self) -> int:
        """Serve until a signal, the end of a file, or an error; returns 0.

        Raises:
            FieldguideError: the error that ended it.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal(Signal.STOP))
        try:
            while self._handle(self._next_event()):
                self._periodic_checks()
        finally:
            self._close()
        return 0

    def _on_signal(self, event: Signal) -> Callable[[int, FrameType | None], None]:
        return lambda _number, _frame: self._events.put(event)

    def _next_event(self) -> Event | None:
        try:
            return self._events.get(timeout=WAKE_S)
        except queue.Empty:
            return None

    def _handle(self, event: Event | None) -> bool:
        """Act on an event, if there is one; false when the service should end."""
        match event:
            case Signal.STOP:
                return False
            case Signal.RELOAD:
                self._reload()
            case ModelPassed(model):
                self._take_model(model)
            case ModelRefused(fault):
                raise fault
            case SourceEnded(run_number, fault):
                return self._report_end_of_source(run_number, fault)
        return True

    def _report_end_of_source(self, run_number: int, fault: BaseException | None) -> bool:
        if run_number != self._run_number:
            # From a source that is no longer in use.
            return True
        if fault is not None:
            raise fault
        self._report_corrupt_pictures()
        return False

    def _report_corrupt_pictures(self) -> None:
        """Log how many pictures of a file or folder were damaged; raise if all of them were."""
        status = self._telemetry.snapshot()
        corrupt = status.camera.corrupt_total
        if corrupt and not status.inferences_total:
            source = status.camera.source
            raise SourceError(f"{source}: none of {corrupt} pictures could be decoded")
        if corrupt:
            log.warning("camera: %d pictures could not be decoded", corrupt)

    # --- model --------------------------------------------------------------------------------

    def _accept(self, model: LoadedModel) -> None:
        self._events.put(ModelPassed(model))

    def _refuse(self, fault: Exception) -> None:
        # Without a first model there is nothing to run.
        self._events.put(ModelRefused(fault))

    def _finish(self, run_number: int, fault: BaseException | None) -> None:
        self._events.put(SourceEnded(run_number, fault))

    def _take_model(self, model: LoadedModel) -> None:
        self._model = model
        if self._inference is not None:
            self._inference.swap(model)
            return
        source = self._capture or self._open_files(self._config.camera)
        # Before the inference thread starts, because that feeds the watchdog: the service manager
        # starts counting here.
        self._notifier.ready()
        self._start_inference(model, source)

    def _open_files(self, camera: CameraConfig) -> FrameSource:
        model = self._model
        rules = Preprocessing() if model is None else model.classifier.preprocessing
        return open_source(camera.source, rules, camera)

    def _start_inference(
        self, model: LoadedModel, source: FrameSource, after: InferenceThread | None = None
    ) -> None:
        self._run_number += 1
        self._inference = InferenceThread(
            source,
            model,
            self._config,
            lambda: self._sinks.threads,
            self._telemetry,
            self._notifier,
            partial(self._finish, self._run_number),
            after=after,
            pace=self._pace,
            looking=self._looking,
            visiting=self._visiting,
        )

    def _start_capture(self, camera: CameraConfig) -> LiveCapture | None:
        if not is_camera(camera.source):
            return None
        return LiveCapture(
            lambda: open_source(camera.source, Preprocessing(), camera, self._pace),
            camera,
            self._telemetry,
        )

    # --- settings -----------------------------------------------------------------------------

    def _reload(self) -> None:
        # Until there is a first model the service manager still waits for the start.
        started = self._inference is not None
        if started:
            self._notifier.reloading()
        try:
            self._apply(sections.load(self._path))
        except Exception as error:
            # Any error at all: the service goes on with the old settings.
            problem = one_line(error)
            log.error("settings not accepted, the old ones stay in use: %s", problem)
            self._telemetry.reloaded(problem)
        else:
            log.info("settings reloaded")
            self._telemetry.reloaded()
        self._models.look()
        if started:
            self._notifier.ready()

    def _apply(self, new: Config) -> None:
        old = self._config
        # Settings that are read for each frame need no new source.
        other_camera = _opened_by(new.camera) != _opened_by(old.camera)
        files = None
        if other_camera and not is_camera(new.camera.source):
            # Before closing anything: if this fails, the running source must go on.
            files = self._open_files(new.camera)
        self._sinks.change(new)
        self._config = new
        if self._inference is not None:
            self._inference.config = new
        if other_camera:
            self._change_source(old.camera, files)
        self._models.reconfigure(new)
        self._place.reconfigure(new)
        self._board_checked_s = float("-inf")

    def _change_source(self, old: CameraConfig, files: FrameSource | None) -> None:
        """Switch to another camera, or to files that have been opened already."""
        before, self._inference = self._inference, None
        # Events of the old source are ignored from here on.
        self._run_number += 1
        self._close_capture(before)
        self._leave_place(old)
        self._telemetry.camera.connecting(self._config.camera.source)
        self._capture = self._start_capture(self._config.camera)
        source = self._capture or files
        if before is not None and self._model is not None and source is not None:
            self._start_inference(self._model, source, before)

    def _leave_place(self, old: CameraConfig) -> None:
        """Forget what a source showed that has stopped: earlier, it could still add a frame."""
        source = self._config.camera.source
        if source != old.source:
            self._looking.forget()
        # A film that is opened again starts from its beginning, and so does its clock.
        if source != old.source or not is_camera(source):
            self._visiting.leave()

    # --- the rest -----------------------------------------------------------------------------

    def _periodic_checks(self) -> None:
        now_s = time.monotonic()
        self._check_leaving_captures(now_s)
        if now_s >= self._board_checked_s + BOARD_INTERVAL_S:
            self._board_checked_s = now_s
            self._apply_heat_limit()
        if now_s >= self._status_sent_s + STATUS_INTERVAL_S:
            self._status_sent_s = now_s
            self._notifier.status(self._summary())

    def _check_leaving_captures(self, now_s: float) -> None:
        """End the service if this process cannot get a closed camera back.

        Raises:
            CameraHangsError: so that a new process opens the camera in the settings.
        """
        self._leaving = [(c, until_s) for c, until_s in self._leaving if not c.wait_closed(0)]
        hanging = [capture for capture, until_s in self._leaving if now_s > until_s]
        if len(hanging) > MAX_HANGING or any(capture.keeps_camera for capture in hanging):
            raise CameraHangsError("camera: the previous camera hangs: a new process is needed")

    def _apply_heat_limit(self) -> None:
        settings, board = self._config.inference, self._board
        temperature_c, throttled = board.temperature_c(), board.throttled()
        before = self._telemetry.snapshot().board.slowed
        slowed = must_slow(temperature_c, throttled, settings.hot_c, slowed=before)
        if slowed != before:
            log.warning(
                "board: %s, %s",
                _describe_heat(temperature_c, throttled),
                "slower" if slowed else "normal",
            )
        self._telemetry.board(BoardStatus(temperature_c, throttled, slowed))
        if self._inference is not None:
            limit = min(settings.hot_fps, settings.max_fps) if slowed else settings.max_fps
            self._pace.max_fps = limit

    def _summary(self) -> str:
        status = self._telemetry.snapshot()
        problem = status.camera.problem
        camera = f"{status.camera.state}: {problem}" if problem else status.camera.state
        count = status.inferences_total
        labels = f"{count} label" if count == 1 else f"{count} labels"
        return f"{labels}, {rounded_rate(status.fps)} frames/s, camera {camera}"

    def _close(self) -> None:
        self._notifier.stopping()
        self._models.stop()
        self._close_capture(self._inference)
        # Beside the sinks: all together must not take longer than two seconds.
        self._place.start_closing()
        self._sinks.close()
        if not self._place.close():
            self._hanging = True

    def _close_capture(self, inference: InferenceThread | None) -> None:
        if self._capture is not None:
            self._capture.close()
        if inference is not None and not inference.close():
            self._hanging = True
        if self._capture is not None and not self._capture.wait_closed(CAMERA_CLOSE_S):
            self._hanging = True
            until_s = time.monotonic() + self._capture.patience_s
            self._leaving.append((self._capture, until_s))


def _opened_by(camera: CameraConfig) -> CameraConfig:
    """The settings by which a camera is opened; those that are read for each frame are left out."""
    fresh = CameraConfig()
    return replace(
        camera,
        region=fresh.region,
        look=fresh.look,
        mask=fresh.mask,
        most_subjects=fresh.most_subjects,
        absorb_s=fresh.absorb_s,
    )


def _describe_heat(temperature_c: float | None, throttled: int | None) -> str:
    degrees = "no temperature" if temperature_c is None else f"{temperature_c:.0f} degrees C"
    return degrees if throttled is None else f"{degrees}, throttled={throttled:#x}"
