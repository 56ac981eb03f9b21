"""What MQTT and Home Assistant are told of visits, and of nothing being there."""

import gc
import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from device.contract.look.rules import Region
from device.errors import OutputError
from device.outputs.mqtt import home_assistant
from device.outputs.mqtt import sink as mqtt
from device.outputs.mqtt.sink import Mqtt
from device.outputs.mqtt.today import Today
from device.outputs.mqtt.visit_entities import MAX_COUNTED
from device.settings.mqtt import MqttConfig
from device.telemetry.observation import NOTHING, UNKNOWN, Observation
from device.visits import days
from device.visits.days import Days
from device.visits.store import VisitStore
from device.visits.visit import Visit
from tests.support.device.mqtt_sinks import ANNOUNCED, OWN, Make, config, connect, settle
from tests.support.device.observations import MODEL, Surroundings, sight
from tests.support.device.visits import JPEG, visit
from tests.support.peers.mqtt_broker import Broker, listening, retained
from tests.support.timing import eventually

pytest_plugins = "tests.support.device.mqtt_sinks"
pytestmark = pytest.mark.usefixtures("about_noon")
LOOKS = replace(MODEL, region=Region.CHANGE)


def announced(labels: tuple[str, ...] = MODEL.labels, **more: Any) -> dict[str, Any]:
    surroundings = Surroundings()
    surroundings.telemetry.model(replace(LOOKS, labels=labels, **more.pop("model", {})))
    settings = MqttConfig(device_id="garden", **more.pop("settings", {}))
    wanted = {"looked_at": True, "visits": True, **more}
    message = home_assistant.announcement(settings, surroundings.status(), **wanted)
    found: dict[str, Any] = json.loads(json.dumps(message))["cmps"]
    return found


def rendered(template: str, message: Any) -> str:
    """As Home Assistant does it, ends stripped."""
    made = SandboxedEnvironment().from_string(template)
    return made.render(value_json=json.loads(json.dumps(message))).strip()


def end_of(one: Visit, number: int = 1) -> Observation:
    return sight(number, visit=one, visit_changed=True, model=LOOKS)


# --- what is announced ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "without", [{"looked_at": False}, {"visits": False}, {"model": {"region": Region.WHOLE}}]
)
def test_visits_are_announced_where_there_can_be_some(without: dict[str, Any]) -> None:
    assert {"visit", "today", "picture"} <= set(announced())
    assert not {"visit", "today", "picture"} & set(announced(**without))


def test_without_pictures_in_the_settings_none_is_announced() -> None:
    found = announced(settings={"pictures": False})
    assert "picture" not in found and "visit" in found


@pytest.mark.parametrize("labels", [("oak", NOTHING), (NOTHING, "nothing (class)"), ("oak", "elm")])
def test_nothing_is_a_state_of_its_own_beside_a_class_of_that_name(labels: tuple[str, ...]) -> None:
    sensor = announced(labels)["label"]
    empty = rendered(sensor["val_tpl"], {"label": NOTHING, "top": {}})
    told = [rendered(sensor["val_tpl"], {"label": name, "top": {name: 1.0}}) for name in labels]
    told.append(rendered(sensor["val_tpl"], {"label": UNKNOWN, "top": {}}))
    assert empty == "nothing" and len({empty, *told}) == len(labels) + 2
    assert {empty, *told} == set(sensor["ops"])


def test_where_frames_are_not_looked_at_a_class_called_nothing_keeps_its_word() -> None:
    sensor = announced((NOTHING, "oak"), looked_at=False)["label"]
    assert sensor["ops"] == [NOTHING, "oak", "nothing known"]
    assert rendered(sensor["val_tpl"], {"label": NOTHING, "top": {NOTHING: 1.0}}) == NOTHING


@pytest.mark.parametrize("label", ["None", "wren", UNKNOWN, "a'b\"c\\n", "}}", "of another model"])
def test_an_event_of_a_visit_has_a_type_that_was_announced(label: str) -> None:
    event = announced(("None", "wren", "a'b\"c\\n", "}}"))["visit"]
    one = visit(label=label)
    told = json.loads(rendered(event["val_tpl"], one.record()))
    assert told["event_type"] in event["evt_typ"] and told["id"] == one.id
    assert told["duration_s"] == 12.5 and told["top"] == dict(one.top)
    assert len(set(event["evt_typ"])) == len(event["evt_typ"])


def test_each_class_has_a_counter_that_reads_its_own_number() -> None:
    found, record = announced(("wren", "}}", "a'b\"c\\n")), Today(Days(Path("/nowhere"))).record()
    record = {**record, "visits": 6, "labels": {"wren": 1, "}}": 2, "a'b\"c\\n": 3}}
    counters = {key: one for key, one in found.items() if key.startswith("today_")}
    read = {one["name"]: rendered(one["val_tpl"], record) for one in counters.values()}
    assert read == {"wren today": "1", "}} today": "2", "a'b\"c\\n today": "3"} | {
        "nothing known today": "0"
    }
    assert rendered(found["today"]["val_tpl"], record) == "6"
    assert json.loads(rendered(found["today"]["json_attr_tpl"], record)) == record["labels"]


