"""In which order things are said, so that nothing old is taken for new."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from device.errors import OutputError
from device.outputs.mqtt import connection
from device.outputs.mqtt import sink as mqtt
from device.outputs.mqtt.sink import Mqtt
from device.outputs.thread import SinkThread
from tests.support.device.mqtt_sinks import (
    ANNOUNCED,
    OWN,
    Make,
    config,
    connect,
    problem_of,
    settle,
    shown,
)
from tests.support.device.observations import MODEL, Surroundings, sight
from tests.support.peers.mqtt_broker import Broker, listening, retained
from tests.support.pictures import LABELS
from tests.support.places import ROOT
from tests.support.timing import Stopwatch, eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
pytestmark = pytest.mark.usefixtures("impatient")


@contextmanager
def running(sink: Mqtt, surroundings: Surroundings) -> Iterator[SinkThread]:
    thread = surroundings.run(sink)
    try:
        yield thread
    finally:
        thread.start_closing()
        assert thread.join(30)


def yesterday(broker: Broker) -> None:
    """What an earlier run left at the broker: it saw red, its camera streamed, then it went."""
    told: dict[str, Any] = {
        "state": {"label": "red", "score": 0.9, "top": {}, "since": {}},
        "health": {"camera": "streaming", "label_is_current": True},
    }
    with listening(broker) as listener:
        for topic, message in told.items():
            listener.keep(f"{OWN}/{topic}", json.dumps(message))
        listener.keep(f"{OWN}/availability", "offline")


@pytest.mark.parametrize("streams", [False, True])
def test_a_start_never_shows_yesterday_s_label(
    streams: bool, broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    yesterday(broker)
    if not streams:
        surroundings.telemetry.camera.connecting("garden")
    with listening(broker) as listener:
        with running(make(config(broker)), surroundings) as thread:
            eventually(lambda: "online" in listener.payloads("availability"))
            surroundings.telemetry.camera.streams()
            # The camera streams before its first frame has an answer.
            time.sleep(0.5)
            thread.put(sight(1, label=1, changed=True))
            eventually(lambda: "green" in shown(listener))
        assert [label for label in shown(listener) if label != "-"] == ["green"]
        order = [topic.rpartition("/")[2] for topic, _, old in listener.messages if not old]
    assert order.index("health") < order.index("availability")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_or_kill_and_a_start_show_the_new_label_alone(
    number: int, broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    script = (
        "import sys, time\n"
        "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
        "from tests.support.device.observations import Surroundings, sight\n"
        "from device.outputs.mqtt.sink import Mqtt\n"
        "from device.settings.sections import MqttConfig\n"
        f"sink = Mqtt(MqttConfig(host='127.0.0.1', port={broker.port}, device_id='garden'))\n"
        "around = Surroundings(); thread = around.run(sink)\n"
        "try:\n"
        "    thread.put(sight(0, changed=True))\n"
        "    time.sleep(60)\n"
        "finally:\n"
        "    thread.start_closing(); thread.join(2)\n"
    )
    with listening(broker) as listener:
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        try:
            eventually(lambda: shown(listener)[-1] == LABELS[0], 20)
        finally:
            process.send_signal(number)
            process.wait(10)
        eventually(lambda: shown(listener)[-1] == "-")
        with running(make(config(broker)), surroundings) as thread:
            thread.put(sight(0, label=2, changed=True))
            eventually(lambda: shown(listener)[-1] == LABELS[2])
        assert [label for label in shown(listener) if label != "-"] == [LABELS[0], LABELS[2]]


def test_a_camera_that_comes_back_shows_no_label_of_before(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker, interval_s=60.0))
    with listening(broker) as listener, running(sink, surroundings) as thread:
        thread.put(sight(0, changed=True))
        eventually(lambda: shown(listener)[-1] == LABELS[0])
        surroundings.telemetry.camera.lost("unplugged")
        eventually(lambda: shown(listener)[-1] == "-")
        surroundings.telemetry.camera.streams()
        time.sleep(0.5)
        assert shown(listener)[-1] == "-"
        # The same as before: it has to be said that it is seen again.
        thread.put(sight(1))
        eventually(lambda: shown(listener)[-1] == LABELS[0])
        assert shown(listener) == ["-", LABELS[0], "-", LABELS[0]]


def test_other_labels_are_announced_before_the_first_of_them_is_said(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    other = replace(MODEL, labels=("oak", "elm", "ash", "fir")[: len(LABELS)])
    with (
        listening(broker) as listener,
        running(make(config(broker)), surroundings) as thread,
    ):
        thread.put(sight(0, changed=True))
        eventually(lambda: shown(listener)[-1] == LABELS[0])
        thread.put(sight(1, changed=True, model=other))
        time.sleep(0.3)
        surroundings.telemetry.model(other)
        eventually(lambda: shown(listener)[-1] == "oak")
        # Once more, as the first may have come before the list was taken.
        eventually(lambda: sum("oak" in state for state in listener.payloads("state")) > 1)
        assert shown(listener) == ["-", LABELS[0], "-", "oak"]
        told = [(topic, payload) for topic, payload, _ in listener.messages]
    announced = next(i for i, (t, p) in enumerate(told) if t == ANNOUNCED and "oak" in p)
    states = [i for i, (t, p) in enumerate(told) if t == f"{OWN}/state" and "oak" in p]
    hidden = [i for i, (t, p) in enumerate(told) if t == f"{OWN}/health" and "false" in p]
    assert states[0] > announced and any(i < announced for i in hidden)


def test_what_is_announced_follows_what_is_seen(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    other = replace(MODEL, labels=("oak", "elm", "ash"))
    sink = make(config(broker))
    with listening(broker) as listener:
        connect(sink, surroundings)
        # The service does not know yet, or not any more, what the frame loop is at.
        sink.publish(sight(0, changed=True, model=other))
        connect(sink, surroundings)
        eventually(lambda: any("oak" in told for told in listener.payloads(ANNOUNCED)))
        eventually(lambda: any("oak" in told for told in listener.payloads("state")))


# --- outages ----------------------------------------------------------------------------------


def test_a_network_that_was_gone_for_a_while_brings_no_old_state(
    broker: Broker, make: Make, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make(config(broker))
    with listening(broker) as listener, running(sink, surroundings) as thread:
        thread.put(sight(0, changed=True))
        eventually(lambda: shown(listener)[-1] == LABELS[0])
        broker.freeze()
        for number in range(1, 121):
            thread.put(sight(number, label=number // 2 % 2, changed=number % 2 == 0))
            time.sleep(0.01)
        last = number
        broker.thaw()
        eventually(lambda: listener.records("state")[-1]["frame"] == last)
        eventually(lambda: len(listener.records("changes")) == 61)
        # One may have been on its way when the network went.
        fresh = [r["frame"] for r in listener.records("state") if r["frame"]]
        assert fresh[-1] == last and len(fresh) <= 2
        times = [r["time"] for r in listener.records("changes")]
        assert times == sorted(times)
    assert surroundings.status().sinks.get("mqtt") is None


def test_changes_that_no_broker_confirmed_are_said_again_after_a_new_connection(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    broker.freeze()
    for number in range(5):
        sink.publish(sight(number, label=number % 2, changed=True))
    broker.stop()
    broker.start()
    with listening(broker) as listener:
        connect(sink, surroundings)
        eventually(lambda: len(listener.records("changes")) == 5)
        assert [r["frame"] for r in listener.records("changes")] == list(range(5))
        assert all(r["frame"] == 4 for r in listener.records("state"))


def test_a_broker_that_confirms_nothing_is_told_from_one_that_is_full(
    broker: Broker, make: Make, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "CONFIRM_S", 0.01)
    monkeypatch.setattr(mqtt, "SLOW_S", 0.2)
    sink = make(config(broker))
    connect(sink, surroundings)
    broker.freeze()
    with pytest.raises(OutputError, match="has not confirmed the last") as caught:
        for number in range(200):
            sink.publish(sight(number, label=number % 2, changed=True))
    assert "queue" not in str(caught.value).lower()
    problem_of(sink, surroundings, "has confirmed nothing")
    broker.thaw()


def test_no_client_outlives_a_close_that_the_broker_does_not_answer(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = Mqtt(config(broker))
    connect(sink, surroundings)
    broker.freeze()
    with suppress(OutputError):
        for number in range(200):
            sink.publish(sight(number, label=number % 2, changed=True))
    watch = Stopwatch()
    sink.close()
    assert watch.fair_s < 3
    broker.thaw()
    eventually(lambda: not sink._connection._thread.is_alive())
    after = make(config(broker))
    with listening(broker) as listener:
        connect(after, surroundings)
        eventually(lambda: listener.payloads("availability")[-1:] == ["online"])
        # A client that had outlived the close would throw this one out by now.
        time.sleep(1)
        assert listener.payloads("availability")[-1:] == ["online"]
        assert after._connection.number == 1


def test_a_close_while_it_connects_leaves_nobody_who_comes_later(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    broker.freeze()
    sinks = [Mqtt(config(broker)) for _ in range(5)]
    for sink in sinks:
        sink.close()
    after = make(config(broker))
    broker.thaw()
    connect(after, surroundings)
    eventually(lambda: not any(sink._connection._thread.is_alive() for sink in sinks))
    settle(after)
    assert after._connection.number == 1
    assert retained(broker)[f"{OWN}/availability"] == "online"


def test_online_is_said_until_it_was_taken(
    broker: Broker, make: Make, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make(config(broker))
    publish = sink._connection.publish
    refused: list[str] = []

    def refuse(topic: str, payload: str, *, retain: bool) -> Any:
        if payload == "online" and len(refused) < 3:
            refused.append(topic)
            raise OutputError("no room")
        return publish(topic, payload, retain=retain)

    monkeypatch.setattr(sink._connection, "publish", refuse)
    problem_of(sink, surroundings, "no room")
    connect(sink, surroundings)
    assert len(refused) == 3 and retained(broker)[f"{OWN}/availability"] == "online"


# --- two of one name --------------------------------------------------------------------------


@pytest.mark.slow
def test_two_clients_of_one_id_say_so_and_come_back_ever_more_slowly(
    broker: Broker,
    make: Make,
    surroundings: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(connection, "FIRST_TAKEN_WAIT_S", 0.2)
    others, words = Surroundings(), "another client uses the id garden"
    both = (surroundings, others)
    with (
        listening(broker) as listener,
        running(make(config(broker)), surroundings),
        running(make(config(broker)), others),
    ):
        eventually(lambda: all(words in problem(one) for one in both), 30)
        before = listener.payloads("availability").count("online")
        time.sleep(3)
        # It stands there also while one of them is connected.
        assert all(words in problem(one) for one in both)
        assert "output.mqtt.device_id" in problem(others)
        # Pauses of 0.4, 0.8, 1.6 s; without them, each throws out the other ten times a second.
        assert listener.payloads("availability").count("online") - before <= 8
    said = [r.getMessage() for r in caplog.records if words in r.getMessage()]
    assert len(said) == 2


def problem(surroundings: Surroundings) -> str:
    return surroundings.status().sinks["mqtt"].problem


def test_each_warning_stands_once(
    broker: Broker, make: Make, surroundings: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    with running(make(config(broker)), surroundings) as thread:
        for number in range(30):
            thread.put(sight(number, label=number % 2, changed=True))
            time.sleep(0.04)
    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot be reached" in line for line in said) == 1
    assert any("label changes undelivered" in line for line in said)


def test_home_assistant_is_spared_scores_that_hardly_move(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker, interval_s=0.01))
    connect(sink, surroundings)
    with listening(broker) as listener:
        for number, score in enumerate([0.800, 0.804, 0.808, 0.812, 0.815, 0.9]):
            time.sleep(0.03)
            sink.publish(sight(number, score=score))
            settle(sink)
        eventually(lambda: [r["score"] for r in listener.records("state")][-1:] == [0.9])
        time.sleep(0.1)
        told = [r for r in listener.records("state") if r["frame"] in (1, 2, 4)]
        kept = {json.dumps(r["since"]) for r in listener.records("state")}
    assert told == [] and len(kept) == 1


def test_what_is_said_again_after_an_announcement_is_the_very_same(
    broker: Broker, make: Make, surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "REPEAT_INTERVAL_S", 0.1)
    sink = make(config(broker, interval_s=60.0))
    with listening(broker) as listener:
        connect(sink, surroundings)
        for number in range(30):
            sink.publish(sight(number, score=0.5 + number / 100))
            time.sleep(0.05)
        eventually(lambda: len(listener.payloads("state")) > 3)
        assert len(set(listener.payloads("state"))) == 1
