"""The sink that notes a moment every ten seconds and tells what has changed (`device.drift`).

Writing what is known happens on this sink's thread, so that a disk that hangs keeps no frame
waiting.
"""

import hashlib
import json
import threading
import time
from pathlib import Path

from device import clock
from device.contract.accuracy import TAKEN_AT_THEIR_WORD, ScoreOffset
from device.contract.arrays import Pixels
from device.contract.preprocess import FrameResizer, Preprocessing, crop_box
from device.drift import kept, sample
from device.drift.day import Day
from device.drift.monitor import SAMPLE_S, Memory, Monitor, hour_of, is_blank
from device.drift.sample import AnswerFacts, Family, Sample
from device.drift.status import CURES, SAYS, DriftStatus
from device.errors import DriftStateError, OutputError
from device.outputs.drift.pictures import Pictures
from device.outputs.sink import log
from device.settings.region import region_pixels
from device.settings.sections import Config
from device.settings.state import drift_file, drift_folder
from device.telemetry.observation import ModelInfo, Observation
from device.telemetry.status import Status
from device.telemetry.unknown import UnknownRule

KEEP_S = 600.0
"""How often what is known is written: at most 150 kB while days are learned, and 20 kB later."""
RETRY_S = 60.0
SHARED = "another process also writes {}: give each service an output.collect.path of its own"
PREPARED = Preprocessing()
"""Pictures are made this small before facts are taken, whatever the model's input is."""


