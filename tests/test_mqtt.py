"""What MQTT and Home Assistant are promised, on a real broker that comes and goes."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, listening, retained
from cameras import eventually
from helpers import LABELS, ROOT
from load import Stopwatch
from sights import MODEL, Surroundings, sight

from device import mqtt
from device.config import MqttConfig
from device.errors import OutputError
from device.mqtt import Mqtt
from device.observation import BoardStatus

OWN = "fieldguide/garden"
ANNOUNCED = "homeassistant/device/garden/config"
Make = Callable[..., Mqtt]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(mqtt, "LONGEST_WAIT_S", 0.2)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def surroundings() -> Surroundings:
    return Surroundings()


def config(broker: Broker, **more: Any) -> MqttConfig:
    settings = {"host": "127.0.0.1", "device_id": "garden", "interval_s": 0.0, **more}
    return MqttConfig(enabled=True, port=broker.port, **settings)


@pytest.fixture
def make() -> Iterator[Make]:
    sinks: list[Mqtt] = []

    def start(settings: MqttConfig) -> Mqtt:
        sinks.append(Mqtt(settings))
        return sinks[-1]

    yield start
    for sink in sinks:
        sink.close()


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
    eventually(lambda: not sink._client._out_messages)


def problem_of(sink: Mqtt, surroundings: Surroundings, words: str) -> str:
    """The problem that the sink comes to name."""
    found: list[str] = []

    def named() -> bool:
        with pytest.raises(OutputError) as caught:
            sink.tick(surroundings.status())
        found.append(str(caught.value))
        return words in found[-1]

    eventually(named)
    return found[-1]


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
    assert components["label"]["ops"] == [*LABELS, "unknown"]
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
    for field in ("label", "score", "top"):
        assert f"value_json.{field}" in read and field in state
    for field in ("camera", "slowed", "fps"):
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
        surroundings.telemetry.camera(state="lost", problem="unplugged")
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
    assert found["cmps"]["label"]["ops"] == ["oak", "elm", "unknown"]


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
        "from device.config import MqttConfig; from device.errors import OutputError\n"
        "from device.mqtt import Mqtt; from device.telemetry import Telemetry\n"
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


def test_after_an_outage_every_change_and_the_latest_state_are_there_in_order(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker))
    connect(sink, surroundings)
    thread = surroundings.run(sink)
    thread.put(sight(0, changed=True))
    broker.stop()
    eventually(lambda: surroundings.status().sinks["mqtt"].errors_total > 0)
    for number in range(1, 60):
        thread.put(sight(number, label=number // 10 % 3, changed=number in (10, 20, 30)))
    broker.start()
    with listening(broker) as listener:
        eventually(lambda: [r["frame"] for r in listener.records("state")][-1:] == [59])
        frames = [r["frame"] for r in listener.records("state")]
        assert frames == sorted(frames) and {10, 20, 30, 59} <= set(frames)
        eventually(lambda: listener.payloads(ANNOUNCED))
    told = retained(broker)
    assert told[f"{OWN}/availability"] == "online"
    assert json.loads(told[f"{OWN}/state"])["frame"] == 59
    assert surroundings.status().sinks["mqtt"].lost_changes_total == 0
    thread.start_closing()
    assert thread.join(2)


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


# --- who may -----------------------------------------------------------------------------------


def test_user_and_password_are_used_and_wrong_ones_named(
    tmp_path: Path, make: Make, surroundings: Surroundings
) -> None:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("no mosquitto_passwd: apt-get install mosquitto")
    passwords = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", str(passwords), "garden", "right"], check=True)
    broker = Broker(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    broker.start()
    try:
        wrong = make(config(broker, user="garden", password="wrong", device_id="x"))
        problem = problem_of(wrong, surroundings, "refuses")
        assert "uthori" in problem and "wrong" not in problem
        connect(make(config(broker, user="garden", password="right")), surroundings)
        login = {"username": "garden", "password": "right"}
        assert retained(broker, **login)[f"{OWN}/availability"] == "online"
    finally:
        broker.stop()


def test_tls_is_spoken_and_a_certificate_of_someone_else_refused(
    tmp_path: Path, make: Make, surroundings: Surroundings
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    for name in ("ours", "theirs"):
        subprocess.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            f"-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
            f"-keyout {name}.key -out {name}.pem".split(),
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    certificates = f"certfile {tmp_path}/ours.pem\nkeyfile {tmp_path}/ours.key"
    broker = Broker(tmp_path, f"{certificates}\nallow_anonymous true")
    broker.start()
    try:
        other = make(config(broker, tls=True, ca_file=str(tmp_path / "theirs.pem")))
        assert "certificate" in problem_of(other, surroundings, "cannot be reached")
        connect(make(config(broker, tls=True, ca_file=str(tmp_path / "ours.pem"))), surroundings)
    finally:
        broker.stop()
