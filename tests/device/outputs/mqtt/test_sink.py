"""What MQTT and Home Assistant are promised, on a real broker that comes and goes."""

import json
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from device.errors import OutputError
from device.settings.mqtt import MqttConfig
from device.telemetry.status import BoardStatus
from tests.support.device.mqtt_sinks import (
    ANNOUNCED,
    OWN,
    Make,
    config,
    connect,
    problem_of,
    settle,
)
from tests.support.device.observations import MODEL, Surroundings, sight
from tests.support.peers.mqtt_broker import Broker, listening, retained
from tests.support.pictures import LABELS
from tests.support.places import ROOT
from tests.support.timing import Stopwatch, eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
pytestmark = pytest.mark.usefixtures("impatient")


def test_home_assistant_finds_the_device_in_one_retained_message(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    surroundings.telemetry.board(BoardStatus(temperature_c=50.0))
    connect(make(config(broker)), surroundings)
    told = retained(broker)
    found = json.loads(told[ANNOUNCED])
    assert sum(topic.startswith("homeassistant/") for topic in told) == 1
    assert found["dev"]["ids"] == ["garden"] and found["o"]["name"] == "Fieldguide"
    components = found["cmps"]
    assert set(components) == {"label", "score", "camera", "slowed", "fps", "temperature"}
    assert all(c["p"] in ("sensor", "binary_sensor") for c in components.values())
    identities = [c["unique_id"] for c in components.values()]
    assert len(set(identities)) == len(identities)
    assert all(i.startswith("garden_") for i in identities)
    # A fixed set of states must name them all, and have no unit.
    assert components["label"]["ops"] == [*LABELS, "nothing known"]
    assert components["label"]["dev_cla"] == "enum" and "unit_of_meas" not in components["label"]


def test_every_topic_that_is_announced_is_published(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    sink.publish(sight(0))
    settle(sink)
    told = retained(broker)
    announced = json.dumps(json.loads(told[ANNOUNCED])["cmps"])
    for topic in ("state", "health", "availability"):
        assert f'"{OWN}/{topic}"' in announced
        assert f"{OWN}/{topic}" in told
    assert told[f"{OWN}/availability"] == "online"


def test_state_and_health_are_json_with_what_the_templates_read(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    sink.publish(sight(7, label=1, changed=True))
    settle(sink)
    told = retained(broker)
    state, health = (json.loads(told[f"{OWN}/{topic}"]) for topic in ("state", "health"))
    assert (state["label"], state["frame"]) == ("green", 7)
    assert state["score"] == pytest.approx(0.8) and next(iter(state["top"])) == "green"
    assert health["camera"] == "streaming" and health["model_sha256"] == MODEL.sha256
    read = json.dumps(json.loads(told[ANNOUNCED]))
    for field in ("label", "score", "since"):
        assert f"value_json.{field}" in read and field in state
    assert set(state["since"]) == {"time", "score", "top", "why"}
    for field in ("camera", "slowed", "fps", "label_is_current"):
        assert f"value_json.{field}" in read and field in health
    # Where the pictures come from is nobody's business there.
    assert "garden/stream" not in json.dumps([state, health]) and "source" not in state


def test_a_lost_camera_is_told_at_once_and_makes_the_label_unavailable(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    with listening(broker) as listener:
        eventually(lambda: listener.records(f"{OWN}/health"))
        surroundings.telemetry.camera.lost("unplugged")
        sink.tick(surroundings.status())
        eventually(lambda: len(listener.records(f"{OWN}/health")) == 2)
        assert listener.records(f"{OWN}/health")[-1]["camera"] == "lost"
        label = listener.records(ANNOUNCED)[-1]["cmps"]["label"]
    topics = [available["t"] for available in label["avty"]]
    assert topics == [f"{OWN}/availability", f"{OWN}/health"] and label["avty_mode"] == "all"


def test_home_assistant_s_restart_gets_the_announcement_again(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    sink.publish(sight(0))
    with listening(broker) as listener:
        eventually(lambda: listener.payloads(ANNOUNCED))
        sink.tick(surroundings.status())
        listener.say("homeassistant/status", "offline")
        time.sleep(0.3)
        sink.tick(surroundings.status())
        assert len(listener.payloads(ANNOUNCED)) == 1
        listener.say("homeassistant/status", "online")

        def again() -> bool:
            sink.tick(surroundings.status())
            return len(listener.payloads(ANNOUNCED)) == 2

        eventually(again)
        eventually(lambda: len(listener.payloads(f"{OWN}/state")) == 2)


def test_another_model_s_classes_are_announced(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    surroundings.telemetry.model(replace(MODEL, labels=("oak", "elm")))
    sink.tick(surroundings.status())
    settle(sink)
    found = json.loads(retained(broker)[ANNOUNCED])
    assert found["cmps"]["label"]["ops"] == ["oak", "elm", "nothing known"]


def test_without_a_discovery_prefix_nothing_is_announced(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker, discovery_prefix=""))
    connect(sink, surroundings)
    sink.publish(sight(0))
    settle(sink)
    assert set(retained(broker)) == {f"{OWN}/{t}" for t in ("availability", "health", "state")}


def test_scores_keep_their_interval_and_changes_do_not_wait(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker, interval_s=60.0))
    connect(sink, surroundings)
    with listening(broker) as listener:
        for number in range(20):
            if number == 10:
                # The next state waits until the broker has confirmed the last.
                settle(sink)
            sink.publish(sight(number, label=number // 10, changed=number in (0, 10)))
        eventually(lambda: len(listener.records(f"{OWN}/state")) >= 2)
        time.sleep(0.2)
        assert [r["frame"] for r in listener.records(f"{OWN}/state")] == [0, 10]


def test_closing_says_offline(broker: Broker, make: Make, surroundings: Surroundings) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    sink.close()
    assert retained(broker)[f"{OWN}/availability"] == "offline"


def test_the_last_will_says_offline_for_a_process_that_died(
    broker: Broker, surroundings: Surroundings
) -> None:
    script = (
        "import time\n"
        "from device.settings.sections import MqttConfig; from device.errors import OutputError\n"
        "from device.outputs.mqtt.sink import Mqtt\n"
        "from device.telemetry.counters import Telemetry\n"
        f"sink = Mqtt(MqttConfig(host='127.0.0.1', port={broker.port}, device_id='garden'))\n"
        "while True:\n"
        "    try: sink.tick(Telemetry().snapshot())\n"
        "    except OutputError: pass\n"
        "    time.sleep(0.05)\n"
    )
    with listening(broker) as listener:
        process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        try:
            eventually(lambda: listener.payloads(f"{OWN}/availability") == ["online"])
        finally:
            process.kill()
            process.wait()
        eventually(lambda: listener.payloads(f"{OWN}/availability") == ["online", "offline"])
    assert retained(broker)[f"{OWN}/availability"] == "offline"


# --- a broker that is not there ---------------------------------------------------------------


def test_a_broker_that_is_down_at_the_start_is_waited_for(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    broker.stop()
    sink = make(config(broker))
    problem = problem_of(sink, surroundings, "cannot be reached")
    assert f"127.0.0.1 port {broker.port}" in problem and "refused" in problem
    broker.start()
    connect(sink, surroundings)
    assert retained(broker)[f"{OWN}/availability"] == "online"


def test_after_an_outage_the_state_is_the_newest_alone_and_each_change_comes_late_elsewhere(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    thread = surroundings.run(sink)
    thread.put(sight(0, changed=True))
    broker.stop()
    eventually(lambda: surroundings.status().sinks["mqtt"].errors_total > 0)
    times = {}
    for number in range(1, 60):
        seen = sight(number, label=number // 10 % 3, changed=number in (10, 20, 30))
        times[number] = round(seen.unix_s, 3)
        thread.put(seen)
    broker.start()
    with listening(broker) as listener:
        eventually(lambda: [r["frame"] for r in listener.records("state")][-1:] == [59])
        assert [r["frame"] for r in listener.records("state")] == [59]
        # The first was on its way when the broker went.
        late = [r for r in listener.records("changes") if r["frame"]]
        assert [r["frame"] for r in late] == [10, 20, 30]
        assert [r["time"] for r in late] == sorted(times[r["frame"]] for r in late)
        eventually(lambda: listener.payloads(ANNOUNCED))
    told = retained(broker)
    assert told[f"{OWN}/availability"] == "online" and f"{OWN}/changes" not in told
    assert json.loads(told[f"{OWN}/state"])["frame"] == 59
    assert surroundings.status().sinks["mqtt"].lost_changes_total == 0
    thread.start_closing()
    assert thread.join(30)


def test_after_an_outage_the_state_is_sent_anew_though_no_frame_comes(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker, interval_s=60.0))
    connect(sink, surroundings)
    sink.publish(sight(3))
    broker.stop()
    problem_of(sink, surroundings, "127.0.0.1")
    with pytest.raises(OutputError):
        sink.publish(sight(4))
    broker.start()
    connect(sink, surroundings)
    settle(sink)
    assert json.loads(retained(broker)[f"{OWN}/state"])["frame"] == 4


def test_a_broker_that_never_answers_holds_nobody_up(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = MqttConfig(host="127.0.0.1", port=mute.getsockname()[1])
        sink = make(settings)
        connection, _ = mute.accept()
        with closing(connection):
            watch = Stopwatch()
            observation = sight(0)
            for _ in range(100):
                with suppress(OutputError):
                    sink.publish(observation)
            sink.close()
            assert watch.fair_s < 1.5
