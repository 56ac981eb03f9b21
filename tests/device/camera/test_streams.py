"""What `device.camera.pyav` promises of films and network streams, on real ones made by PyAV."""

import itertools
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.camera.frame import Demand, Frame
from device.camera.http.camera import HttpCamera
from device.camera.live import LiveCapture
from device.camera.pictures import FilmClock
from device.camera.pyav import NetworkStream, VideoFile
from device.contract import photos
from device.contract.arrays import Pixels
from device.contract.orientation import Matrix, upright
from device.contract.photos import Decoded
from device.errors import SourceError
from device.inference.pace import Pace
from device.settings.sections import CameraConfig
from device.telemetry.counters import Telemetry
from tests.support.film_files import MATRICES, turn, write_pictures
from tests.support.peers.cameras import mjpeg_camera
from tests.support.peers.rtsp_camera import Habits, age_s, rtsp_camera
from tests.support.pictures import picture, write_video
from tests.support.timing import eventually

CONFIG = CameraConfig(stall_timeout_s=2.0)
RED, GREY = picture(0, 1, 128, 96), 12.0


def whole_pictures(address: str, count: int, *, first: int = 0) -> list[Pixels]:
    frames = (f for f in NetworkStream(address, CONFIG).frames() if f.picture is not None)
    taken = itertools.islice(frames, first, first + count)
    return [frame.picture for frame in taken if frame.picture is not None]


def difference(got: Pixels, expected: Pixels) -> float:
    assert got.shape == expected.shape
    return float(np.abs(got.astype(int) - expected.astype(int)).mean())


# --- transports ----------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "libx265"])
@pytest.mark.parametrize("transports", [("TCP",), ("UDP",), ("TCP", "UDP")])
def test_rtsp_is_read_over_tcp_and_where_that_is_refused_over_udp(
    codec: str, transports: tuple[str, ...]
) -> None:
    with rtsp_camera(Habits(codec, transports=transports)) as camera:
        (got,) = whole_pictures(camera.url, 1, first=5)
        assert difference(got, RED) < GREY
        assert camera.setups == (["TCP"] if "TCP" in transports else ["TCP", "UDP"])


@pytest.mark.parametrize("refusal", ["", "400 Bad Request", "500 Internal Server Error"])
def test_udp_is_tried_however_a_camera_refuses_tcp(refusal: str) -> None:
    with rtsp_camera(Habits(transports=("UDP",), refusal=refusal)) as camera:
        assert whole_pictures(camera.url, 1)


@pytest.mark.parametrize("refusal", ["461 Unsupported Transport", "400 Bad Request", ""])
def test_a_camera_that_takes_neither_transport_is_told_with_both(refusal: str) -> None:
    with rtsp_camera(Habits(transports=(), refusal=refusal)) as camera:
        with pytest.raises(SourceError) as fault:
            next(NetworkStream(camera.url, CONFIG).frames())
        assert "TCP" in str(fault.value) and "UDP" in str(fault.value)
        assert camera.setups == ["TCP", "UDP"]


def test_where_tcp_is_refused_properly_udp_is_had_over_the_same_connection() -> None:
    with rtsp_camera(Habits(transports=("UDP",))) as camera:
        assert whole_pictures(camera.url, 1)
        assert camera.connections == 1


@pytest.mark.slow
def test_udp_that_a_firewall_swallows_is_told_before_the_camera_is_given_up() -> None:
    config = CameraConfig(stall_timeout_s=1.0)
    with rtsp_camera(Habits(transports=("UDP",))) as camera:
        camera.loses = lambda: True
        telemetry = Telemetry("test")
        capture = LiveCapture(lambda: NetworkStream(camera.url, config), config, telemetry)
        threading.Thread(target=lambda: next(capture.frames(), None), daemon=True).start()
        eventually(lambda: telemetry.snapshot().camera.problem, within_s=30)
        problem = telemetry.snapshot().camera.problem
        capture.close()
        assert "UDP (a firewall?)" in problem


def test_an_absent_camera_is_not_asked_twice() -> None:
    with rtsp_camera() as camera:
        url = camera.url
    with pytest.raises(SourceError, match="refused") as fault:
        next(NetworkStream(url, CONFIG).frames())
    assert "UDP" not in str(fault.value)


