"""Which camera an address means, and which one `auto` takes."""

import os
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from device.camera.auto import AutoCamera
from device.camera.http.camera import HttpCamera
from device.camera.picamera import PiCamera
from device.camera.pyav import NetworkStream
from device.camera.source import open_source
from device.camera.v4l2 import (
    CAPABILITY,
    V4l2Camera,
    VideoNode,
    describe,
    first_camera,
    video_nodes,
)
from device.errors import SourceError
from device.settings.sections import CameraConfig
from tests.support.peers.cameras import FakePicamera2
from tests.support.pictures import RULES, encoded, picture


def test_auto_takes_the_csi_camera_first(picamera2: type[FakePicamera2]) -> None:
    frame = next(AutoCamera(CameraConfig()).frames())
    assert frame.name.startswith("picamera2")


def test_auto_passes_over_nodes_that_give_no_pictures() -> None:
    nodes = [
        VideoNode("/dev/video0", "unicam", "unicam", True),
        VideoNode("/dev/video10", "bcm2835-codec", "decode", False),
        VideoNode("/dev/video20", "uvcvideo", "Webcam metadata", False),
        VideoNode("/dev/video21", "uvcvideo", "Webcam", True),
    ]
    assert first_camera(nodes) == nodes[3]
    assert first_camera(nodes[:3]) is None


def test_the_kernel_s_description_of_a_video_node_is_read() -> None:
    assert CAPABILITY.size == struct.calcsize("16s32s32sII4I") == 104
    answer = CAPABILITY.pack(b"uvcvideo", b"HD Webcam", b"usb-1", 0x60000, 0x84A00001, 0x04200001)
    assert describe("/dev/video0", answer) == VideoNode(
        "/dev/video0", "uvcvideo", "HD Webcam", True
    )
    metadata = CAPABILITY.pack(b"uvcvideo", b"HD Webcam", b"usb-1", 0, 0x84A00001, 0x04A00000)
    assert not describe("/dev/video1", metadata).captures


def test_files_that_are_no_video_nodes_are_passed_over(tmp_path: Path) -> None:
    for name in ("video0", "video1", "videology", "null"):
        (tmp_path / name).write_bytes(b"")
    assert list(video_nodes(tmp_path)) == []


def test_a_camera_that_is_not_plugged_in_is_one_line() -> None:
    with pytest.raises(SourceError, match="is it plugged in"):
        next(V4l2Camera("/dev/video_that_is_not", CameraConfig()).frames())


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("auto", AutoCamera),
        ("picamera2", PiCamera),
        ("/dev/video7", V4l2Camera),
        ("rtsp://host/stream", NetworkStream),
        ("http://host/stream.mjpg", HttpCamera),
        ("https://host/stream.mjpg", HttpCamera),
    ],
)
def test_the_address_says_which_camera(address: str, kind: type) -> None:
    source = open_source(address, RULES)
    assert isinstance(source, kind) and source.live


def test_a_folder_in_memory_is_a_folder_and_no_camera() -> None:
    """Linux has its memory for files beside its devices."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        pytest.skip(f"no {memory} to write to")
    with TemporaryDirectory(dir=memory) as folder:
        Path(folder, "photo.png").write_bytes(encoded(picture(0, 1)))
        source = open_source(folder, RULES)
        assert not source.live and len([*source.frames()]) == 1


@pytest.mark.parametrize(("look", "size_px"), [("auto", (400, 300)), ("change", (800, 600))])
def test_photos_that_are_looked_at_are_decoded_at_full_size(
    tmp_path: Path, look: str, size_px: tuple[int, int]
) -> None:
    (tmp_path / "photo.jpg").write_bytes(encoded(picture(0, 1, 800, 600), "JPEG"))
    source = open_source(str(tmp_path), RULES, CameraConfig(look=look))
    (frame,) = source.frames()
    assert frame.size_px == size_px and not source.one_place
