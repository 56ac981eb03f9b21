"""A real MQTT broker, and what it was told."""

import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.ports import free_port
from tests.support.timing import eventually

PATHS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/sbin"
"""Debian has it where only root looks."""
LAST = "fieldguide/test/last"
"""What a test says so that it hears when everything before has arrived."""


class Broker:
    """Mosquitto on loopback; what it retains is gone when it stops."""

    def __init__(self, folder: Path, extra: str = "allow_anonymous true") -> None:
        program = shutil.which("mosquitto", path=PATHS)
        if program is None:
            pytest.skip("no MQTT broker: apt-get install mosquitto")
        self._program = program
        self.port = free_port()
        self._settings = folder / "mosquitto.conf"
        # As root it would become another user, who may not read the test's files.
        lines = ["user root", f"listener {self.port} 127.0.0.1", "persistence false", extra]
        self._settings.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._listens)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)
            self._process.wait(10)
            self._process = None

    def reread(self) -> None:
        """Have it read passwords and access lists anew."""
        self.signal(signal.SIGHUP)

    def freeze(self) -> None:
        """Answer no more, as a board does whose network is gone."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _listens(self) -> bool:
        assert self._process is not None and self._process.poll() is None, "it ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class Listener:
    """Another client of the broker, as Home Assistant is one."""

    def __init__(self, broker: Broker, **login: str) -> None:
        self.messages: list[tuple[str, str, bool]] = []
        """Topic, payload, and whether it was retained from before."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        if login:
            self._client.username_pw_set(**login)
        subscribed = threading.Event()
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert subscribed.wait(30)

    def payloads(self, topic: str) -> list[str]:
        return [payload for where, payload, _ in list(self.messages) if where.endswith(topic)]

    def records(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads(topic)]

    def say(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def keep(self, topic: str, payload: str) -> None:
        """Say something that the broker retains."""
        self._client.publish(topic, payload, qos=1, retain=True).wait_for_publish(5)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(self, *_: Any) -> None:
        self._client.subscribe("#", qos=1)

    def _hear(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        # Pictures are no text.
        payload = message.payload.decode(errors="surrogateescape")
        self.messages.append((message.topic, payload, message.retain))


@contextmanager
def listening(broker: Broker, **login: str) -> Iterator[Listener]:
    listener = Listener(broker, **login)
    try:
        yield listener
    finally:
        listener.close()


def retained(broker: Broker, **login: str) -> dict[str, str]:
    """What a client that comes now is told at once: payload by topic."""
    with listening(broker, **login) as listener:
        # A broker sends what it keeps when somebody subscribes, so this comes after all of it.
        listener.say(LAST, "")
        eventually(lambda: bool(listener.payloads(LAST)))
        return {topic: payload for topic, payload, kept in listener.messages if kept}


def certificate(folder: Path, name: str, *, issuer: str = "") -> None:
    """Write NAME.pem and NAME.key, signed by itself or by another."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    signed = f"-CA {issuer}.pem -CAkey {issuer}.key" if issuer else ""
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={name} -addext subjectAltName=IP:127.0.0.1 {signed} "
        f"-keyout {name}.key -out {name}.pem".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )


def tls(folder: Path, more: str = "allow_anonymous true") -> str:
    """Settings of a broker that has the certificate `ours`."""
    return f"certfile {folder}/ours.pem\nkeyfile {folder}/ours.key\n{more}"