class Drift:
    """Follows the camera of the service; status and pictures may be asked for from any thread."""

    name = "drift"

    def __init__(self, config: Config) -> None:
        """Prepare; no file is touched before the model is known."""
        self._config = config
        self._pictures = Pictures(drift_folder(config))
        self._resizer = FrameResizer()
        self._model: ModelInfo | None = None
        self._monitor: Monitor | None = None
        self._answer: AnswerFacts | None = None
        """To the last frame that was classified since the last moment."""
        self._next_s = float("-inf")
        self._keep_s = float("inf")
        self._was_blank = False
        self._problem = self._no_picture = ""
        self._kept: tuple[int, int] | None = None
        """Which file was written last, by number and time."""
        self._acknowledged = threading.Event()
        self._status: DriftStatus | None = None

    @property
    def wants_pictures(self) -> bool:
        """Whether a moment is due."""
        return time.monotonic() >= self._next_s

    @property
    def drift(self) -> DriftStatus | None:
        """What is known; None until the model is, whose state may hold an alarm."""
        return self._status

    def acknowledge_drift(self) -> None:
        """What is seen now is usual from now on; takes effect within a second."""
        self._acknowledged.set()

    def drift_picture(self, which: str) -> bytes | None:
        """A JPEG of `pictures.THEN` or `pictures.NOW`; None if there is none."""
        return self._pictures.get(which)

    def needs(self, observation: Observation) -> bool:
        """Whether it has an answer, or the picture of a moment."""
        return observation.picture is not None or bool(observation.scores.any())

    def publish(self, observation: Observation) -> None:
        """Note an answer, and every ten seconds a moment."""
        monitor = self._monitor_of(observation.model)
        if observation.scores.any():
            self._answer = self._answer_in(observation)
        if observation.picture is None or not self.wants_pictures:
            return
        self._next_s = time.monotonic() + SAMPLE_S
        pixels = self._looked_at(observation)
        unix_s = observation.unix_s if clock.is_synchronized() else None
        day = monitor.memory.today
        closed = monitor.add(Sample(sample.look(pixels), self._answer), unix_s)
        self._answer = None
        if closed:
            self._heed(day)
        told = self._status.alarms if self._status else ()
        if closed or monitor.memory.place.alarm != (Family.PLACE in told):
            self._tell(monitor)
            self._keep_s = 0.0
        self._take(hour_of(unix_s), pixels, learning=monitor.memory.judge is None)

    def tick(self, status: Status) -> None:
        """Read what stands, even while the camera is lost; write what is known, now and then.

        Raises:
            OutputError: if it cannot be written.
        """
        if self._monitor is None and status.model is not None:
            self._monitor_of(status.model)
        if self._acknowledged.is_set() and self._monitor is not None:
            self._acknowledged.clear()
            self._monitor.acknowledge()
            self._pictures.forget()
            log.info("drift: acknowledged; usual days are learned from the beginning")
            self._tell(self._monitor)
            self._keep_s = 0.0
        if time.monotonic() >= self._keep_s:
            self._keep()
        if problem := self._problem or self._no_picture:
            raise OutputError(problem)

    def close(self) -> None:
        """Write what is known.

        Raises:
            OutputError: if it cannot be written.
        """
        self._keep()
        if self._problem:
            raise OutputError(self._problem)

    # --- moments ------------------------------------------------------------------------------

    def _answer_in(self, observation: Observation) -> AnswerFacts:
        rule = UnknownRule.of(observation.model.limit, self._config.smoothing.threshold)
        score, distance = float(observation.scores.max()), observation.distance
        unknown = rule.turns_away(score, distance)
        return sample.answer(observation.scores, unknown=unknown, distance=distance)

    def _offset_of(self, model: ModelInfo) -> ScoreOffset:
        """It was measured on what the bundle's own limit accepts."""
        is_own_limit = self._config.smoothing.threshold is None
        return model.score_offset if is_own_limit else TAKEN_AT_THEIR_WORD

    def _heed(self, day: Day) -> None:
        """Log once where a day showed nothing: from the first day on, no usual ones tell it."""
        before, self._was_blank = self._was_blank, is_blank(day)
        if self._was_blank and not before:
            cure = CURES[Family.CAMERA]
            log.warning("drift: all day the camera showed one colour, or darkness; %s", cure)

    def _take(self, hour: int, pixels: Pixels, *, learning: bool) -> None:
        # A tick tells it: frames between two moments would say that it works again.
        self._no_picture = ""
        try:
            self._pictures.take(hour, pixels, learning=learning)
        except OSError as error:
            where = drift_folder(self._config)
            self._no_picture = f"pictures cannot be kept in {where}: {error.strerror or error}"

    def _looked_at(self, observation: Observation) -> Pixels:
        """What of the frame is looked at, made small."""
        assert observation.picture is not None
        height, width = observation.picture.shape[:2]
        left, upper, right, lower = region_pixels(self._config.camera.region, width, height)
        inner = crop_box(right - left, lower - upper, PREPARED)
        box = (left + inner[0], upper + inner[1], left + inner[2], upper + inner[3])
        return self._resizer.prepare_box(observation.picture, box, PREPARED)

    # --- what is known ------------------------------------------------------------------------

    def _monitor_of(self, model: ModelInfo) -> Monitor:
        """The monitor of a model: what is known of another one is forgotten."""
        if self._monitor is None or self._model is None or _differ(model, self._model):
            self._answer = None
            self._monitor = Monitor(model.labels, self._known(model))
            self._keep_s = time.monotonic() + KEEP_S
            self._status = self._monitor.status(self._offset_of(model))
            # Whoever reads the log since this start must find what stands.
            for family in Family:
                log_change(family, DriftStatus(), self._status)
        self._model = model
        return self._monitor

    def _known(self, model: ModelInfo) -> Memory | None:
        path = drift_file(self._config)
        try:
            return kept.read(path, self._owner(model))
        except FileNotFoundError:
            return None
        except DriftStateError as error:
            log.warning("drift: %s; usual days are learned from the beginning", error)
            self._pictures.forget()
            return None

    def _owner(self, model: ModelInfo) -> str:
        """What the memory belongs to; hashed, because a camera's address may hold a secret."""
        camera = self._config.camera
        parts = [model.sha256, list(model.labels), camera.source, list(camera.region)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _tell(self, monitor: Monitor) -> None:
        """Take the new status, and log what has changed in it."""
        assert self._model is not None
        before, now = self._status or DriftStatus(), monitor.status(self._offset_of(self._model))
        self._status = now
        if now.learned_days == now.wanted_days > before.learned_days:
            log.info("drift: %d usual days are learned", now.learned_days)
        for family in Family:
            log_change(family, before, now)

    def _keep(self) -> None:
        if self._monitor is None or self._model is None:
            return
        path = drift_file(self._config)
        found, own = _stamp(path), self._kept
        is_shared = own is not None and found is not None and found != own
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept.write(path, self._owner(self._model), self._monitor.memory)
        except OSError as error:
            self._problem = f"what is known cannot be kept in {path}: {error.strerror or error}"
            self._keep_s = time.monotonic() + RETRY_S
        else:
            self._kept = _stamp(path)
            self._problem = SHARED.format(path) if is_shared else ""
            self._keep_s = time.monotonic() + KEEP_S


def log_change(family: Family, before: DriftStatus, now: DriftStatus) -> None:
    """Log one line when an alarm begins or ends."""
    is_new = family in now.alarms
    if is_new == (family in before.alarms):
        return
    found = now.families[family]
    if is_new:
        since = f" since {found.since}" if found.since else ""
        log.warning("drift: %s%s: %s; %s", SAYS[family], since, found.why, found.cure)
    else:
        log.info("drift: %s is as usual again", family)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Number and time of a file; None without one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _differ(one: ModelInfo, other: ModelInfo) -> bool:
    return (one.sha256, one.labels) != (other.sha256, other.labels)
