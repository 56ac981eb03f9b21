"""States are words that the page, Home Assistant and a deployment wait for: all know the same."""

import re

import pytest
from jinja2.sandbox import SandboxedEnvironment

from device.outputs.mqtt import home_assistant
from device.settings.mqtt import MqttConfig
from device.telemetry.status import CameraState
from tests.support.device.observations import Surroundings
from tests.support.places import ROOT

EVERY = set(CameraState)


def test_the_page_speaks_of_every_state_and_of_no_other() -> None:
    scripts = (ROOT / "device/outputs/web").glob("*.js")
    page = "\n".join(path.read_text() for path in scripts)
    named = set(re.findall(r'camera\.state [!=]== "(\w+)"', page))
    assert named == EVERY - {CameraState.LOST}, "what is none of them is told as lost"


def test_a_deployment_waits_for_states_that_there_are() -> None:
    tasks = (ROOT / "device/deploy/tasks/health.yml").read_text()
    found = re.findall(r"camera \(([a-z|]+)\)", tasks)
    assert found and {word for words in found for word in words.split("|")} <= EVERY


@pytest.mark.parametrize("state", CameraState)
def test_home_assistant_sees_a_camera_only_while_it_streams(state: CameraState) -> None:
    told = home_assistant.announcement(MqttConfig(), Surroundings().status())["cmps"]
    message = {"camera": state, "label_is_current": True}

    def rendered(template: str) -> str:
        return SandboxedEnvironment().from_string(template).render(value_json=message)

    streams = state == CameraState.STREAMING
    assert rendered(told["camera"]["val_tpl"]) == ("ON" if streams else "OFF")
    available = told["label"]["avty"][1]["val_tpl"]
    assert rendered(available) == ("online" if streams else "offline")
