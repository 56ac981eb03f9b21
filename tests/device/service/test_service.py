"""What `python -m device serve` promises, seen from outside: lines, signals, faults, its end."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.contract import bundle as contract
from device.service.supervisor import Service
from tests.support.device.bundle_files import read_folder, resealed
from tests.support.device.running_service import copied, manager, running, settings
from tests.support.peers.cameras import MjpegCamera, jpeg, mjpeg_camera
from tests.support.pictures import encoded, picture
from tests.support.places import ROOT
from tests.support.timing import eventually

STOP_LIMIT_S, STALL = 2.0, "stall_timeout_s = 1.0"
SMOOTHED, EACH_ALONE = "time_constant_s = 0.1\n", "time_constant_s = 0\nhysteresis = 0.0\n"


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera() as server:
        yield server


def test_a_camera_s_frames_become_labels_and_a_change_of_scene_a_change(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    with running(tmp_path, settings(tiny_bundle, camera.url)) as service:
        service.wait_for_lines(5)
        camera.frame = lambda: jpeg(2)
        eventually(lambda: service.lines[-1]["label"] == "blue")
        status, took_s = service.stop()
    assert status == 0 and took_s < STOP_LIMIT_S
    changes = [line["label"] for line in service.lines if line["changed"]]
    assert changes == ["red", "blue"]
    for line in service.lines:
        assert line["latency_ms"] >= line["invoke_ms"] > 0
        assert abs(line["time"] - time.time()) < 60
    frames = [line["frame"] for line in service.lines]
    assert frames == sorted(set(frames))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_camera_that_hangs_does_not_keep_the_service_from_stopping(
    number: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    # A server that accepts and never says a word: the decoder waits inside of a C call.
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with running(tmp_path, settings(tiny_bundle, source)) as service:
            service.wait_for_log("model: tiny")
            status, took_s = service.stop(number)
    assert status == 0 and took_s < STOP_LIMIT_S
    assert not service.lines


def test_stopping_while_the_model_is_still_tested_takes_no_longer(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    with running(tmp_path, settings(tiny_bundle, camera.url)) as service:
        eventually(lambda: camera.connections or service.ended)
        status, took_s = service.stop()
    assert status == 0 and took_s < STOP_LIMIT_S


def test_frames_are_back_after_the_camera_was_gone(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    # On a busy machine a second without a frame would be one more loss.
    text = settings(tiny_bundle, camera.url).replace(STALL, "stall_timeout_s = 60")
    with running(tmp_path, text) as service:
        service.wait_for_lines(3)
        camera.unplug()
        service.wait_for_log("trying again")
        time.sleep(1)
        seen = len(service.lines)
        camera.plug_in()
        eventually(lambda: len(service.lines) > seen, within_s=5)
        service.stop()
    log = [line for line in service.log if "camera" in line]
    assert sum("frames are back" in line for line in log) == 1
    assert len(log) < 6, "a lost camera does not fill the log"


def test_a_folder_is_served_to_its_end(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.png").write_bytes(encoded(picture(number % 3, number)))
    (folder / "3.png").write_text("no photo")
    more = "[output.json]\nonly_changes = true\n[inference]\nmax_fps = 20"
    text = settings(tiny_bundle, str(folder), more)
    with running(tmp_path, text.replace(SMOOTHED, EACH_ALONE)) as service:
        assert service.wait() == 0
    assert [line["source"] for line in service.lines] == [
        str(folder / f"{number}.png") for number in (0, 1, 2, 4, 5)
    ]


@pytest.mark.slow
def test_a_csi_camera_that_hangs_ends_the_service_for_its_manager_to_restart(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    # picamera2's own stop() would block for ever, and so must not be called.
    (tmp_path / "picamera2.py").write_text(
        "from tests.support.peers.cameras import FakePicamera2\n"
        "class Picamera2(FakePicamera2):\n"
        "    made, frames_before_hang = [], 1000\n"
        "    def stop(self): import threading; threading.Event().wait()\n"
    )
    path = f"{tmp_path}:{ROOT}"
    with running(tmp_path, settings(tiny_bundle, "picamera2"), PYTHONPATH=path) as service:
        service.wait_for_lines(3)
        assert service.wait() == 1
    assert service.log[-1].startswith("error: camera: no frame for 1 s")
    assert not any("Traceback" in line for line in service.log)


@pytest.mark.slow
def test_the_frame_rate_drops_while_the_firmware_throttles(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    command, word = tmp_path / "vcgencmd", tmp_path / "word"
    command.write_text(f"#!/bin/sh\nexec cat {word}\n")
    command.chmod(0o755)
    word.write_text("throttled=0x0")
    more = "[inference]\nhot_fps = 0.5\nhot_c = 150\n"
    path = f"{tmp_path}:{os.environ['PATH']}"
    with running(tmp_path, settings(tiny_bundle, camera.url, more), PATH=path) as service:
        service.wait_for_lines(20)
        word.write_text("throttled=0x4")
        service.wait_for_log("slower")
        # The first of them may have been on their way.
        service.wait_for_lines(4)
        before_s, last_s = (line["time"] for line in service.lines[-2:])
        assert last_s - before_s > 1, "not 25 ms, as the camera's frames come"
        word.write_text("throttled=0x40000")
        service.wait_for_log("normal")
        service.wait_for_lines(20)
        service.stop()


# --- hot swap -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_replaced_bundle_is_swapped_in_and_a_broken_one_is_not(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    current = tmp_path / "current"
    current.symlink_to(copied(tiny_bundle, tmp_path / "a"))
    renamed = resealed({**read_folder(tiny_bundle), contract.LABELS: b"rouge\nvert\nbleu\n"})
    broken = {**renamed, contract.MODEL: renamed[contract.MODEL][:-9]}
    photos = long_folder(tmp_path / "photos")
    # Each label is another than the one before: lines of changes are never left out.
    text = settings(current, str(tmp_path / "photos"), "[inference]\nmax_fps = 20\n")
    with running(tmp_path, text.replace(SMOOTHED, EACH_ALONE)) as service:
        service.wait_for_lines(3)
        point(current, tmp_path / "b", broken)
        service.wait_for_log("truncated")
        service.wait_for_lines(10)
        assert service.lines[-1]["label"] in ("red", "green", "blue")
        point(current, tmp_path / "c", renamed)
        eventually(lambda: service.lines[-1]["label"] in ("rouge", "vert", "bleu"))
        service.wait_for_lines(10)
        assert service.stop()[0] == 0
    assert sum("the previous one keeps running" in line for line in service.log) == 1
    assert [line["source"] for line in service.lines] == photos[: len(service.lines)], (
        "no frame was lost in the swap"
    )


def long_folder(folder: Path) -> list[str]:
    """Red, green, blue, and again and again: more photos than a test waits for."""
    folder.mkdir()
    for label in range(3):
        (folder / f"{label:04}.png").write_bytes(encoded(picture(label, 1)))
    for number in range(3, 6000):
        (folder / f"{number:04}.png").hardlink_to(folder / f"{number % 3:04}.png")
    return [str(folder / f"{number:04}.png") for number in range(6000)]


def test_a_model_that_crashes_its_self_test_never_reaches_the_service(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    current = copied(tiny_bundle, tmp_path / "a")
    files = read_folder(tiny_bundle)
    with running(tmp_path, settings(current, camera.url)) as service:
        service.wait_for_lines(3)
        # Sealed by a forger: every hash is right, the model is noise.
        forged = resealed({**files, contract.MODEL: files[contract.MODEL][:64] + os.urandom(4096)})
        for name, data in forged.items():
            (current / name).write_bytes(data)
        service.wait_for_log("the previous one keeps running")
        service.wait_for_lines(10)
        assert service.stop()[0] == 0


def point(current: Path, folder: Path, files: dict[str, bytes]) -> None:
    """Write a bundle beside, then switch the pointer, as an update does."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    new = current.with_name("new")
    new.symlink_to(folder)
    new.replace(current)


