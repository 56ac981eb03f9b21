"""What is said of brokers that let nobody in: why, and what to do."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from device.outputs.mqtt import connection, trouble
from device.outputs.mqtt import sink as mqtt
from device.settings.mqtt import MqttConfig, check_mqtt
from tests.support.device.mqtt_sinks import OWN, Make, config, connect, problem_of
from tests.support.device.observations import Surroundings, sight
from tests.support.peers.mqtt_broker import Broker, certificate, retained, tls
from tests.support.timing import eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(autouse=True)
def _ask_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "PROBE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT_S", 1.0)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Broker]]:
    brokers: list[Broker] = []

    def run(extra: str) -> Broker:
        brokers.append(Broker(tmp_path, extra))
        brokers[-1].start()
        return brokers[-1]

    yield run
    for broker in brokers:
        broker.stop()


# --- names and certificates -------------------------------------------------------------------


def test_user_and_password_are_used_and_wrong_ones_named(
    start: Callable[[str], Broker], tmp_path: Path, make: Make, surroundings: Surroundings
) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("no mosquitto_passwd: apt-get install mosquitto")
    passwords = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", str(passwords), "garden", "right"], check=True)
    broker = start(f"allow_anonymous false\npassword_file {passwords}")
    wrong = make(config(broker, user="garden", password="wrong", device_id="x"))
    problem = problem_of(wrong, surroundings, "refuses")
    assert "uthori" in problem and "wrong" not in problem
    assert "output.mqtt.user and password" in problem
    none = make(config(broker, device_id="y"))
    assert "may want output.mqtt.user" in problem_of(none, surroundings, "refuses")
    connect(make(config(broker, user="garden", password="right")), surroundings)
    kept = retained(broker, username="garden", password="right")
    assert kept[f"{OWN}/availability"] == "online"


def test_tls_is_spoken_and_a_certificate_of_someone_else_refused(
    start: Callable[[str], Broker], tmp_path: Path, make: Make, surroundings: Surroundings
) -> None:
    certificate(tmp_path, "ours")
    certificate(tmp_path, "theirs")
    broker = start(tls(tmp_path))
    other = make(config(broker, tls=True, ca_file=str(tmp_path / "theirs.pem")))
    assert "output.mqtt.ca_file" in problem_of(other, surroundings, "certificate")
    named = make(config(broker, host="localhost", tls=True, ca_file=str(tmp_path / "ours.pem")))
    assert "a name that is in its certificate" in problem_of(named, surroundings, "mismatch")
    connect(make(config(broker, tls=True, ca_file=str(tmp_path / "ours.pem"))), surroundings)


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
def test_a_broker_that_wants_a_certificate_of_the_device_is_understood(
    version: str,
    start: Callable[[str], Broker],
    tmp_path: Path,
    make: Make,
    surroundings: Surroundings,
) -> None:
    for name in ("ours", "theirs", "self"):
        certificate(tmp_path, name)
    certificate(tmp_path, "device", issuer="ours")
    wants = f"cafile {tmp_path}/ours.pem\nrequire_certificate true\ntls_version {version}\n"
    broker = start(tls(tmp_path, f"{wants}allow_anonymous true"))
    ours = {"tls": True, "ca_file": str(tmp_path / "ours.pem")}
    without = make(config(broker, **ours, device_id="x"))
    problem = problem_of(without, surroundings, "certificate of this device")
    assert "output.mqtt.cert_file and key_file" in problem
    foreign = {"cert_file": str(tmp_path / "self.pem"), "key_file": str(tmp_path / "self.key")}
    wrong = make(config(broker, **ours, **foreign, device_id="y"))
    assert "authority" in problem_of(wrong, surroundings, "does not take this device's")
    right = {"cert_file": str(tmp_path / "device.pem"), "key_file": str(tmp_path / "device.key")}
    check_mqtt(config(broker, **ours, **right))
    connect(make(config(broker, **ours, **right)), surroundings)


# --- a port that speaks something else --------------------------------------------------------


def test_a_port_with_tls_is_named_to_who_comes_without(
    start: Callable[[str], Broker], tmp_path: Path, make: Make, surroundings: Surroundings
) -> None:
    certificate(tmp_path, "ours")
    sink = make(config(start(tls(tmp_path))))
    assert "set output.mqtt.tls = true" in problem_of(sink, surroundings, "speaks TLS there")


def test_a_port_without_tls_is_named_to_who_comes_with_it(
    start: Callable[[str], Broker], make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(start("allow_anonymous true"), tls=True))
    problem = problem_of(sink, surroundings, "without TLS there")
    assert "set output.mqtt.tls = false" in problem


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[MqttConfig]:
    """A server on loopback that treats every connection in one way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with closing(connection):
                    connection.settimeout(2)
                    try:
                        handle(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield MqttConfig(host="127.0.0.1", port=listener.getsockname()[1], device_id="garden")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("secure", [False, True])
def test_a_server_that_hangs_up_before_it_answers_is_named(
    secure: bool, make: Make, surroundings: Surroundings
) -> None:
    with serving(lambda connection: None) as settings:
        sink = make(MqttConfig(**{**vars(settings), "tls": secure}))
        words = "by TLS" if secure else "hangs up before it answers"
        assert "check" in problem_of(sink, surroundings, words)
        sink.close()


@pytest.mark.parametrize("rude", [True, False])
def test_a_port_with_websocket_is_named(rude: bool, make: Make, surroundings: Surroundings) -> None:
    def answer(connection: socket.socket) -> None:
        if connection.recv(500).startswith(b"GET "):
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
        elif not rude:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with serving(answer) as settings:
        sink = make(settings)
        assert "output.mqtt.port" in problem_of(sink, surroundings, "speaks WebSocket or HTTP")
        sink.close()
        with_tls = make(MqttConfig(**{**vars(settings), "tls": True}))
        problem_of(with_tls, surroundings, "speaks WebSocket or HTTP")
        with_tls.close()


def test_a_server_that_says_nothing_is_named(make: Make, surroundings: Surroundings) -> None:
    with serving(lambda connection: _wait(connection)) as settings:
        sink = make(settings)
        problem_of(sink, surroundings, "does not answer")
        sink.close()


def _wait(connection: socket.socket) -> None:
    while connection.recv(100):
        pass


def test_a_server_that_talks_nonsense_ends_nothing(make: Make, surroundings: Surroundings) -> None:
    with serving(lambda connection: connection.sendall(bytes(range(256)) * 4)) as settings:
        sink = make(settings)
        problem_of(sink, surroundings, "hangs up before it answers")
        assert sink._connection._thread.is_alive()
        sink.close()


@pytest.mark.parametrize("polite", [True, False])
def test_a_broker_that_knows_mqtt_3_alone_is_spoken_to_in_that(
    polite: bool, make: Make, surroundings: Surroundings
) -> None:
    versions = []

    def answer(connection: socket.socket) -> None:
        hello = connection.recv(500)
        if hello[:1] != b"\x10":
            return
        versions.append(hello[8])
        if hello[8] == 4:
            connection.sendall(b"\x20\x02\x00\x00")
            _wait(connection)
        elif polite:
            connection.sendall(b"\x20\x02\x00\x01")

    with serving(answer) as settings:
        sink = make(settings)
        eventually(lambda: sink._connection._problem is None, 20)
        assert versions[0] == 5 and versions[-1] == 4
        sink.close()


# --- access lists -----------------------------------------------------------------------------


def test_a_topic_that_the_access_list_denies_is_named_until_it_is_allowed(
    start: Callable[[str], Broker],
    tmp_path: Path,
    make: Make,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mqtt, "RETRY_DENIED_S", 0.1)
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite fieldguide/#\n")
    broker = start(f"allow_anonymous true\nacl_file {rules}")
    sink = make(config(broker))
    problem = problem_of(sink, surroundings, "denies")
    assert "homeassistant/" in problem and "access list" in problem
    # Nothing else waits for it.
    sink.publish(sight(0))
    assert retained(broker)[f"{OWN}/availability"] == "online"
    rules.write_text("topic readwrite #\n")
    broker.reread()
    connect(sink, surroundings)


def test_a_topic_that_must_not_be_read_is_named(make: Make, surroundings: Surroundings) -> None:
    # Mosquitto grants every subscription and keeps the messages; other brokers say no.
    def answer(connection: socket.socket) -> None:
        connection.recv(500)
        connection.sendall(b"\x20\x03\x00\x00\x00")
        while packet := connection.recv(500):
            if packet[0] == 0x82:
                connection.sendall(b"\x90\x04" + packet[2:4] + b"\x00\x87")

    with serving(answer) as settings:
        sink = make(settings)
        assert "homeassistant/status" in problem_of(sink, surroundings, "denies")
        sink.close()
