"""What the real Home Assistant makes of what is sent: entities, states, automations, its log.

`make test-ha` runs it; it takes minutes to install.
"""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from device.contract.look.rules import Region, Seen
from device.outputs.mqtt.sink import Mqtt
from device.outputs.thread import SinkThread
from device.settings.sections import WebConfig
from device.telemetry.observation import NOTHING, Observation
from device.telemetry.status import BoardStatus
from device.telemetry.updates import UpdateStatus
from device.visits import days
from tests.support.device.mqtt_sinks import config
from tests.support.device.observations import MODEL, Surroundings, sight
from tests.support.device.visits import visit
from tests.support.peers.home_assistant import HomeAssistant
from tests.support.peers.mqtt_broker import Broker
from tests.support.pictures import LABELS, encoded
from tests.support.timing import eventually

NAMES = ["entities", "words", "starts", "outage", "swap", "visits", "before", "after", "load"]
ROW_BYTES = 160
"""Of its database, indexes included, as measured over 1,400 rows."""
MAX_BYTES_A_DAY = 5_000_000
HEARD_S = 20.0


class Link:
    """The network between device and broker, which can be gone."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open = True
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open = False
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        self._open = True

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=pair, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def home(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    folder = tmp_path_factory.mktemp("home-assistant")
    home = HomeAssistant(folder, [f"sensor.{name}_label" for name in NAMES])
    home.start(broker.port)
    yield home
    home.stop()


@contextmanager
def running(broker: Broker, name: str, around: Surroundings, **more: Any) -> Iterator[SinkThread]:
    web = more.pop("web", None)
    visits, updating = more.pop("visits", None), more.pop("updating", None)
    settings = config(broker, device_id=name, **more)
    looked_at = visits is not None
    sink = Mqtt(settings, web, looked_at=looked_at, visits=visits, updating=updating)
    thread = around.run(sink)
    try:
        yield thread
    finally:
        thread.start_closing()
        assert thread.join(5)


def shows(home: HomeAssistant, name: str, label: str) -> None:
    eventually(lambda: home.state(f"sensor.{name}_label") == label, HEARD_S)


def seen(home: HomeAssistant, name: str) -> list[str]:
    """Labels that it has shown, unavailable ones left out; after its database wrote them."""
    time.sleep(2)
    return [s for s in home.history(f"sensor.{name}_label") if s not in ("unavailable", "")]


def test_entities_have_units_classes_and_no_warning(home: HomeAssistant, broker: Broker) -> None:
    around = Surroundings()
    around.telemetry.board(BoardStatus(temperature_c=50.0))
    web = WebConfig(enabled=True, address="0.0.0.0")
    with running(broker, "entities", around, web=web) as thread:
        thread.put(sight(0, changed=True, score=0.876))
        shows(home, "entities", "red")
        label = home.entity("sensor.entities_label")["attributes"]
        assert label["options"] == [*LABELS, "nothing known"] and label["device_class"] == "enum"
        assert label["score"] == 0.88 and set(label["top"]) == set(LABELS)
        score = home.entity("sensor.entities_score")
        assert score["state"] == "88" and score["attributes"]["unit_of_measurement"] == "%"
        temperature = home.entity("sensor.entities_temperature")["attributes"]
        assert temperature["device_class"] == "temperature"
        assert home.state("binary_sensor.entities_camera") == "on"
        assert home.state("binary_sensor.entities_slowed_by_heat_or_power") == "off"
        assert "sensor.entities_frames_per_second" in {
            e["entity_id"] for e in home.call("/api/states")
        }
    shows(home, "entities", "unavailable")
    assert home.complaints == []


def test_its_own_words_are_no_labels_and_the_usual_guard_fires(
    home: HomeAssistant, broker: Broker
) -> None:
    model = replace(MODEL, labels=("None", "green", "unavailable"))
    around = Surroundings()
    around.telemetry.model(model)
    with running(broker, "words", around) as thread:
        thread.put(sight(0, label=0, changed=True, model=model))
        shows(home, "words", "None (class)")
        before = home.count("plain"), home.count("guarded")
        for number, (label, word) in enumerate(
            [(2, "unavailable (class)"), (None, "nothing known"), (1, "green"), (0, "None (class)")]
        ):
            thread.put(sight(number, label=label, changed=True, model=model))
            shows(home, "words", word)
        eventually(lambda: home.count("guarded") == before[1] + 1, HEARD_S)
        assert home.count("plain") == before[0] + 1
    assert home.complaints == []


def test_a_start_shows_no_label_of_before(home: HomeAssistant, broker: Broker) -> None:
    with running(broker, "starts", Surroundings()) as thread:
        thread.put(sight(0, label=1, changed=True))
        shows(home, "starts", "green")
    shows(home, "starts", "unavailable")
    before = home.count("plain")
    around = Surroundings()
    around.telemetry.camera.connecting("garden")
    with running(broker, "starts", around) as thread:
        eventually(lambda: home.state("binary_sensor.starts_camera") == "off", HEARD_S)
        around.telemetry.camera.streams()
        time.sleep(2)
        thread.put(sight(0, label=2, changed=True))
        shows(home, "starts", "blue")
    assert seen(home, "starts") == ["green", "blue"] and home.count("plain") == before


def test_after_an_outage_nothing_is_replayed(home: HomeAssistant, broker: Broker) -> None:
    link = Link(broker.port)
    around = Surroundings()
    try:
        with running(broker, "outage", around, port=link.port) as thread:
            thread.put(sight(0, label=0, changed=True))
            shows(home, "outage", "red")
            before = home.count("plain")
            link.cut()
            shows(home, "outage", "unavailable")
            for number in range(1, 12):
                thread.put(sight(number, label=number % 2, changed=True))
            thread.put(sight(12, label=2, changed=True))
            link.mend()
            shows(home, "outage", "blue")
            assert around.status().sinks["mqtt"].lost_changes_total == 0
        assert seen(home, "outage") == ["red", "blue"] and home.count("plain") == before
    finally:
        link.close()


def test_other_classes_come_without_a_warning(home: HomeAssistant, broker: Broker) -> None:
    around = Surroundings()
    with running(broker, "swap", around) as thread:
        thread.put(sight(0, label=0, changed=True))
        shows(home, "swap", "red")
        for number, labels in enumerate((("oak", "elm", "ash"), ("Ä", "None", "x"), LABELS)):
            model = replace(MODEL, labels=labels)
            # As in the service, where frames of the new model come first.
            thread.put(sight(number, label=0, changed=True, model=model))
            time.sleep(0.2)
            around.telemetry.model(model)
            shows(home, "swap", labels[0])
    assert seen(home, "swap") == ["red", "oak", "Ä", "red"]
    assert home.complaints == []


@pytest.mark.usefixtures("about_noon")
def test_visits_are_events_counters_and_a_picture(
    home: HomeAssistant, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a class that is called nothing, and midnight in between."""
    labels = ("red", "nothing", "None")
    looks = replace(MODEL, region=Region.CHANGE, labels=labels)
    around = Surroundings()
    around.telemetry.model(looks)
    started_s = time.time()

    def end(number: int, label: str) -> Observation:
        picture = encoded(Image.new("RGB", (32, 32), (number, 0, 0)), "JPEG")
        one = visit(label=label, picture=picture)
        return sight(number, model=looks, visit=one, visit_changed=True, seen=Seen.NOTHING)

    def counted(*counts: str) -> None:
        names = ["visits", "red", "nothing_class", "none_class", "nothing_known"]
        sensors = [f"sensor.visits_{name}_today" for name in names]
        eventually(lambda: [home.state(sensor) for sensor in sensors] == [*counts], HEARD_S)

    with running(broker, "visits", around, visits=tmp_path) as thread:
        empty = sight(0, changed=True, model=looks, seen=Seen.NOTHING)
        thread.put(replace(empty, label=NOTHING, score=0.0, top=()))
        shows(home, "visits", "nothing")
        counted("0", "0", "0", "0", "0")
        for number, label in enumerate(("red", "nothing", "red", "unknown", "None")):
            thread.put(end(number, label))
        counted("5", "2", "1", "1", "1")
        event = home.entity("event.visits_visit")
        assert event["attributes"]["event_type"] == "None (class)"
        assert event["attributes"]["duration_s"] == 12.5
        picture = home.entity("image.visits_last_visit")
        assert datetime.fromisoformat(picture["state"]).timestamp() > started_s
        assert home.picture("image.visits_last_visit").startswith(b"\xff\xd8")
        tomorrow = days.today() + timedelta(days=1)
        monkeypatch.setattr(days, "today", lambda: tomorrow)
        counted("0", "0", "0", "0", "0")
        assert home.entity("sensor.visits_visits_today")["attributes"]["state_class"]
        others = replace(looks, labels=("red", "green", "blue"))
        around.telemetry.model(others)
        thread.put(sight(9, changed=True, model=others))
        eventually(lambda: home.entity("sensor.visits_none_class_today") == {}, HEARD_S)
        assert home.state("sensor.visits_red_today") == "0"
    assert home.complaints == []


