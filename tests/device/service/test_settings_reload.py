"""What `python -m device serve` promises of its settings: one line for a mistake, and SIGHUP."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from device.service.events import Signal
from device.service.supervisor import Service
from device.settings import sections
from device.settings.sections import Config
from tests.support.cli import Call, assert_one_error_line, device
from tests.support.device.running_service import running, settings
from tests.support.peers.cameras import MjpegCamera, jpeg, mjpeg_camera
from tests.support.places import ROOT
from tests.support.ports import free_port
from tests.support.timing import eventually

PROMETHEUS = "[output.prometheus]\nenabled = true\nport = 0\n"


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with mjpeg_camera() as server:
        yield server


def test_broken_settings_at_the_start_are_one_line(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text('[camera]\nsorce = "auto"\n')
    assert_one_error_line(call("serve", "--config", path), "did you mean 'source'?", status=2)
    assert_one_error_line(call("serve", "--config", tmp_path / "none.toml"), "none.toml", status=2)


def test_a_missing_bundle_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text(settings(tmp_path / "nowhere", str(tmp_path)))
    run = device("serve", "--config", path)
    assert_one_error_line((run.returncode, run.stdout, run.stderr), "no such bundle")


def test_a_file_that_is_no_source_is_one_line(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text(settings(tiny_bundle, str(path)))
    run = device("serve", "--config", path)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    assert "neither a folder of photos" in run.stderr.splitlines()[-1]


def test_a_folder_of_damaged_photos_alone_is_a_failure(tiny_bundle: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (photos / name).write_bytes(b"no picture")
    path = tmp_path / "fieldguide.toml"
    path.write_text(settings(tiny_bundle, str(photos)))
    run = device("serve", "--config", path)
    assert run.returncode == 1 and run.stdout == ""
    assert run.stderr.splitlines()[-1] == f"error: {photos}: none of 2 pictures could be decoded"


def test_settings_are_read_anew_on_sighup_and_broken_ones_change_nothing(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    good = settings(tiny_bundle, camera.url)
    with running(tmp_path, good) as service:
        service.wait_for_lines(2)
        assert len(service.lines[-1]["top"]) == 3
        service.reload(good + "top_k = 1\n")
        eventually(lambda: len(service.lines[-1]["top"]) == 1)
        service.reload(good + "top_k = 0\n")
        service.wait_for_log("smoothing.top_k=0: must be 1 to 1000")
        service.wait_for_lines(3)
        assert len(service.lines[-1]["top"]) == 1
        assert service.stop()[0] == 0
    assert any("the old ones stay" in line for line in service.log)


def test_settings_that_change_while_they_are_first_read_are_read_once_more(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, text = tmp_path / "fieldguide.toml", settings(tiny_bundle, camera.url)
    path.write_text(text)

    def change(_path: Path) -> Config:
        monkeypatch.undo()
        first = sections.load(path)
        path.write_text(text + "top_k = 1\n")
        os.kill(os.getpid(), signal.SIGHUP)
        return first

    monkeypatch.setattr(sections, "load", change)
    service = Service(path)
    try:
        assert service._config.smoothing.top_k == 3
        event = service._events.get(timeout=5)
        assert event is Signal.RELOAD and service._handle(event)
        assert service._config.smoothing.top_k == 1
    finally:
        service._close()


@pytest.mark.parametrize("source", ["rtps://garden/1", "/no/such/folder"])
def test_a_source_that_is_none_costs_a_running_camera_nothing(
    source: str, camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    with running(tmp_path, settings(tiny_bundle, camera.url)) as service:
        service.wait_for_lines(2)
        service.reload(settings(tiny_bundle, source))
        service.wait_for_log("settings not accepted, the old ones stay in use")
        service.wait_for_lines(5)
        assert service.stop()[0] == 0


def test_an_output_that_cannot_be_leaves_no_other_one_behind(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    """Connections to an MQTT broker: a second one of the same name would end the first's."""
    (tmp_path / "prometheus_client").mkdir()
    (tmp_path / "prometheus_client" / "__init__.py").write_text("raise ImportError")
    with socket.create_server(("127.0.0.1", 0)) as broker:
        mqtt = f"[output.mqtt]\nenabled = true\nport = {broker.getsockname()[1]}\n"
        text = settings(tiny_bundle, camera.url)
        with running(tmp_path, text, PYTHONPATH=f"{tmp_path}:{ROOT}") as service:
            service.wait_for_lines(2)
            service.reload(settings(tiny_bundle, camera.url, mqtt + PROMETHEUS))
            service.wait_for_log("prometheus-client is not installed")
            broker.settimeout(5)
            # If it was gone before it had connected, all the better.
            link = None
            with suppress(TimeoutError):
                link = broker.accept()[0]
            if link is not None:
                with link:
                    link.settimeout(10)
                    while link.recv(4096):
                        pass
            assert service.stop()[0] == 0


def test_another_camera_and_another_output_are_taken_on_sighup(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    with mjpeg_camera() as other:
        other.frame = lambda: jpeg(1)
        with running(tmp_path, settings(tiny_bundle, camera.url)) as service:
            service.wait_for_lines(2)
            path = tmp_path / "labels.jsonl"
            more = f'[output.json]\npath = "{path}"'
            service.reload(settings(tiny_bundle, other.url, more))
            eventually(lambda: path.exists() and '"green"' in path.read_text())
            seen = service.lines[-1]["frame"]
            assert service.stop()[0] == 0
    frames = [json.loads(line)["frame"] for line in path.read_text().splitlines()]
    assert frames[0] > seen - 1 and frames == sorted(set(frames))


def test_an_output_follows_settings_that_are_not_its_own(
    camera: MjpegCamera, tiny_bundle: Path, tmp_path: Path
) -> None:
    port = free_port()

    def text(threshold: float) -> str:
        web = f"[output.web]\nenabled = true\nport = {port}"
        return settings(tiny_bundle, camera.url, f"threshold = {threshold}\n{web}")

    def shown() -> float:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return float(json.load(answer)["threshold"])
        return -1

    with running(tmp_path, text(0.25)) as service:
        eventually(lambda: shown() == 0.25)
        service.reload(text(0.75))
        eventually(lambda: shown() == 0.75)
        assert service.stop()[0] == 0