def test_a_counter_stays_the_same_entity_when_other_classes_come() -> None:
    def ids(labels: tuple[str, ...]) -> dict[str, str]:
        found = announced(labels).values()
        return {one["name"]: one["unique_id"] for one in found if one["name"].endswith(" today")}

    few, many = ids(("wren", "robin")), ids(("ant", "robin", "wren"))
    assert few["wren today"] == many["wren today"] and few["robin today"] == many["robin today"]


def test_a_model_of_very_many_classes_has_one_counter_for_all() -> None:
    found = announced(tuple(f"class {i}" for i in range(MAX_COUNTED)))
    assert [key for key in found if key.startswith("today")] == ["today"]


@pytest.mark.parametrize("restarted", [True, False])
def test_entities_that_are_no_more_are_taken_back(
    restarted: bool, broker: Broker, make: Make, impatient: None, looking: Surroundings
) -> None:
    """Home Assistant keeps what an announcement leaves out."""
    folder = Path("/nowhere")
    sink = make(config(broker), looked_at=True, visits=folder)
    connect(sink, looking)
    before = json.loads(retained(broker)[ANNOUNCED])["cmps"]
    if restarted:
        sink.close()
        sink = make(config(broker), looked_at=True, visits=folder)
    looking.telemetry.model(replace(LOOKS, labels=("green", "elm", "oak")))
    connect(sink, looking)

    def told() -> dict[str, Any]:
        sink.tick(looking.status())
        settle(sink)
        found: dict[str, Any] = json.loads(retained(broker)[ANNOUNCED])["cmps"]
        return found

    eventually(lambda: set(before) <= set(told()))
    found = told()
    gone = {key for key, one in before.items() if one.get("name") in ("red today", "blue today")}
    assert len(gone) == 2
    assert {key for key, one in found.items() if one == {"p": "sensor"}} == gone
    names = {one["name"] for one in found.values() if "name" in one}
    assert {"green today", "elm today", "oak today"} <= names


# --- how many today -------------------------------------------------------------------------------


def test_visits_are_counted_by_class_and_begin_again_at_midnight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    today, one = Today(Days(tmp_path)), visit()
    for found in (one, one, visit(label="robin"), visit(label="wren")):
        today.add(found)
    record = today.record()
    assert (record["visits"], record["labels"]) == (3, {"robin": 1, "wren": 2})
    assert record["day"] == str(days.today())
    tomorrow = date.fromisoformat(record["day"]) + timedelta(days=1)
    monkeypatch.setattr(days, "today", lambda: tomorrow)
    today.add(one)
    assert today.record() == {"day": str(tomorrow), "visits": 0, "labels": {}}


def test_visits_that_are_on_the_disk_count_too_and_once(tmp_path: Path) -> None:
    kept = [visit(), visit(label="robin")]
    for one in kept:
        VisitStore(tmp_path, 10, 30.0).add(one)
    today = Today(Days(tmp_path))
    today.add(kept[0])
    assert today.record()["labels"] == {"robin": 1, "wren": 1}


def test_counting_for_weeks_keeps_no_visits_of_earlier_days_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_memory() -> int:
        gc.collect()
        return sum(isinstance(one, Visit) for one in gc.get_objects())

    first, today, before = days.today(), Today(Days(tmp_path)), in_memory()
    for number in range(20):
        day = first + timedelta(days=number)
        noon_s = datetime(day.year, day.month, day.day, 12).timestamp()
        VisitStore(tmp_path, 10, 30.0).add(visit(noon_s))
        monkeypatch.setattr(days, "today", lambda day=day: day)
        assert today.record()["visits"] == 1
    assert in_memory() <= before + 1


# --- what is sent ---------------------------------------------------------------------------------


@pytest.fixture
def looking(surroundings: Surroundings) -> Surroundings:
    surroundings.telemetry.model(LOOKS)
    return surroundings


@pytest.fixture
def sink(broker: Broker, make: Make, impatient: None, tmp_path: Path) -> Mqtt:
    return make(config(broker), looked_at=True, visits=tmp_path / "visits")


def test_a_visit_is_sent_with_its_picture_and_today_s_numbers(
    sink: Mqtt, broker: Broker, looking: Surroundings
) -> None:
    connect(sink, looking)
    one = visit()
    with listening(broker) as listener:
        eventually(lambda: listener.records("today"))
        assert listener.records("today")[-1]["visits"] == 0
        sink.publish(sight(0, visit=replace(one, end_unix_s=None), visit_changed=True, model=LOOKS))
        sink.publish(end_of(one))
        eventually(lambda: listener.records(f"{OWN}/visits"))
        assert listener.records(f"{OWN}/visits") == [one.record()]
        # An automation that an event starts finds the picture and the numbers that belong to it.
        order = [topic.rpartition("/")[2] for topic, _, _ in listener.messages]
        assert order[-3:] != [] and order.index("picture") < order.index("visits")
        assert listener.records("today")[-1]["labels"] == {"wren": 1}
    told = retained(broker)
    assert told[f"{OWN}/picture"].encode(errors="surrogateescape") == JPEG
    assert json.loads(told[f"{OWN}/today"])["visits"] == 1 and f"{OWN}/visits" not in told
    components = json.loads(told[ANNOUNCED])["cmps"]
    assert components["picture"]["img_t"] == f"{OWN}/picture"
    assert components["visit"]["stat_t"] == f"{OWN}/visits"
    assert components["today"]["stat_t"] == f"{OWN}/today"