# --- service manager ----------------------------------------------------------------------------


def test_a_reload_before_the_model_is_there_is_no_end_of_the_start(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager would feed its watchdog's clock from there on, and nothing else yet could."""
    path = tmp_path / "fieldguide.toml"
    path.write_text(settings(tiny_bundle, camera.url))
    with manager(tmp_path) as (address, messages):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        service = Service(path)
        # What the model's thread has to say waits for `run`.
        service._reload()
        service._close()
        eventually(lambda: "STOPPING=1" in messages)
    assert messages == ["STOPPING=1"]


def test_the_manager_hears_ready_watchdog_reload_and_stop_in_order(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    with manager(tmp_path) as (address, messages):
        good = settings(tiny_bundle, camera.url)
        with running(tmp_path, good, NOTIFY_SOCKET=address) as service:
            eventually(lambda: messages.count("WATCHDOG=1") >= 2)
            service.reload(good)
            eventually(lambda: any(m.startswith("RELOADING=1\nMONOTONIC_USEC=") for m in messages))
            eventually(lambda: messages.count("READY=1") == 2)
            service.stop()
        eventually(lambda: "STOPPING=1" in messages)
    assert messages.index("READY=1") < messages.index("WATCHDOG=1")
    assert any(m.startswith("STATUS=") for m in messages)


STARTING = "StatusText=0 labels, 0.0 frames/s, camera connecting"


@pytest.mark.slow
def test_a_rollout_sees_the_labels_of_a_service_that_gives_one_every_20_seconds(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    health = (ROOT / "device" / "deploy" / "tasks" / "health.yml").read_text()
    (pattern,) = set(re.findall(r"search\('(StatusText=.*?)'\)", health))
    text = settings(tiny_bundle, camera.url, "[inference]\nmax_fps = 0.05\n")

    def told(messages: list[str]) -> list[str]:
        return [f"StatusText={m.removeprefix('STATUS=')}" for m in messages if "STATUS=" in m]

    with (
        manager(tmp_path) as (address, messages),
        running(tmp_path, text, NOTIFY_SOCKET=address) as service,
    ):
        eventually(lambda: told(messages) and re.search(pattern, told(messages)[-1]), 20)
        assert len(service.lines) == 1
    # On a busy machine the first status may come after the first label.
    before = [status for status in told(messages) if "=0 labels" in status]
    assert not any(re.search(pattern, status) for status in (*before, STARTING))


@pytest.mark.slow
def test_the_watchdog_is_fed_while_the_camera_is_gone(tiny_bundle: Path, tmp_path: Path) -> None:
    with manager(tmp_path) as (address, messages):
        source = "http://127.0.0.1:9/"
        with running(tmp_path, settings(tiny_bundle, source), NOTIFY_SOCKET=address) as service:
            eventually(lambda: messages.count("WATCHDOG=1") >= 2)
            service.stop()
    assert not service.lines


@pytest.mark.slow
def test_a_reader_that_stops_reading_does_not_stop_the_service(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keep = os.open(fifo, os.O_RDWR)
    filling = threading.Thread(target=fill, args=(keep,), daemon=True)
    filling.start()
    filling.join()
    try:
        with manager(tmp_path) as (address, messages):
            text = settings(tiny_bundle, camera.url, f'[output.json]\npath = "{fifo}"')
            with running(tmp_path, text, NOTIFY_SOCKET=address) as service:
                eventually(lambda: messages.count("WATCHDOG=1") >= 3)
                status, took_s = service.stop()
    finally:
        os.close(keep)
    assert status == 0 and took_s < STOP_LIMIT_S
    assert any("does not close" in line for line in service.log)


def fill(file: int) -> None:
    os.set_blocking(file, False)
    try:
        while True:
            os.write(file, b"x" * 4096)
    except BlockingIOError:
        pass
