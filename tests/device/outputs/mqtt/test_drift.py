"""What MQTT and Home Assistant are told of what has changed at the camera."""

import json
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from device.drift.sample import Family
from device.drift.status import CURES, DriftStatus, Estimate, FamilyStatus
from device.outputs.mqtt import drift_entities, home_assistant
from device.outputs.mqtt.drift_entities import NAMES
from device.settings.mqtt import MqttConfig
from tests.support.device.mqtt_sinks import ANNOUNCED, OWN, Make, config, connect, settle
from tests.support.device.observations import Surroundings
from tests.support.peers.mqtt_broker import Broker, retained
from tests.support.timing import eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
QUIET = {family: FamilyStatus() for family in Family}
BLURRED = FamilyStatus(1.4, True, "2026-11-26", "blurred", CURES[Family.CAMERA])
ACCURACY = Estimate(0.914, 0.88, 0.94, 7)


def status(**changed: FamilyStatus) -> DriftStatus:
    families = {**QUIET, **{Family(name): found for name, found in changed.items()}}
    return DriftStatus(7, 7, families, ACCURACY)


def announced(**more: Any) -> dict[str, Any]:
    surroundings = Surroundings()
    settings = MqttConfig(device_id="garden")
    message = home_assistant.announcement(settings, surroundings.status(), **more)
    found: dict[str, Any] = json.loads(json.dumps(message))["cmps"]
    return found


def rendered(template: str, message: Any) -> str:
    """As Home Assistant does it, ends stripped."""
    made = SandboxedEnvironment().from_string(template)
    return made.render(value_json=json.loads(json.dumps(message))).strip()


def test_each_family_is_a_problem_sensor_and_nothing_is_announced_where_it_is_off() -> None:
    found = announced(drift=True)
    problems = {one["name"] for one in found.values() if one.get("dev_cla") == "problem"}
    assert set(NAMES.values()) <= problems and "accuracy" in found
    assert not {key for key in announced(drift=False) if key.startswith("drift")}


def test_an_alarm_turns_its_own_sensor_on_with_reason_and_cure() -> None:
    components, message = announced(drift=True), drift_entities.record(status(camera=BLURRED))
    states = {
        family: rendered(components[f"drift_{family}"]["val_tpl"], message) for family in Family
    }
    assert states == {family: "ON" if family is Family.CAMERA else "OFF" for family in Family}
    attributes = rendered(components["drift_camera"]["json_attr_tpl"], message)
    told = json.loads(attributes)
    assert told["why"] == "blurred" and "clean the lens" in told["cure"]
    assert told["since"] == "2026-11-26"


@pytest.mark.parametrize(
    ("found", "shown"),
    [(status(), "91.4"), (status(camera=BLURRED), "None"), (DriftStatus(), "None")],
)
def test_the_accuracy_is_told_only_while_scores_mean_what_they_say(
    found: DriftStatus, shown: str
) -> None:
    template = announced(drift=True)["accuracy"]["val_tpl"]
    assert rendered(template, drift_entities.record(found)) == shown


def test_it_is_sent_when_it_changes_and_removed_once_the_settings_watch_for_nothing(
    broker: Broker, make: Make, impatient: None, surroundings: Surroundings
) -> None:
    sink = make(config(broker), drift=True)
    connect(sink, surroundings)
    assert f"{OWN}/drift" not in retained(broker)
    surroundings.telemetry.drift(status(camera=BLURRED))
    sink.tick(surroundings.status())
    settle(sink)
    assert json.loads(retained(broker)[f"{OWN}/drift"])["camera"]["alarm"]
    components = json.loads(retained(broker)[ANNOUNCED])["cmps"]
    assert components["drift_camera"]["stat_t"] == f"{OWN}/drift"
    sink.close()
    without = make(config(broker))
    connect(without, surroundings)

    def is_gone() -> bool:
        without.tick(surroundings.status())
        settle(without)
        told = retained(broker)
        left = json.loads(told[ANNOUNCED])["cmps"].get("drift_camera", {"p": ""})
        return f"{OWN}/drift" not in told and set(left) <= {"p"}

    eventually(is_gone)
