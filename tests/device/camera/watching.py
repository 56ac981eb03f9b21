"""Takes frames of a live camera, as the service does."""

import threading
import time
from collections.abc import Callable

from device.camera.frame import Frame, FrameSource
from device.camera.live import LiveCapture
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry

QUICK = CameraConfig(stall_timeout_s=0.6, longest_wait_s=0.5)
PATIENT = CameraConfig(stall_timeout_s=60, longest_wait_s=0.5)
"""Whatever else the machine does, a frame that comes late is no stall."""


class Watching:
    """Takes frames of a `LiveCapture` on a thread, as the preparing thread does."""

    def __init__(self, open_source: Callable[[], FrameSource], config: CameraConfig) -> None:
        self.telemetry = Telemetry("test")
        self.capture = LiveCapture(open_source, config, self.telemetry)
        self.frames: list[Frame] = []
        self.fault: Exception | None = None
        self.pause_s = 0.0
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    @property
    def status(self):  # type: ignore[no-untyped-def]
        return self.telemetry.snapshot().camera

    def _watch(self) -> None:
        try:
            for frame in self.capture.frames():
                self.frames.append(frame)
                time.sleep(self.pause_s)
        except Exception as error:
            self.fault = error
