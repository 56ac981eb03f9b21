"""USB and other Video4Linux cameras."""

import fcntl
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from device.camera.frame import EVERY_FRAME, Demand, Frame, FrameSource
from device.camera.pyav import live_frames, pyav
from device.errors import SourceError
from device.settings.sections import CameraConfig


@dataclass(frozen=True)
class V4l2Camera(FrameSource):
    """A USB or other Video4Linux camera."""

    device: str
    config: CameraConfig
    demand: Demand = EVERY_FRAME
    live = True
    # FFmpeg waits for a frame inside the driver, beyond any time limit, and keeps the device open
    # meanwhile: every further attempt would find it busy.
    hang_is_final = True

    def frames(self) -> Iterator[Frame]:
        """Yield frames as they come.

        Raises:
            SourceError: if it cannot be opened, or goes away.
        """
        pyav()
        if not Path(self.device).exists():
            raise SourceError(f"{self.device}: no such camera; is it plugged in?")
        options = {
            "video_size": f"{self.config.width_px}x{self.config.height_px}",
            "framerate": f"{self.config.fps:g}",
        }
        limit_s = self.config.open_limit_s
        yield from live_frames(
            self.device, self.config, self.demand, options, kind="v4l2", limit_s=limit_s
        )


DEVICES = Path("/dev")
QUERY_CAPABILITIES = 0x80685600
"""VIDIOC_QUERYCAP, _IOR('V', 0, struct v4l2_capability), of Linux' videodev2.h."""
CAPABILITY = struct.Struct("=16s32s32sIII12x")
"""driver, card, bus, version, capabilities of all nodes, capabilities of this node."""
VIDEO_CAPTURE = 0x1
NO_PICTURES = frozenset(
    {"unicam", "rp1-cfe", "pispbe", "bcm2835-isp", "bcm2835-codec", "rpi-hevc-dec", "rpivid"}
)
"""Drivers of a Raspberry Pi whose nodes give raw sensor data or are not cameras."""


@dataclass(frozen=True)
class VideoNode:
    """One /dev/videoN as its driver describes it."""

    path: str
    driver: str
    card: str
    captures: bool


def first_camera(nodes: Iterable[VideoNode]) -> VideoNode | None:
    """The first node that delivers pictures."""
    return next((n for n in nodes if n.captures and n.driver not in NO_PICTURES), None)


def video_nodes(devices: Path = DEVICES) -> Iterator[VideoNode]:
    """The video nodes that this process may open, by number."""
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
