"""The `auto` source: the first camera that this machine has."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from device.camera import picamera
from device.camera.frame import EVERY_FRAME, Demand, Frame, FrameSource
from device.camera.pyav import pyav
from device.camera.v4l2 import V4l2Camera, first_camera, video_nodes
from device.errors import SourceError
from device.settings.sections import CameraConfig


@dataclass(frozen=True)
class AutoCamera(FrameSource):
    """The first camera found, CSI before V4L2; each attempt looks again."""

    config: CameraConfig
    demand: Demand = EVERY_FRAME
    live = True
    hang_is_final = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames of the camera found.

        Raises:
            SourceError: if there is none, or it fails.
        """
        if picamera.count_cameras():
            yield from picamera.PiCamera(self.config).frames()
            return
        node = first_camera(video_nodes())
        if node is None:
            raise SourceError("no camera found, neither CSI (picamera2) nor /dev/video*")
        yield from V4l2Camera(node.path, self.config, self.demand).frames()


def load() -> None:
    """Import what `AutoCamera` will need."""
    if not picamera.load():
        with suppress(SourceError):
            pyav()
