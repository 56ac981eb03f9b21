"""Sinks on a real broker, made and ended for a test. A module asks for it with `pytest_plugins`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.errors import OutputError
from device.outputs.mqtt import connection
from device.outputs.mqtt import sink as mqtt
from device.outputs.mqtt.sink import Mqtt
from device.settings.mqtt import MqttConfig
from tests.support.device.observations import Surroundings
from tests.support.peers.mqtt_broker import Broker, Listener
from tests.support.timing import eventually

OWN = "fieldguide/garden"
ANNOUNCED = "homeassistant/device/garden/config"
Make = Callable[..., Mqtt]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(connection, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(mqtt, "SETTLE_S", 0.1)
    monkeypatch.setattr("device.outputs.thread.TICK_S", 0.2)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings()


@pytest.fixture
def make() -> Iterator[Make]:
    sinks: list[Mqtt] = []

    def start(settings: MqttConfig, **more: Any) -> Mqtt:
        sinks.append(Mqtt(settings, **more))
        return sinks[-1]

    yield start
    for sink in sinks:
        sink.close()


def config(broker: Broker, **more: Any) -> MqttConfig:
    defaults = {"host": "127.0.0.1", "port": broker.port, "device_id": "garden", "interval_s": 0.0}
    return MqttConfig(enabled=True, **{**defaults, **more})


def works(call: Callable[[], None]) -> bool:
    try:
        call()
    except OutputError:
        return False
    return True


def connect(sink: Mqtt, surroundings: Surroundings) -> None:
    eventually(lambda: works(lambda: sink.tick(surroundings.status())))
    settle(sink)


def settle(sink: Mqtt) -> None:
    """Wait until the broker has confirmed everything."""
    eventually(lambda: sink._connection.oldest_unconfirmed_s() == 0)


def problem_of(sink: Mqtt, surroundings: Surroundings, words: str, timeout_s: float = 20) -> str:
    """The problem that the sink comes to name."""
    found: list[str] = [""]

    def named() -> bool:
        try:
            sink.tick(surroundings.status())
        except OutputError as error:
            found.append(str(error))
        return words in found[-1]

    eventually(named, timeout_s)
    return found[-1]


def shown(listener: Listener) -> list[str]:
    """The labels that Home Assistant would have shown one after another; "-" is unavailable."""
    told: dict[str, Any] = {"availability": "offline", "health": {}, "state": {}}
    labels: list[str] = ["-"]
    for topic, payload, _ in list(listener.messages):
        kind = topic.rpartition("/")[2]
        if kind in told and payload:
            told[kind] = payload if kind == "availability" else json.loads(payload)
        health = told["health"]
        here = told["availability"] == "online" and health.get("camera") == "streaming"
        # From before there was this field: then it had no such condition.
        here = here and health.get("label_is_current", True)
        label = told["state"].get("label", "?") if here else "-"
        if label != labels[-1]:
            labels.append(label)
    return labels
