"""What a live camera's capture promises when it ends, waits or is slow."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.camera import live
from device.camera.frame import Frame, FrameSource
from device.camera.live import LiveCapture
from device.camera.v4l2 import V4l2Camera
from device.errors import CameraHangsError, SourceError
from device.settings.sections import OPEN_TIMEOUT_S, CameraConfig
from device.telemetry.counters import Telemetry
from tests.support.pictures import picture
from tests.support.timing import eventually

QUICK = CameraConfig(stall_timeout_s=0.6, longest_wait_s=0.5)


class Camera(FrameSource):
    """One that is there or not; counts who has it open."""

    live = True

    def __init__(self, *, pause_s: float = 0.01) -> None:
        self.here = threading.Event()
        self.openings = self.readers = 0
        self.pause_s = pause_s

    def frames(self) -> Iterator[Frame]:
        self.openings += 1
        if not self.here.is_set():
            raise SourceError("gone")
        self.readers += 1
        try:
            while True:
                time.sleep(self.pause_s)
                yield Frame("#", picture(0, 1), captured_s=time.monotonic())
        finally:
            self.readers -= 1


class Taking:
    """Takes frames of a capture on a thread."""

    def __init__(self, open_source: Callable[[], FrameSource], config: CameraConfig) -> None:
        self.telemetry = Telemetry("test")
        self.capture = LiveCapture(open_source, config, self.telemetry)
        self.taken = 0
        self.fault: CameraHangsError | None = None
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    @property
    def status(self) -> Any:
        return self.telemetry.snapshot().camera

    def _take(self) -> None:
        try:
            for _ in self.capture.frames():
                self.taken += 1
        except CameraHangsError as error:
            self.fault = error


@pytest.fixture
def take() -> Iterator[Callable[..., Taking]]:
    started: list[Taking] = []

    def start(open_source: Callable[[], FrameSource], config: CameraConfig = QUICK) -> Taking:
        started.append(Taking(open_source, config))
        return started[-1]

    yield start
    for each in started:
        each.capture.close()
        each.thread.join(5)


# --- the end --------------------------------------------------------------------------------------


def test_a_camera_that_comes_back_is_not_opened_by_a_capture_that_was_closed(
    take: Callable[..., Taking],
) -> None:
    camera = Camera()
    taking = take(lambda: camera, replace(QUICK, longest_wait_s=60))
    eventually(lambda: camera.openings >= 3)
    # In a pause of a second by now.
    time.sleep(0.1)
    taking.capture.close()
    camera.here.set()
    openings = camera.openings
    taking.thread.join(5)
    assert not taking.thread.is_alive()
    assert taking.capture.wait_closed(5)
    assert camera.openings == openings and camera.readers == 0


@pytest.mark.parametrize("moment", range(40))
def test_whenever_it_is_closed_nothing_is_open_afterwards(moment: int) -> None:
    camera = Camera(pause_s=0.001)
    taking = Taking(lambda: camera, replace(QUICK, longest_wait_s=0.1))
    flicker = threading.Timer(moment / 2000, camera.here.set)
    flicker.start()
    time.sleep(moment / 1000)
    taking.capture.close()
    assert taking.capture.wait_closed(5)
    taking.thread.join(5)
    flicker.join()
    openings = camera.openings
    time.sleep(0.02)
    assert (camera.readers, camera.openings) == (0, openings)
    assert not taking.thread.is_alive()


def test_what_a_closed_capture_still_finds_is_not_told_of_the_camera_after_it(
    take: Callable[..., Taking], monkeypatch: pytest.MonkeyPatch
) -> None:
    camera, lost = Camera(), threading.Event()
    camera.here.set()
    taking = take(lambda: camera)
    eventually(lambda: taking.taken)
    find = LiveCapture._handle_loss

    def late(self: LiveCapture, attempt: Any) -> None:
        self.close()
        taking.telemetry.camera.connecting("another")
        find(self, attempt)
        lost.set()

    monkeypatch.setattr(LiveCapture, "_handle_loss", late)
    camera.pause_s = 5
    assert lost.wait(10)
    assert (taking.status.source, taking.status.state) == ("another", "connecting")


# --- waiting --------------------------------------------------------------------------------------


def test_a_long_pause_says_all_the_while_that_it_is_one(
    take: Callable[..., Taking], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watchdog hears of it, and a pause may last ten minutes."""
    monkeypatch.setattr(live, "FIRST_WAIT_S", 600.0)
    monkeypatch.setattr(live, "POLL_S", 0.1)
    camera = Camera()
    taking = take(lambda: camera, replace(QUICK, longest_wait_s=600))
    eventually(lambda: taking.status.state == "lost")
    for _ in range(3):
        seen_s = taking.capture.alive_s
        eventually(lambda seen_s=seen_s: taking.capture.alive_s > seen_s)  # type: ignore[misc]
    assert camera.openings == 1


