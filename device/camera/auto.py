"""Which cameras this machine has."""

import fcntl
import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from device.camera import picamera
from device.camera.pyav import V4l2Camera, pyav
from device.camera.source import ALWAYS, Demand, Frame
from device.errors import SourceError
from device.settings.sections import CameraConfig

DEVICES = Path("/dev")
QUERY_CAPABILITIES = 0x80685600
"""VIDIOC_QUERYCAP, _IOR('V', 0, struct v4l2_capability), of Linux' videodev2.h."""
CAPABILITY = struct.Struct("=16s32s32sIII12x")
"""driver, card, bus, version, capabilities of all nodes, capabilities of this node."""
VIDEO_CAPTURE = 0x1
NO_PICTURES = frozenset(
    {"unicam", "rp1-cfe", "pispbe", "bcm2835-isp", "bcm2835-codec", "rpi-hevc-dec", "rpivid"}
)
"""Drivers of a Raspberry Pi whose nodes give raw sensor data or are no cameras."""


@dataclass(frozen=True)
class VideoNode:
    """One /dev/videoN as its driver describes it."""

    path: str
    driver: str
    card: str
    captures: bool


@dataclass(frozen=True)
class AutoCamera:
    """The first camera there is at the time: CSI, then V4L2; looked for at each attempt."""

    config: CameraConfig
    demand: Demand = ALWAYS
    live = True
    hang_is_final = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames of the camera found.

        Raises:
            SourceError: if there is none, or it fails.
        """
        if picamera.cameras():
            yield from picamera.PiCamera(self.config).frames()
            return
        node = choose(video_nodes())
        if node is None:
            raise SourceError("no camera found, neither CSI (picamera2) nor /dev/video*")
        yield from V4l2Camera(node.path, self.config, self.demand).frames()


def load() -> None:
    """Import what `AutoCamera` will need."""
    if not picamera.load():
        with suppress(SourceError):
            pyav()


def choose(nodes: Iterable[VideoNode]) -> VideoNode | None:
    """The first node that delivers pictures."""
    return next((n for n in nodes if n.captures and n.driver not in NO_PICTURES), None)


def video_nodes(devices: Path = DEVICES) -> Iterator[VideoNode]:
    """The video nodes that may be opened, in the order of their numbers."""
    numbered = ((re.fullmatch(r"video(\d+)", path.name), path) for path in devices.iterdir())
    for _, path in sorted((int(match[1]), path) for match, path in numbered if match):
        try:
            file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            answer = fcntl.ioctl(file, QUERY_CAPABILITIES, bytes(CAPABILITY.size))
            yield describe(str(path), answer)
        except OSError:
            continue
        finally:
            os.close(file)


def describe(path: str, answer: bytes) -> VideoNode:
    """Read the kernel's `struct v4l2_capability`."""
    driver, card, _, _, _, capabilities = CAPABILITY.unpack(answer)
    captures = bool(capabilities & VIDEO_CAPTURE)
    return VideoNode(path, _text(driver), _text(card), captures)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")
