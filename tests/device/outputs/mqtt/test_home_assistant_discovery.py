"""What Home Assistant is told in one message: names, words and addresses."""

import json
import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2.sandbox import SandboxedEnvironment

from device.outputs.mqtt import home_assistant
from device.settings.mqtt import MqttConfig
from device.settings.sections import WebConfig
from device.telemetry import machine
from device.telemetry.observation import UNKNOWN
from tests.support.device.observations import MODEL, Surroundings, sight

HOME_ASSISTANT_S_OWN = {"", "none", "unknown", "unavailable"}
LABELS = st.lists(
    st.one_of(st.sampled_from(["unknown", "Unknown", "None", "none", "unavailable", "UNAVAILABLE"]))
    | st.sampled_from(["nothing known", "None (class)", "}}", "{{ 1 }}", "{% raw %}", "a'b\"c\\n"])
    | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=300),
    min_size=1,
    max_size=8,
    unique=True,
)


def announced(labels: tuple[str, ...], **more: Any) -> dict[str, Any]:
    surroundings = Surroundings()
    surroundings.telemetry.model(replace(MODEL, labels=labels))
    config = MqttConfig(device_id="garden", **more)
    # As it comes out at the other end.
    found: dict[str, Any] = json.loads(
        json.dumps(home_assistant.announcement(config, surroundings.status()))
    )
    return found


def rendered(template: str, message: dict[str, Any]) -> str:
    """As Home Assistant does it, ends stripped."""
    made = SandboxedEnvironment().from_string(template)
    return made.render(value_json=json.loads(json.dumps(message))).strip()


@given(labels=LABELS)
@example(labels=["None", "None (class)", "none", "unavailable"])
@example(labels=["x" * 260 + "a", "x" * 260 + "b"])
@example(labels=["a  b", "a b", " a b"])
def test_no_label_is_told_by_a_word_of_home_assistant_s_own(labels: list[str]) -> None:
    sensor = announced(tuple(labels))["cmps"]["label"]
    options = sensor["ops"]
    assert len(set(options)) == len(options)
    assert not any(option.lower() in HOME_ASSISTANT_S_OWN for option in options)
    assert all(len(option) <= 255 for option in options)
    told = [rendered(sensor["val_tpl"], {"label": label}) for label in (*labels, UNKNOWN)]
    assert set(told) <= set(options)
    # Each its own, but for a class that is called as what is not known is.
    assert len(set(told)) == len({*labels, UNKNOWN})


def test_a_label_of_another_model_is_told_as_not_known() -> None:
    sensor = announced(("oak", "elm"))["cmps"]["label"]
    assert rendered(sensor["val_tpl"], {"label": "tulip"}) == "nothing known"
    assert sensor["ops"] == ["oak", "elm", "nothing known"]


def test_attributes_stay_the_same_until_the_label_changes() -> None:
    sensor = announced(MODEL.labels)["cmps"]["label"]
    first = sight(0, score=0.81234)
    later = [home_assistant.state(sight(n, score=0.5 + n / 100), first) for n in range(5)]
    attributes = {rendered(sensor["json_attr_tpl"], message) for message in later}
    assert len(attributes) == 1
    assert json.loads(attributes.pop())["score"] == 0.81


def test_the_source_of_pictures_goes_nowhere() -> None:
    told = json.dumps([home_assistant.change(sight(0)), home_assistant.state(sight(0), sight(0))])
    assert "garden/stream" not in told and "source" not in told


# --- who it is --------------------------------------------------------------------------------


def test_machines_of_one_host_name_have_ids_of_their_own_that_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "machine-id"
    monkeypatch.setattr(machine, "MACHINE_ID", file)
    ids = []
    for number in (1, 2, 1):
        file.write_text(f"{number:032x}\n")
        ids.append(home_assistant.device_id(MqttConfig()))
        # It is a secret of the machine's.
        assert f"{number:032x}" not in ids[-1]
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname())
    assert ids[0] == ids[2] != ids[1] and ids[0].startswith(f"fieldguide-{host}-")
    assert home_assistant.device_id(MqttConfig(device_id="mine")) == "mine"


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", "short"])
def test_a_machine_without_an_id_goes_by_its_host_name(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "machine-id"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(machine, "MACHINE_ID", file)
    host = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname())
    assert home_assistant.device_id(MqttConfig()) == f"fieldguide-{host}"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "garden"),
        ({"name": "Garten Süd"}, "Garten Süd"),
        ({"device_id": "Garten Süd"}, "Garten Süd"),
    ],
)
def test_the_device_has_the_name_of_the_settings(settings: dict[str, Any], name: str) -> None:
    surroundings = Surroundings()
    config = replace(MqttConfig(device_id="garden"), **settings)
    found = home_assistant.announcement(config, surroundings.status())
    assert found["dev"]["name"] == name
    assert found["dev"]["ids"] == [home_assistant.device_id(config)]


@pytest.mark.parametrize(
    ("web", "address"),
    [
        (None, None),
        (WebConfig(), None),
        (WebConfig(enabled=True), None),
        (WebConfig(enabled=True, address="::1"), None),
        (WebConfig(enabled=True, address="0.0.0.0", port=0), None),
        (WebConfig(enabled=True, address="192.168.1.9"), "http://192.168.1.9:8080/"),
        (WebConfig(enabled=True, address="fd00::9", port=80), "http://[fd00::9]:80/"),
        (WebConfig(enabled=True, address="0.0.0.0", hosts=("cam.lan",)), "http://cam.lan:8080/"),
        (WebConfig(enabled=True, address="0.0.0.0"), "http://garden.local:8080/"),
    ],
)
def test_the_device_leads_to_its_page_where_the_network_may_see_it(
    web: WebConfig | None, address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "garden")
    found = home_assistant.announcement(MqttConfig(), Surroundings().status(), web)
    assert found["dev"].get("cu") == address