# --- asked one by one ----------------------------------------------------------------------------


def test_who_asks_gets_the_newest_frame_once_and_nothing_when_there_is_no_newer_one() -> None:
    more, given = threading.Semaphore(0), [0]

    class Stepped(Camera):
        def frames(self) -> Iterator[Frame]:
            while more.acquire():
                given[0] += 1
                yield Frame(f"#{given[0]}", picture(0, 1), captured_s=time.monotonic())

    capture = LiveCapture(Stepped, replace(QUICK, stall_timeout_s=60), telemetry := Telemetry())
    assert capture.poll(0.01) is None
    more.release(3)
    eventually(lambda: telemetry.snapshot().camera.frames_total == 3)
    newest = capture.poll(0)
    assert newest is not None and newest.name == "#3"
    assert capture.poll(0.01) is None and not capture.ended
    assert telemetry.snapshot().camera.dropped_total == 2
    more.release()
    eventually(lambda: telemetry.snapshot().camera.frames_total == 4)
    newest = capture.poll(0)
    assert newest is not None and newest.name == "#4"
    capture.close()
    more.release()


def test_who_asks_again_and_again_gets_a_camera_back_that_was_gone() -> None:
    camera = Camera()
    patient = replace(QUICK, stall_timeout_s=60)
    capture = LiveCapture(lambda: camera, patient, telemetry := Telemetry())
    eventually(lambda: capture.poll(0.01) is None and camera.openings >= 2)
    assert telemetry.snapshot().camera.state == "lost"
    camera.here.set()
    eventually(lambda: capture.poll(0.01) is not None)
    status = telemetry.snapshot().camera
    assert (status.state, status.reconnects_total) == ("streaming", 1)
    capture.close()
    assert capture.ended and capture.poll(10) is None


@pytest.mark.parametrize("there", [True, False])
def test_closing_wakes_who_waits_for_a_frame(there: bool) -> None:
    camera = Camera(pause_s=600 if there else 0.01)
    if there:
        camera.here.set()
    config = replace(QUICK, stall_timeout_s=600, longest_wait_s=600)
    capture = LiveCapture(lambda: camera, config, Telemetry())
    waiting = threading.Thread(target=capture.poll, args=(600,), daemon=True)
    waiting.start()
    eventually(lambda: camera.openings)
    capture.close()
    waiting.join(10)
    assert not waiting.is_alive()


# --- slow cameras ---------------------------------------------------------------------------------


@given(st.floats(0.1, 1000), st.floats(0.2, 600))
def test_time_limits_leave_room_for_a_camera_as_slow_as_it_was_asked_to_be(
    fps: float, stall_timeout_s: float
) -> None:
    config = CameraConfig(fps=fps, stall_timeout_s=stall_timeout_s)
    assert config.stall_limit_s >= max(stall_timeout_s, 2 / fps)
    assert config.stall_limit_s <= max(stall_timeout_s, 2 / fps + 1)
    assert config.open_limit_s >= max(OPEN_TIMEOUT_S, 5 / fps)


def test_a_camera_slower_than_its_stall_limit_is_not_taken_for_lost(
    take: Callable[..., Taking],
) -> None:
    camera = Camera(pause_s=0.8)
    camera.here.set()
    taking = take(lambda: camera, replace(QUICK, fps=0.2))
    eventually(lambda: taking.taken >= 3)
    assert taking.status.stalls_total == 0 and camera.openings == 1