class Updating:
    """Notes wishes for a release."""

    def __init__(self, status: UpdateStatus) -> None:
        self.update, self.wishes = status, 0

    def install_update(self) -> None:
        self.wishes += 1


def test_a_signed_release_is_an_update_that_it_installs(
    home: HomeAssistant, broker: Broker
) -> None:
    around = Surroundings()
    told = UpdateStatus(source="https://fleet.example/", name="birds", installed=2, latest=2)
    updating = Updating(told)
    around.telemetry.update(told)
    with running(broker, "release", around, updating=lambda: updating) as thread:
        thread.put(sight(0, changed=True))
        entity = "update.release_model"
        eventually(lambda: home.state(entity) == "off", HEARD_S)
        assert home.state("sensor.release_last_check_for_updates") == "unknown"
        news = replace(told, latest=3, checked_unix_s=1.78e9, verified=True, waits="its hours")
        around.telemetry.update(news)
        eventually(lambda: home.state(entity) == "on", HEARD_S)
        found = home.entity(entity)["attributes"]
        assert (found["installed_version"], found["latest_version"]) == ("birds/2", "birds/3")
        assert found["release_summary"] == "waits for its hours" and not found["in_progress"]
        checked = home.entity("sensor.release_last_check_for_updates")
        assert checked["state"] == "2026-05-28T20:26:40+00:00"
        assert checked["attributes"]["time_verified"] is True
        home.call("/api/services/update/install", {"entity_id": entity})
        eventually(lambda: updating.wishes == 1, HEARD_S)
        around.telemetry.update(replace(news, stage="trial"))
        eventually(lambda: home.entity(entity)["attributes"]["in_progress"], HEARD_S)
        around.telemetry.update(replace(news, installed=3))
        eventually(lambda: home.state(entity) == "off", HEARD_S)
    assert home.complaints == []


