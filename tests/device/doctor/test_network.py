"""Promises of `doctor` about what it connects to: a broker and a camera on the network."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.doctor import network
from device.doctor.finding import FAILED, OK
from device.outputs.mqtt import home_assistant
from device.settings.mqtt import MqttConfig
from device.settings.sections import CameraConfig
from tests.support.cli import Call
from tests.support.device.fake_host import states, the
from tests.support.device.mqtt_sinks import Make, config, connect
from tests.support.device.observations import Surroundings
from tests.support.peers.cameras import MjpegCamera
from tests.support.peers.mqtt_broker import Broker, listening, retained
from tests.support.ports import free_port
from tests.support.timing import eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "fieldguide.toml"
        path.write_text(text)
        return path

    return write


# --- broker -----------------------------------------------------------------------------------


def test_a_broker_that_takes_messages_is_fine_and_keeps_nothing_of_it(broker: Broker) -> None:
    with listening(broker) as listener:
        found = list(network.broker(config(broker)))
        assert states(found) == {"mqtt broker": OK}
        assert [topic for topic, _, _ in listener.messages] == ["fieldguide/garden/doctor"]
    assert retained(broker) == {}


def test_the_service_at_work_is_not_disturbed(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    assert states(list(network.broker(config(broker)))) == {
        "mqtt broker": OK,
        "mqtt id": OK,
    }
    connect(sink, surroundings)
    assert sink._connection.number == 1


def test_another_machine_s_device_of_the_same_id_is_told(
    broker: Broker, make: Make, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_assistant, "machine", lambda: "0123abcd")
    sink = make(config(broker))
    connect(sink, surroundings)
    monkeypatch.setattr(home_assistant, "machine", lambda: "4567cdef")
    finding = the(list(network.broker(config(broker))), "mqtt id")
    assert finding.state == FAILED and "id garden" in finding.found
    sink.close()
    # It is off: then this one may have been renamed to it.
    assert the(list(network.broker(config(broker))), "mqtt id").state == OK


def test_what_is_wrong_with_a_broker_is_said_with_what_to_do(
    tmp_path: Path, broker: Broker
) -> None:
    nobody = MqttConfig(host="127.0.0.1", port=free_port(), device_id="garden")
    (finding,) = network.broker(nobody)
    assert finding.state == FAILED and "refused" in finding.found and "host and port" in finding.fix
    (finding,) = network.broker(config(broker, tls=True))
    assert finding.state == FAILED and "tls = false" in finding.fix
    rules = tmp_path / "acl"
    rules.write_text("topic read #\n")
    strict = Broker(tmp_path, f"allow_anonymous true\nacl_file {rules}")
    strict.start()
    try:
        (finding,) = network.broker(config(strict))
    finally:
        strict.stop()
    assert finding.state == FAILED and "denies the topic fieldguide/garden/doctor" in finding.found


@pytest.mark.parametrize("host", ["homeassistant..local", "x" * 70])
def test_a_host_that_cannot_be_is_told_without_a_traceback(
    host: str, call: Call, settings: Callable[[str], Path]
) -> None:
    path = settings(f'[output.mqtt]\nenabled = true\nhost = "{host}"\n')
    status, out, err = call("doctor", "--config", path)
    assert status == 1 and "not a possible host name" in out
    assert "Traceback" not in out + err
    # Also where nothing checked it.
    (finding,) = network.broker(MqttConfig(host=host))
    assert finding.state == FAILED


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("device.outputs.mqtt.connection")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    (finding,) = network.broker(MqttConfig())
    assert finding.state == FAILED and "pip install" in finding.fix


# --- camera -----------------------------------------------------------------------------------


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    camera = MjpegCamera()
    yield camera
    camera.unplug()


def test_a_network_camera_s_first_picture_is_fetched(
    camera: MjpegCamera, call: Call, settings: Callable[[str], Path]
) -> None:
    path = settings(f'[camera]\nsource = "{camera.url}"\n')
    _, out, _ = call("doctor", "--config", path)
    assert "ok       camera picture: 128x96 after" in out and camera.connections == 1


def test_a_camera_without_pictures_is_told_and_its_password_is_not(
    camera: MjpegCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "CAMERA_S", 1.0)
    address = camera.url.replace("//", "//me:secret@")
    camera.frame = lambda: None
    silent = network.camera_picture(CameraConfig(source=address))
    camera.unplug()
    away = network.camera_picture(CameraConfig(source=address))
    for finding in (silent, away):
        assert finding.state == FAILED and "camera.source" in finding.fix
        assert "secret" not in finding.line()
    assert "no picture within" in silent.found and "refused" in away.found


def test_a_camera_s_odd_answer_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(network, "open_source", fail)
    finding = network.camera_picture(CameraConfig(source="http://me:secret@127.0.0.1/"))
    assert finding.state == FAILED and "secret" not in finding.line()


def test_nothing_is_left_at_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "BROKER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        (finding,) = network.broker(MqttConfig(host="127.0.0.1", port=port, device_id="x"))
        assert finding.state == FAILED
        connection, _ = mute.accept()
        with connection:
            connection.settimeout(5)
            while connection.recv(500):
                pass
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "mqtt-x-doctor"], 5)
