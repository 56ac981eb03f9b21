"""Cameras that are watched, and a picamera2 without a camera."""

import sys
import types
from collections.abc import Callable, Iterator

import pytest

from device.camera.frame import FrameSource
from device.settings.sections import CameraConfig
from tests.device.camera.watching import QUICK, Watching
from tests.support.peers.cameras import FakePicamera2
from tests.support.pictures import picture


@pytest.fixture
def watch() -> Iterator[Callable[..., Watching]]:
    watching: list[Watching] = []

    def start(open_source: Callable[[], FrameSource], config: CameraConfig = QUICK) -> Watching:
        watching.append(Watching(open_source, config))
        return watching[-1]

    yield start
    for each in watching:
        each.capture.close()
        each.thread.join(5)


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    """picamera2, installed and with a camera that sees a red disc."""

    class Picamera2(FakePicamera2):
        made: "list[FakePicamera2]" = []  # noqa: RUF012
        scene = picture(0, 1, 640, 480)

    module = types.ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Picamera2
