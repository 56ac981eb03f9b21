"""What `device` promises of cameras: right colours, the newest frame, and that it comes back."""

import struct
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.camera.auto import AutoCamera
from device.camera.frame import Frame, FrameSource
from device.camera.http.camera import HttpCamera
from device.camera.live import MAX_HANGING, LiveCapture
from device.camera.picamera import PiCamera, rgb_from_yuv420
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
from device.contract.preprocess import prepare_frame
from device.errors import CameraHangsError, SourceError
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry
from tests.support.peers.cameras import FakePicamera2, MjpegCamera, jpeg, mjpeg_camera
from tests.support.peers.rtsp_camera import rtsp_camera
from tests.support.pictures import RULES, picture
from tests.support.timing import Stopwatch, eventually, slowdown

QUICK = CameraConfig(stall_timeout_s=0.6, longest_wait_s=0.5)


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


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera() as server:
        yield server


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


# --- a camera on the network --------------------------------------------------------------------


def test_frames_of_an_http_stream_have_its_colours(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    eventually(lambda: len(watching.frames) > 3)
    got = watching.frames[-1].picture
    assert got is not None and got.shape == (96, 128, 3)
    assert np.abs(got.astype(int) - picture(0, 1, 128, 96)).mean() < 6
    assert watching.status.state == "streaming" and watching.status.problem == ""


def test_frames_are_back_soon_after_the_camera_returns(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    eventually(lambda: watching.frames)
    for times in (1, 2):
        camera.unplug()
        eventually(lambda: watching.status.state == "lost")
        assert watching.status.problem
        time.sleep(1.2)
        seen = len(watching.frames)
        camera.plug_in()
        assert eventually(lambda n=seen: len(watching.frames) > n) < 5 * slowdown()  # type: ignore[misc]
        assert watching.status.reconnects_total == times
        assert watching.status.state == "streaming"


def test_a_camera_that_is_missing_at_the_start_is_waited_for(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    camera.unplug()
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    eventually(lambda: "refused" in watching.status.problem)
    camera.plug_in()
    eventually(lambda: watching.frames)


def test_a_stream_that_stalls_is_counted_and_opened_anew(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    # The decoder's own time limit is far away: it is the capture that notices.
    patient = replace(QUICK, stall_timeout_s=60)
    watching = watch(lambda: HttpCamera(camera.url, patient))
    eventually(lambda: watching.frames)
    camera.frame = lambda: None
    assert eventually(lambda: watching.status.stalls_total == 1) < 3 * slowdown()
    assert watching.status.state == "lost" and "no frame for 0.6 s" in watching.status.problem
    seen = len(watching.frames)
    camera.frame = lambda: jpeg(1)
    eventually(lambda: len(watching.frames) > seen)
    assert camera.connections >= 2


def test_frames_of_a_new_size_mid_stream_are_fine(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    eventually(lambda: watching.frames)
    camera.frame = lambda: jpeg(1, 320, 200)
    eventually(lambda: (watching.status.width_px, watching.status.height_px) == (320, 200))
    assert watching.status.reconnects_total == 0 and camera.connections == 1


def test_corrupt_frames_are_counted_and_passed_over(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    good, number = jpeg(0), iter(range(10**9))
    camera.frame = lambda: good[: len(good) // 2] if next(number) % 3 == 2 else good
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    eventually(lambda: watching.status.corrupt_total >= 5)
    assert watching.status.frames_total >= 5 and watching.status.reconnects_total == 0
    assert all(frame.picture is not None for frame in watching.frames)


def test_a_stream_of_nothing_but_corrupt_frames_counts_as_stalled(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    eventually(lambda: watching.frames)
    broken = jpeg(0)[:200]
    camera.frame = lambda: broken
    eventually(lambda: watching.status.stalls_total >= 1)


def test_a_slow_reader_gets_the_newest_frame_and_nothing_queues(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    watching = watch(lambda: HttpCamera(camera.url, QUICK))
    watching.pause_s = 0.3
    eventually(lambda: len(watching.frames) >= 5)
    for before, frame in zip(watching.frames[1:], watching.frames[2:], strict=False):
        assert frame.captured_s - before.captured_s > 0.2
    assert watching.status.dropped_total > 10


def test_passwords_of_addresses_are_never_shown(watch: Callable[..., Watching]) -> None:
    address = "http://user:secret@127.0.0.1:9/stream"
    watching = watch(lambda: HttpCamera(address, QUICK))
    eventually(lambda: watching.status.problem)
    assert "secret" not in watching.status.problem


def test_rtsp_is_seen_from_its_first_key_frame_and_comes_back(
    watch: Callable[..., Watching],
) -> None:
    with rtsp_camera() as camera:
        time.sleep(0.1)
        watching = watch(lambda: NetworkStream(camera.url, QUICK))
        eventually(lambda: len(watching.frames) > 3)
        for frame in watching.frames:
            assert frame.picture is not None
            middle = frame.picture[40:56, 55:70].mean(axis=(0, 1))
            assert middle[0] > middle[2] + 80, "red, and not the grey of a missing key frame"
        camera.unplug()
        eventually(lambda: watching.status.state == "lost")
        camera.label = 2
        seen = len(watching.frames)
        camera.plug_in()
        assert eventually(lambda: len(watching.frames) > seen) < 5 * slowdown()
        last = watching.frames[-1].picture
        assert last is not None and last[40:56, 50:60, 2].mean() > 120
        camera.silent = True
        eventually(lambda: watching.status.stalls_total >= 1)


@pytest.mark.parametrize(
    ("most", "shape"), [(128 * 96, (96, 128, 3)), (128 * 96 - 1, (48, 64, 3)), (128 * 48 - 1, None)]
)
def test_a_film_s_frames_above_4k_come_at_half_size_and_far_above_are_refused(
    most: int, shape: tuple[int, ...] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(3):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture(0, number, 128, 96))))
        film.mux(stream.encode())
    monkeypatch.setattr("device.camera.pictures.MAX_FRAME_PIXELS", most)
    monkeypatch.setattr("device.camera.pictures.MAX_STREAM_PIXELS", 2 * most)
    frames = open_source(str(path), RULES).frames()
    if shape is None:
        with pytest.raises(SourceError, match=r"128x96 pixels are more than .* smaller stream"):
            list(frames)
        return
    got = [frame.picture for frame in frames if frame.picture is not None]
    assert [each.shape for each in got] == [shape] * 3
    middle = got[0][shape[0] // 2 - 4 : shape[0] // 2 + 4, shape[1] // 2].mean(axis=0)
    assert middle[0] > middle[2] + 80, "the disc is red"


# --- calls that never come back -------------------------------------------------------------------


class Hanging:
    """A camera whose driver never returns after a few frames."""

    live = True

    def __init__(self, frames: int, *, hang_is_final: bool = False) -> None:
        self._frames, self.hang_is_final = frames, hang_is_final

    def frames(self) -> Iterator[Frame]:
        for number in range(self._frames):
            yield Frame(f"#{number}", picture(0, 1), captured_s=time.monotonic())
            time.sleep(0.01)
        threading.Event().wait()


def test_a_hanging_driver_call_is_abandoned_and_the_camera_opened_anew(
    watch: Callable[..., Watching],
) -> None:
    attempts = iter(range(10**9))
    watching = watch(lambda: Hanging(3 if next(attempts) == 0 else 10**6))
    eventually(lambda: watching.status.stalls_total == 1)
    eventually(lambda: watching.status.reconnects_total == 1)
    assert watching.fault is None


def test_after_too_many_hanging_attempts_only_a_new_process_helps(
    watch: Callable[..., Watching],
) -> None:
    quicker = replace(QUICK, stall_timeout_s=0.2, longest_wait_s=0.1)
    watching = watch(lambda: Hanging(1), quicker)
    eventually(lambda: watching.fault is not None, within_s=20)
    assert isinstance(watching.fault, CameraHangsError)
    assert watching.status.stalls_total == MAX_HANGING + 1


def test_closing_does_not_wait_for_a_camera_that_hangs(watch: Callable[..., Watching]) -> None:
    watching = watch(lambda: Hanging(1))
    eventually(lambda: watching.frames)
    stopwatch = Stopwatch()
    watching.capture.close()
    assert not watching.capture.wait_closed(0.2)
    watching.thread.join(10)
    assert not watching.thread.is_alive() and stopwatch.fair_s < 1


# --- CSI cameras ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("rgb_lores", "tolerance"), [(True, 0.0), (False, 3.0)])
def test_red_stays_red_on_a_pi_5_and_through_the_yuv_of_a_pi_4(
    rgb_lores: bool, tolerance: float, picamera2: type[FakePicamera2]
) -> None:
    picamera2.rgb_lores = rgb_lores
    frame = next(PiCamera(CameraConfig()).frames())
    assert frame.picture is not None and frame.picture.shape == (480, 640, 3)
    seen = prepare_frame(frame.picture, RULES).astype(int)
    expected = prepare_frame(picamera2.scene, RULES).astype(int)
    assert np.abs(seen - expected).mean() <= tolerance
    middle = seen[40:56, 40:56].mean(axis=(0, 1))
    assert middle[0] > middle[2] + 80, "the disc is red, not blue"


def test_each_frame_is_one_request_and_each_request_is_released(
    picamera2: type[FakePicamera2],
) -> None:
    frames = PiCamera(CameraConfig()).frames()
    for _ in range(5):
        next(frames)
    (camera,) = picamera2.made
    assert len(camera.requests) == 5 and all(request.released for request in camera.requests)
    frames.close()  # type: ignore[attr-defined]
    assert camera.stopped


def test_a_csi_camera_that_hangs_ends_the_process_without_cleaning_up(
    picamera2: type[FakePicamera2], watch: Callable[..., Watching]
) -> None:
    picamera2.frames_before_hang = 3
    watching = watch(lambda: PiCamera(QUICK))
    eventually(lambda: watching.fault is not None)
    assert isinstance(watching.fault, CameraHangsError)
    (camera,) = picamera2.made
    assert not camera.stopped, "stop() would block for ever"


def test_without_picamera2_or_camera_the_remedy_is_named(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    picamera2.present = False
    with pytest.raises(SourceError, match="check its cable"):
        next(PiCamera(CameraConfig()).frames())
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        next(PiCamera(CameraConfig()).frames())


def test_padding_of_yuv_rows_is_not_in_the_picture() -> None:
    from tests.support.peers.cameras import yuv420

    rgb = picture(1, 2, 128, 96)
    got = [rgb_from_yuv420(yuv420(rgb, stride), 128, 96) for stride in (128, 192, 256)]
    np.testing.assert_array_equal(got[0], got[1])
    np.testing.assert_array_equal(got[0], got[2])


def test_white_and_black_of_yuv_are_white_and_black() -> None:
    from tests.support.peers.cameras import yuv420

    for value in (0, 255):
        flat = np.full((64, 64, 3), value, np.uint8)
        assert np.abs(rgb_from_yuv420(yuv420(flat, 64), 64, 64).astype(int) - value).max() <= 1


# --- which camera ---------------------------------------------------------------------------------


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