def test_without_pictures_in_the_settings_none_is_sent(
    broker: Broker, make: Make, impatient: None, looking: Surroundings, tmp_path: Path
) -> None:
    sink = make(config(broker, pictures=False), looked_at=True, visits=tmp_path)
    connect(sink, looking)
    sink.publish(end_of(visit()))
    settle(sink)
    told = retained(broker)
    assert f"{OWN}/picture" not in told and json.loads(told[f"{OWN}/today"])["visits"] == 1


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"pictures": False}, {f"{OWN}/today"}),
        ({"visits": None}, set()),
        ({"looked_at": False}, set()),
        ({}, {f"{OWN}/today", f"{OWN}/picture"}),
    ],
    ids=["no pictures", "no visits", "whole pictures", "as before"],
)
def test_what_a_broker_keeps_of_visits_goes_once_the_settings_ask_for_none(
    change: dict[str, Any],
    left: set[str],
    broker: Broker,
    make: Make,
    impatient: None,
    looking: Surroundings,
    tmp_path: Path,
) -> None:
    sink = make(config(broker), looked_at=True, visits=tmp_path)
    connect(sink, looking)
    sink.publish(end_of(visit()))
    settle(sink)
    sink.close()
    kept = {f"{OWN}/today", f"{OWN}/picture"}
    assert kept <= set(retained(broker))
    pictures = change.pop("pictures", True)
    sink = make(
        config(broker, pictures=pictures), **{"looked_at": True, "visits": tmp_path, **change}
    )
    connect(sink, looking)

    def is_gone() -> bool:
        sink.tick(looking.status())
        settle(sink)
        return kept & set(retained(broker)) == left

    eventually(is_gone)
    assert ANNOUNCED in retained(broker)


def test_where_frames_are_not_looked_at_nothing_is_sent_of_visits(
    sink: Mqtt, broker: Broker, surroundings: Surroundings
) -> None:
    connect(sink, surroundings)
    sink.publish(sight(0, changed=True))
    settle(sink)
    assert not {f"{OWN}/today", f"{OWN}/picture"} & set(retained(broker))


def test_visits_that_no_broker_confirmed_are_sent_again_and_counted_once(
    sink: Mqtt, broker: Broker, looking: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sink, looking)
    broker.freeze()
    told = [visit() for _ in range(5)]
    for number, one in enumerate(told):
        sink.publish(end_of(one, number))
    broker.stop()
    broker.start()
    with listening(broker) as listener:
        connect(sink, looking)
        eventually(lambda: len(listener.records("visits")) == 5)
        assert [record["visit"] for record in listener.records("visits")] == [v.id for v in told]
        eventually(lambda: listener.records("today"))
        assert listener.records("today")[-1]["visits"] == 5
        eventually(lambda: listener.payloads("picture"))


def test_a_visit_that_could_not_be_sent_yet_is_not_counted_again(
    sink: Mqtt, broker: Broker, looking: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "CONFIRM_S", 0.01)
    connect(sink, looking)
    broker.freeze()
    last = visit()
    for number in range(mqtt.MAX_UNCONFIRMED):
        sink.publish(end_of(visit(), number))
    for _ in range(3):
        with pytest.raises(OutputError, match="has not confirmed"):
            sink.publish(end_of(last, 99))
    broker.thaw()
    settle(sink)
    with listening(broker) as listener:
        sink.publish(end_of(last, 99))
        eventually(lambda: listener.records("visits"))
        eventually(lambda: listener.records("today"))
        assert listener.records("today")[-1]["visits"] == mqtt.MAX_UNCONFIRMED + 1
        assert [record["visit"] for record in listener.records("visits")] == [last.id]


def test_today_s_numbers_change_at_midnight_though_nobody_comes(
    sink: Mqtt, broker: Broker, looking: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sink, looking)
    sink.publish(end_of(visit()))
    # Before that the broker keeps the number of before.
    settle(sink)
    with listening(broker) as listener:
        eventually(lambda: listener.records("today"))
        assert listener.records("today")[-1]["visits"] == 1
        tomorrow = days.today() + timedelta(days=1)
        monkeypatch.setattr(days, "today", lambda: tomorrow)
        sink.tick(looking.status())
        eventually(lambda: listener.records("today")[-1]["visits"] == 0)
        assert listener.records("today")[-1]["day"] == str(tomorrow)
