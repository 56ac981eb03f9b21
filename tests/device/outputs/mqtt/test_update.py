"""What MQTT and Home Assistant are told of releases, and that Home Assistant may install one."""

import json
from dataclasses import replace

import pytest

from device.outputs.mqtt import update_entity
from device.telemetry.updates import SoftwareStatus, UpdateStatus
from device.update import watch
from device.update.state import STAGES, Progress
from tests.device.outputs.mqtt.test_drift import announced, rendered
from tests.support.device.mqtt_sinks import ANNOUNCED, OWN, Make, config, connect
from tests.support.device.observations import WAITING, Surroundings
from tests.support.peers.mqtt_broker import Broker, listening, retained
from tests.support.timing import eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
NEWS = replace(
    WAITING,
    software=SoftwareStatus(
        installed=4, latest=5, runs="software-1a2b", failed=("3: its updater does not run",)
    ),
)


class Updating:
    """Notes wishes."""

    def __init__(self) -> None:
        self.wishes = 0
        self.update = NEWS

    def install_update(self) -> None:
        self.wishes += 1


def test_releases_are_announced_only_where_they_are_fetched() -> None:
    assert {"update", "update_checked"} <= set(announced(update=True))
    assert not {"update", "update_checked"} & set(announced())


def test_home_assistant_reads_versions_check_and_trust_of_one_message() -> None:
    entities, message = announced(update=True), update_entity.record(NEWS)
    release = json.loads(rendered(entities["update"]["val_tpl"], message))
    assert (release["installed_version"], release["latest_version"]) == ("birds/2", "birds/3")
    own = json.loads(rendered(entities["update_software"]["val_tpl"], message))
    assert (own["installed_version"], own["latest_version"]) == ("software/4", "software/5")
    checked = rendered(entities["update_checked"]["val_tpl"], message)
    assert checked == "2026-05-28T20:26:40+00:00"
    about = json.loads(rendered(entities["update_checked"]["json_attr_tpl"], message))
    assert about["time_verified"] and about["source"] == "http://fleet.example/public"
    assert about["software"]["runs"] == "software-1a2b" and "updater" in str(about["software"])


@pytest.mark.parametrize("software", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_home_assistant_shows_what_is_being_done_about_a_release(
    stage: str, software: bool
) -> None:
    doing = watch.note(Progress(release=10**6, stage=stage), software=software)
    told = replace(NEWS, doing=doing, software=replace(NEWS.software, doing=doing))
    message = update_entity.record(told)
    for which in ("release", "software"):
        summary = message[which]["release_summary"]
        # Home Assistant cuts off what is longer.
        assert len(summary) <= 255 and doing in summary
    assert message["about"]["doing"] == message["about"]["software"]["doing"] == doing


@pytest.mark.parametrize(("latest", "installed"), [(0, 0), (0, 2), (1, 2)])
def test_what_is_installed_is_never_older_than_what_is_offered(latest: int, installed: int) -> None:
    status = UpdateStatus(name="birds", latest=latest, installed=installed)
    release = update_entity.record(status)["release"]
    assert release["installed_version"] == release["latest_version"]


def test_a_wish_of_home_assistant_reaches_the_updater(
    broker: Broker, make: Make, surroundings: Surroundings, impatient: None
) -> None:
    updating = Updating()
    sink = make(config(broker), updating=lambda: updating)
    surroundings.telemetry.update(NEWS)
    connect(sink, surroundings)
    sink.tick(surroundings.status())
    told = json.loads(retained(broker)[f"{OWN}/update"])
    assert told["release"]["latest_version"] == "birds/3"
    where = json.loads(retained(broker)[ANNOUNCED])["cmps"]["update"]["cmd_t"]
    with listening(broker) as home_assistant:
        home_assistant.say(where, "nonsense")
        home_assistant.say(where, "install")

        def wished() -> bool:
            sink.tick(surroundings.status())
            return bool(updating.wishes)

        eventually(wished)
    assert updating.wishes == 1
