"""What a broker keeps under a name that the device has no more."""

from pathlib import Path

import pytest

from device.outputs.mqtt.sink import Mqtt
from tests.support.device.mqtt_sinks import Make, config, connect, works
from tests.support.device.observations import Surroundings, sight
from tests.support.peers.mqtt_broker import Broker, listening, retained
from tests.support.timing import eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(params=["in a process", "over restarts"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    if request.param == "in a process":
        monkeypatch.delenv("STATE_DIRECTORY", raising=False)
        return None
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return tmp_path


def run_once(sink: Mqtt, surroundings: Surroundings) -> None:
    connect(sink, surroundings)
    sink.publish(sight(0))
    connect(sink, surroundings)
    sink.close()


def names(broker: Broker) -> set[str]:
    """Ids under which the broker keeps anything."""
    return {topic.replace("homeassistant/device", "x").split("/")[1] for topic in retained(broker)}


def gone(sink: Mqtt, surroundings: Surroundings, broker: Broker, name: str) -> bool:
    return works(lambda: sink.tick(surroundings.status())) and name not in names(broker)


@pytest.mark.parametrize(
    "change", [{"device_id": "balcony"}, {"topic_prefix": "birds"}, {"discovery_prefix": "ha"}]
)
def test_what_was_kept_under_an_old_name_goes(
    change: dict[str, str],
    folder: Path | None,
    broker: Broker,
    make: Make,
    surroundings: Surroundings,
) -> None:
    run_once(make(config(broker)), surroundings)
    before = set(retained(broker))
    sink = make(config(broker, **change))
    connect(sink, surroundings)
    sink.publish(sight(0))
    connect(sink, surroundings)
    of_visits = {sink._topics.today, sink._topics.picture}
    now = set(sink._topics.retained) - of_visits

    def alone() -> bool:
        return works(lambda: sink.tick(surroundings.status())) and set(retained(broker)) == now

    assert before != now
    eventually(alone)


def test_several_names_go_also_those_of_a_time_without_broker(
    folder: Path | None, broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    run_once(make(config(broker, device_id="one")), surroundings)
    run_once(make(config(broker, device_id="two", discovery_prefix="")), surroundings)
    # It never gets to say anything, and so removes nothing.
    make(config(broker, device_id="three")).close()
    last = make(config(broker, device_id="four"))
    connect(last, surroundings)
    last.publish(sight(0))
    eventually(lambda: gone(last, surroundings, broker, "one"))
    eventually(lambda: gone(last, surroundings, broker, "two"))
    assert names(broker) == {"four"}


def test_a_name_that_another_device_has_taken_stays(
    folder: Path | None, broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    run_once(make(config(broker)), surroundings)
    with listening(broker) as other:
        other.keep("fieldguide/garden/availability", "online")
        sink = make(config(broker, device_id="balcony"))
        for _ in range(10):
            connect(sink, surroundings)
        assert names(broker) == {"garden", "balcony"}
        # That one was the old run's, whose connection had not been missed yet.
        other.keep("fieldguide/garden/availability", "offline")
        eventually(lambda: gone(sink, surroundings, broker, "garden"))


def test_a_damaged_memory_costs_a_line(
    broker: Broker,
    make: Make,
    surroundings: Surroundings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    for text in ("{", "[]", '{"a": 1}', '{"a": {"b": 1}}', "\xff"):
        (tmp_path / "mqtt-topics.json").write_text(text, "latin-1")
        run_once(make(config(broker)), surroundings)
    assert "old topics are forgotten" in caplog.text


def test_an_old_topic_that_may_not_be_removed_is_told_once(
    tmp_path: Path,
    make: Make,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite #\n")
    broker = Broker(tmp_path, f"allow_anonymous true\nacl_file {rules}")
    broker.start()
    try:
        run_once(make(config(broker)), surroundings)
        rules.write_text(
            "topic read #\ntopic write fieldguide/balcony/#\n"
            "topic write homeassistant/device/balcony/#\n"
        )
        broker.reread()
        sink = make(config(broker, device_id="balcony"))
        eventually(
            lambda: (
                works(lambda: sink.tick(surroundings.status()))
                and "does not let the old topic" in caplog.text
            )
        )
        connect(sink, surroundings)
    finally:
        broker.stop()