# --- pictures ------------------------------------------------------------------------------------


def test_key_frames_in_pieces_are_whole_and_the_user_learns_how_to_mend_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with rtsp_camera(Habits("libx264", fps=20, key_interval=10, cut=True)) as camera:
        assert all(difference(got, RED) < GREY for got in whole_pictures(camera.url, 60))
    (record,) = caplog.records
    assert "config-interval=1" in record.getMessage()


@pytest.mark.slow
def test_a_stream_that_arrives_damaged_is_told_once_with_what_may_help(
    caplog: pytest.LogCaptureFixture,
) -> None:
    count = itertools.count()
    with rtsp_camera(Habits("libx264", fps=60, key_interval=20, transports=("UDP",))) as camera:
        # Enough gets through to see what the stream is.
        camera.loses = lambda: (n := next(count)) > 200 and n % 3 == 0
        frames = NetworkStream(camera.url, CONFIG).frames()
        damaged = [frame for frame in itertools.islice(frames, 400) if frame.error]
    assert len(damaged) >= 10
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1 and "damaged" in told[0] and "TCP instead of UDP" in told[0]


# --- films that lie on their side ----------------------------------------------------------------


@pytest.mark.parametrize("name", MATRICES)
def test_a_film_s_frames_come_upright_and_with_their_size(name: str, tmp_path: Path) -> None:
    numbers, shown = MATRICES[name]
    path = turn(write_pictures(tmp_path / "film.mp4", [RED] * 3), numbers)
    frames = [frame.picture for frame in VideoFile(path).frames()]
    assert len(frames) == 3
    for got in frames:
        assert got is not None and got.flags.c_contiguous
        assert difference(got, np.ascontiguousarray(shown(RED))) < GREY


def test_a_stream_s_frames_come_upright_too() -> None:
    with rtsp_camera(Habits("libx264", turned="rotate=90")) as camera:
        # FFmpeg's angle is counterclockwise. The first pictures may come without it: this encoder
        # says it with the picture after the key frame.
        pictures = whole_pictures(camera.url, 60)
    turned = list(itertools.dropwhile(lambda got: got.shape == RED.shape, pictures))
    assert len(turned) >= 20
    for got in turned:
        assert difference(got, np.ascontiguousarray(np.rot90(RED))) < GREY


# --- a decoder that falls behind -----------------------------------------------------------------


@pytest.mark.slow
def test_frames_of_a_decoder_that_is_too_slow_stay_young_and_tell_their_age() -> None:
    with rtsp_camera(Habits("libx264", fps=25, key_interval=25, stamped=True)) as camera:
        started_s, ages, told = time.monotonic(), [], []
        for frame in NetworkStream(camera.url, CONFIG).frames():
            if frame.picture is None:
                continue
            ages.append(age_s(frame.picture))
            told.append(time.monotonic() - frame.captured_s)
            # As if decoding took five times as long as the frame is shown.
            time.sleep(0.2)
            if time.monotonic() - started_s > 15:
                break
    # Without skipping the last one would be 12 s old.
    assert min(ages[-5:]) < 4 and max(ages) < 8
    # The first is as early as any so far, however long the camera held it: its age is told as 0.
    assert max(abs(np.array(ages) - np.array(told))[1:]) < 1


# --- what nobody looks at ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_rate_below_the_stall_limit_is_no_stall_and_its_frames_are_fresh() -> None:
    config, pace, telemetry = CameraConfig(stall_timeout_s=2.0), Pace(0.4), Telemetry("test")
    ages: list[float] = []
    with rtsp_camera(Habits("libx264", fps=25, key_interval=10, stamped=True)) as camera:

        def source() -> NetworkStream:
            return NetworkStream(camera.url, config, pace)

        capture = LiveCapture(source, config, telemetry)
        stop = threading.Event()
        pace.wait(stop)
        pace.taken()
        for frame in capture.frames():
            assert frame.picture is not None
            ages.append(age_s(frame.picture))
            if len(ages) == 4:
                break
            pace.wait(stop)
            pace.taken()
        capture.close()
    status = telemetry.snapshot().camera
    assert status.stalls_total == 0 and status.reconnects_total == 0
    # Two and a half seconds lie between two of them.
    assert np.median(ages) < 1
    assert status.frames_total > 100 and status.dropped_total >= status.frames_total - 10