def test_a_slow_import_of_a_camera_s_library_is_no_camera_that_hangs(
    take: Callable[..., Taking], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.settings.sections.OPEN_TIMEOUT_S", 1.0)
    camera = Camera()
    camera.hang_is_final = True
    camera.here.set()

    def slow() -> FrameSource:
        time.sleep(2.5)
        return camera

    taking = take(slow)
    eventually(lambda: taking.taken >= 3)
    assert taking.fault is None and taking.status.stalls_total == 0


def test_an_import_that_never_ends_is_found_out_as_well(
    take: Callable[..., Taking], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "IMPORT_LIMIT_S", 0.3)

    def never() -> FrameSource:
        threading.Event().wait()
        raise AssertionError

    taking = take(never)
    eventually(lambda: taking.status.stalls_total >= 1)
    assert taking.status.state == "lost"


# --- cameras that only a new process gets back ----------------------------------------------------


class Av:
    """PyAV over a driver that lets one in at a time and never comes back after five frames."""

    class FFmpegError(OSError):
        pass

    class ExitError(FFmpegError):
        pass

    class InvalidDataError(FFmpegError):
        pass

    name, is_keyframe, dts, pts = "rawvideo", True, None, None

    def __init__(self) -> None:
        self.device = threading.Lock()

    def open(self, *_: Any, **__: Any) -> "Av":
        if not self.device.acquire(blocking=False):
            raise self.FFmpegError(16, "Device or resource busy")
        return self

    def __enter__(self) -> "Av":
        return self

    def __exit__(self, *_: object) -> None:
        self.device.release()

    @property
    def streams(self) -> "Av":
        return self

    @property
    def video(self) -> "list[Av]":
        return [self]

    @property
    def codec_context(self) -> "Av":
        return self

    def demux(self, _: Any) -> "Iterator[Av]":
        yield from [self] * 5
        threading.Event().wait()

    def decode(self, _: Any) -> list[Any]:
        class Decoded:
            key_frame, is_corrupt, side_data = True, False, ()
            width, height = 128, 96

            def to_ndarray(self, **_: Any) -> Any:
                return picture(0, 1)

        time.sleep(0.02)
        return [Decoded()]


def test_a_v4l2_camera_that_stalls_is_opened_anew_by_a_new_process(
    take: Callable[..., Taking], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread inside of the driver keeps the device: this process finds it busy for ever."""
    av = Av()
    for where in ("pyav", "v4l2"):
        monkeypatch.setattr(f"device.camera.{where}.pyav", lambda: av)
    taking = take(lambda: V4l2Camera("/dev/null", QUICK))
    eventually(lambda: taking.fault is not None)
    assert "a new process is needed" in str(taking.fault)


def test_a_frame_that_comes_before_it_is_wanted_is_decoded_when_it_is_taken() -> None:
    asked: list[int] = []

    class Early(FrameSource):
        live = True

        def frames(self) -> Iterator[Frame]:
            for number in range(9):
                yield Frame(f"#{number}", None, captured_s=number, decoder=partial(made, number))
            time.sleep(60)

    def made(number: int) -> Frame:
        asked.append(number)
        return Frame(f"#{number}", picture(0, 1), captured_s=99.0)

    telemetry = Telemetry("test")
    capture = LiveCapture(Early, QUICK, telemetry)
    eventually(lambda: telemetry.snapshot().camera.frames_total == 9)
    frame = capture.poll(1)
    capture.close()
    assert frame is not None and frame.picture is not None and frame.captured_s == 8
    status = telemetry.snapshot().camera
    assert asked == [8] and status.dropped_total == 8 and status.width_px > 0


def test_a_damaged_frame_that_is_decoded_when_it_is_taken_is_counted_and_skipped() -> None:
    class Damaged(FrameSource):
        live = True

        def frames(self) -> Iterator[Frame]:
            yield Frame("#0", None, decoder=lambda: Frame("#0", None, "damaged frame"))
            time.sleep(0.2)
            yield Frame("#1", picture(0, 1))
            time.sleep(60)

    telemetry = Telemetry("test")
    capture = LiveCapture(Damaged, QUICK, telemetry)
    frame = capture.poll(5)
    capture.close()
    assert frame is not None and frame.name == "#1"
    assert telemetry.snapshot().camera.corrupt_total == 1