def test_a_renamed_device_leaves_nothing_behind(home: HomeAssistant, broker: Broker) -> None:
    with running(broker, "before", Surroundings()) as thread:
        thread.put(sight(0, changed=True))
        shows(home, "before", "red")
    with running(broker, "after", Surroundings()) as thread:
        thread.put(sight(0, changed=True))
        shows(home, "after", "red")
        eventually(lambda: home.entity("sensor.before_label") == {}, HEARD_S)
    assert home.complaints == []


def test_a_lively_scene_costs_its_database_little(home: HomeAssistant, broker: Broker) -> None:
    """With the default interval, a score that never rests, and a new label each minute or so."""
    around, draw = Surroundings(), random.Random(0)
    around.telemetry.board(BoardStatus(temperature_c=50.0))
    with running(broker, "load", around, interval_s=10.0) as thread:
        thread.put(sight(0, changed=True))
        shows(home, "load", "red")
        time.sleep(2)
        before, started_s = home.rows("load"), time.monotonic()
        label = 0
        for number in range(1, 400):
            changed = number == 200
            label = (label + changed) % 3
            around.telemetry.board(BoardStatus(temperature_c=50 + draw.random()))
            around.telemetry.inferred(sight(number))
            thread.put(sight(number, label=label, changed=changed, score=0.5 + draw.random() / 2))
            time.sleep(0.1)
        took_s = time.monotonic() - started_s
        time.sleep(2)
        rows = home.rows("load") - before
    print(
        f"\n{rows} rows in {took_s:.0f} s: {rows * 86400 / took_s * ROW_BYTES / 1e6:.1f} MB a day"
    )
    assert rows * 86400 / took_s * ROW_BYTES < MAX_BYTES_A_DAY