def test_pictures_that_nobody_wants_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(Demand):
        due_s = time.monotonic() + 3600

    made = _counted(monkeypatch)
    with rtsp_camera(Habits("libx264", fps=60)) as camera:
        frames = NetworkStream(camera.url, CONFIG, Later()).frames()
        seen = list(itertools.islice(frames, 100))
    assert all(frame.is_passed_over for frame in seen) and not made


@pytest.mark.slow
def test_jpegs_that_nobody_wants_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    decode = photos.decode_lazily

    def noted(data: bytes) -> Decoded:
        decoded.append(data)
        return decode(data)

    monkeypatch.setattr(photos, "decode_lazily", noted)
    pace, stop, telemetry, ages = Pace(2.0), threading.Event(), Telemetry("test"), []
    with mjpeg_camera() as camera:
        opened = partial(HttpCamera, camera.url, CONFIG, pace)
        capture = LiveCapture(opened, CONFIG, telemetry)
        for _ in range(8):
            pace.wait(stop)
            frame = capture.poll(5)
            assert frame is not None and frame.picture is not None
            ages.append(time.monotonic() - frame.captured_s)
            pace.taken()
        capture.close()
    status = telemetry.snapshot().camera
    # Those that come until the first one is taken are all wanted.
    assert 8 <= len(decoded) < status.frames_total / 2 and not status.corrupt_total
    assert (status.width_px, status.height_px) == (128, 96)
    assert np.median(ages) < 0.25, "the newest one is taken, not the first since the last"


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    from device.camera import pictures

    made: list[Any] = []

    def counting(pixels: Pixels, matrix: Matrix) -> Pixels:
        made.append(1)
        return upright(pixels, matrix)

    monkeypatch.setattr(pictures, "upright", counting)
    return made


# --- a camera that falls silent ------------------------------------------------------------------


def test_a_stall_takes_its_time_limit_once() -> None:
    config, telemetry = CameraConfig(stall_timeout_s=2.0), Telemetry("test")
    lost_s: list[float] = []
    with rtsp_camera(Habits("libx264")) as camera:
        capture = LiveCapture(lambda: NetworkStream(camera.url, config), config, telemetry)
        frames: list[Frame] = []
        threading.Thread(target=lambda: frames.extend(capture.frames()), daemon=True).start()
        eventually(lambda: telemetry.snapshot().camera.frames_total > 10)
        camera.silent = True
        silent_s = time.monotonic()
        eventually(lambda: telemetry.snapshot().camera.state == "lost")
        lost_s.append(time.monotonic() - silent_s)
        status = telemetry.snapshot().camera
        assert "no frame for 2 s" in status.problem and status.stalls_total == 1
        capture.close()
    assert lost_s[0] < 1.8 * config.stall_timeout_s


def test_frames_of_a_film_know_when_they_are_shown_and_those_of_a_camera_do_not(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "film.mkv", "mpeg4")
    shown = [frame.film_s for frame in VideoFile(path).frames()]
    assert shown == pytest.approx([number / 10 for number in range(9)], abs=0.002)
    assert Frame("#0", picture(0, 1)).film_s is None


def test_the_clock_of_a_film_that_was_joined_from_two_does_not_go_back(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.ts", "mpeg4").read_bytes()
    path = tmp_path / "both.ts"
    path.write_bytes(one + one)
    shown = [frame.film_s for frame in VideoFile(path).frames() if frame.film_s is not None]
    assert len(shown) > 12 and shown == sorted(shown)
    assert shown[-1] - shown[0] < 3


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((None, None), (None, None)),
        ((1.0, None, 1.2), (1.0, 1.0, 1.2)),
        ((5.0, 5.1, 0.0, 0.2), (5.0, 5.1, 5.1, 5.3)),
    ],
)
def test_a_film_with_missing_or_wrong_times_has_one_clock(
    times: tuple[float | None, ...], expected: tuple[float | None, ...]
) -> None:
    clock = FilmClock()
    assert [clock.at(time_s) for time_s in times] == pytest.approx(list(expected))
