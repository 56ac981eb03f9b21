"""Who runs what, from what boards keep at a real broker: away, many, and behind a password."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import client as paho

from device.contract.release.rollout import Stage, parse
from device.fleet import at_broker, boards
from device.fleet.at_broker import ask, read_broker
from device.outputs.mqtt import connection, trouble, update_entity
from device.settings.mqtt import MqttConfig
from device.telemetry.updates import UpdateStatus
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import Good, Run, complaint
from tests.device.fleet.test_status import STATUS
from tests.support.device.metrics_server import metrics
from tests.support.device.mqtt_sinks import Make, config, connect, settle
from tests.support.device.observations import Surroundings
from tests.support.peers.mqtt_broker import Broker, certificate, listening, tls

pytest_plugins = "tests.support.device.mqtt_sinks"

PREFIX = "fieldguide"
GOOD = UpdateStatus(name="birds", installed=1, latest=1, stage="watch", verified=True)
BAD = UpdateStatus(name="birds", failed=("1: the service crashed 3 times",))
BUSY = UpdateStatus(name="birds", latest=1, stage="trial")
SECRET = "in-the-shed-42"


@pytest.fixture(autouse=True)
def _ask_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "PROBE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT_S", 1.0)
    monkeypatch.setattr(connection, "FIRST_WAIT_S", 0.1)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Path]:
    """Writes a settings file with a broker."""

    def write(broker: Broker, **more: object) -> Path:
        path = tmp_path / "house.toml"
        values = {"host": "127.0.0.1", "port": broker.port, **more}
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        path.write_text("\n".join(["[output.mqtt]", *lines]))
        return path

    return write


@pytest.fixture
def logged_in(tmp_path: Path) -> Iterator[Broker]:
    """A broker that wants a user and a password, and TLS."""
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("no mosquitto_passwd: apt-get install mosquitto")
    certificate(tmp_path, "ours")
    passwords = tmp_path / "passwords"
    subprocess.run([program, "-b", "-c", str(passwords), "fleet", SECRET], check=True)
    closed = f"allow_anonymous false\npassword_file {passwords}"
    broker = Broker(tmp_path, tls(tmp_path, closed))
    broker.start()
    yield broker
    broker.stop()


def keep(broker: Broker, told: dict[str, UpdateStatus], available: str = "online") -> None:
    """What boards keep there, as their outputs write it."""
    with listening(broker) as board:
        for name, status in told.items():
            board.keep(f"{PREFIX}/{name}/update", json.dumps(update_entity.record(status)))
            board.keep(f"{PREFIX}/{name}/availability", available)


def test_a_board_is_understood_by_what_its_real_output_keeps(
    broker: Broker, make: Make, surroundings: Surroundings
) -> None:
    sink = make(config(broker), updating=lambda: None)
    connect(sink, surroundings)
    status = replace(STATUS, unknown_group="gardn")
    sink.tick(replace(surroundings.status(), update=status))
    settle(sink)
    [told] = ask(MqttConfig(host="127.0.0.1", port=broker.port), ["garden"])
    assert any("gardn" in words for words in told.troubles)
    over_http = boards.parse(told.url, metrics(status).decode())
    assert told == replace(over_http, url="mqtt:garden") and told.model.release == "birds/2"


def test_status_names_boards_of_metrics_and_of_the_broker(
    broker: Broker,
    good: Good,
    settings: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(broker, {"garden": GOOD, "hedge": BAD, "other": GOOD})
    keep(broker, {"pond": GOOD}, available="offline")
    listed = tmp_path / "boards.txt"
    listed.write_text("mqtt:garden\nmqtt:hedge\nmqtt:pond\nmqtt:lost\nhttp://127.0.0.1:9/metrics\n")
    good("status", f"--boards={listed}", f"--mqtt={settings(broker)}")
    said = capsys.readouterr().out
    assert "mqtt:garden: birds/1, 1 is offered watch\n" in said
    assert "mqtt:hedge: birds/0; went back from 1 release; its time is not verified\n" in said
    assert "mqtt:pond: is not online\n" in said and "mqtt:lost: never heard of\n" in said
    assert "3 of 5 boards said nothing of releases" in said and "other" not in said
    good("status", f"--mqtt={settings(broker)}")
    assert "birds/1: 2 of 3 boards (67%)" in capsys.readouterr().out


def test_a_ramp_raises_and_halts_by_what_boards_keep_at_the_broker(
    broker: Broker, good: Good, run: Run, settings: Callable[..., Path], board: Board
) -> None:
    def stage() -> Stage:
        return parse(board.rollout().to_json()).groups["all"]["birds"]

    good("promote", "--name=birds", "--percent=10")
    look = ("ramp", "--name=birds", "--hours=0", f"--mqtt={settings(broker)}")
    keep(broker, {f"board{number}": GOOD for number in range(5)} | {"busy": BUSY})
    assert run(*look) == 0 and stage() == Stage(1, 50)
    keep(broker, {f"board{number}": BAD for number in range(2)})
    assert run(*look) == 1 and stage() == Stage(1, 50, halted=True)


def test_a_thousand_boards_are_all_heard(broker: Broker) -> None:
    with listening(broker) as board:
        client: paho.Client = board._client
        for number in range(1000):
            record = json.dumps(update_entity.record(GOOD))
            client.publish(f"{PREFIX}/board{number}/update", record, qos=1, retain=True)
            client.publish(f"{PREFIX}/board{number}/availability", "online", qos=1, retain=True)
        board.keep(f"{PREFIX}/last/availability", "online")
    told = ask(MqttConfig(host="127.0.0.1", port=broker.port), ["+"])
    assert len(told) == 1000 and {each.model.release for each in told} == {"birds/1"}


def test_password_and_certificate_are_those_of_the_settings_and_never_shown(
    logged_in: Broker,
    run: Run,
    settings: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    safe = {"tls": True, "ca_file": str(tmp_path / "ours.pem"), "user": "fleet"}
    assert run("status", f"--mqtt={settings(logged_in, **safe, password=SECRET)}") == 0
    capsys.readouterr()
    wrong = SECRET + "!"
    assert run("status", f"--mqtt={settings(logged_in, **safe, password=wrong)}") == 1
    said = capsys.readouterr()
    assert "output.mqtt.user and password" in said.err and SECRET not in said.err + said.out
    assert run("status", f"--mqtt={settings(logged_in, user='fleet', password=SECRET)}") == 1
    assert "set output.mqtt.tls = true" in capsys.readouterr().err


def test_a_broker_that_is_away_is_one_line_and_nothing_changes(
    broker: Broker,
    run: Run,
    good: Good,
    settings: Callable[..., Path],
    fleet: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good("promote", "--name=birds", "--percent=10")
    before = (fleet / "public/metadata/timestamp.json").read_bytes()
    capsys.readouterr()
    broker.stop()
    assert run("ramp", "--name=birds", f"--mqtt={settings(broker)}") == 1
    assert "cannot be reached" in complaint(capsys)
    assert (fleet / "public/metadata/timestamp.json").read_bytes() == before


def test_boards_at_a_broker_that_nobody_named_are_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "boards.txt"
    listed.write_text("mqtt:garden\n")
    assert run("status", f"--boards={listed}") == 1
    assert "MQTT= names a settings file" in complaint(capsys)


@pytest.mark.parametrize("text", ["[output.mqtt]\nhost = 'mqtt://x'", "[output.mqtt", "[x]\ny=1"])
def test_settings_without_a_broker_that_there_can_be_are_one_line(
    run: Run, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "house.toml"
    path.write_text(text)
    assert run("status", f"--mqtt={path}") == 2
    assert str(path) in complaint(capsys)


def test_a_broker_of_settings_that_are_not_enabled_is_asked(
    broker: Broker, settings: Callable[..., Path]
) -> None:
    assert read_broker(settings(broker, enabled=False)).port == broker.port


@given(st.text() | st.recursive(st.none() | st.text(), lambda x: st.lists(x)).map(json.dumps))
def test_nothing_that_a_board_keeps_breaks_it(text: str) -> None:
    assert at_broker.parse("mqtt:garden", text).problem


@given(
    st.dictionaries(st.sampled_from(["title", "installed_version", "latest_version"]), st.text())
)
def test_no_name_or_number_of_a_board_breaks_it(release: dict[str, str]) -> None:
    told = at_broker.parse(
        "mqtt:garden", json.dumps({"release": release, "about": {"led_back": [1]}})
    )
    assert "\n" not in told.model.release and "\x1b" not in told.model.release
