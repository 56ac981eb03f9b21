"""What `device` promises of cameras: right colours, the newest frame, and that it comes back."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.camera.frame import Frame
from device.camera.http.camera import HttpCamera
from device.camera.live import MAX_HANGING
from device.camera.pyav import NetworkStream
from device.camera.source import open_source
from device.errors import CameraHangsError, SourceError
from tests.device.camera.watching import PATIENT, QUICK, Watching
from tests.support.peers.cameras import MjpegCamera, jpeg, mjpeg_camera
from tests.support.peers.rtsp_camera import rtsp_camera
from tests.support.pictures import RULES, picture
from tests.support.timing import Stopwatch, eventually


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera() as server:
        yield server


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
    watching = watch(lambda: HttpCamera(camera.url, PATIENT), PATIENT)
    eventually(lambda: watching.frames)
    for times in (1, 2):
        camera.unplug()
        eventually(lambda: watching.status.state == "lost")
        assert watching.status.problem
        time.sleep(1.2)
        seen = len(watching.frames)
        camera.plug_in()
        eventually(lambda n=seen: len(watching.frames) > n, within_s=5)  # type: ignore[misc]
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
    eventually(lambda: watching.status.stalls_total == 1, within_s=3)
    assert watching.status.state == "lost" and "no frame for 0.6 s" in watching.status.problem
    seen = len(watching.frames)
    camera.frame = lambda: jpeg(1)
    eventually(lambda: len(watching.frames) > seen)
    assert camera.connections >= 2


def test_frames_of_a_new_size_mid_stream_are_fine(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    watching = watch(lambda: HttpCamera(camera.url, PATIENT), PATIENT)
    eventually(lambda: watching.frames)
    camera.frame = lambda: jpeg(1, 320, 200)
    eventually(lambda: (watching.status.width_px, watching.status.height_px) == (320, 200))
    assert watching.status.reconnects_total == 0 and camera.connections == 1


def test_corrupt_frames_are_counted_and_passed_over(
    camera: MjpegCamera, watch: Callable[..., Watching]
) -> None:
    good, number = jpeg(0), iter(range(10**9))
    camera.frame = lambda: good[: len(good) // 2] if next(number) % 3 == 2 else good
    watching = watch(lambda: HttpCamera(camera.url, PATIENT), PATIENT)
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
        eventually(lambda: len(watching.frames) > seen, within_s=5)
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


@pytest.mark.slow
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
