"""The real Home Assistant in an environment of its own, spoken to as its page does."""

import json
import os
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import BUILD
from tests.support.ports import free_port
from tests.support.timing import eventually

HASS = BUILD / "venv-ha" / "bin" / "hass"
START_S = 180.0
CONFIGURATION = """
homeassistant: {{name: Test, time_zone: UTC, country: DE}}
http: {{server_host: 127.0.0.1, server_port: {port}}}
api:
config:
recorder: {{commit_interval: 1, auto_purge: false}}
history:
logger: {{default: info}}
counter: {{plain: {{}}, guarded: {{}}}}
automation:
  - alias: plain
    mode: queued
    triggers: [{{trigger: state, entity_id: {entities}, to: green}}]
    actions: [{{action: counter.increment, target: {{entity_id: counter.plain}}}}]
  - alias: guarded
    mode: queued
    triggers:
      - {{trigger: state, entity_id: {entities}, not_from: [unknown, unavailable], to: green}}
    actions: [{{action: counter.increment, target: {{entity_id: counter.guarded}}}}]
"""


class HomeAssistant:
    """One that is set up for a broker; its log and its database can be read."""

    def __init__(self, folder: Path, entities: list[str]) -> None:
        """Write its configuration.

        Args:
            folder: for its files.
            entities: whose change to "green" the automations count.
        """
        if not HASS.exists():
            pytest.skip(f"no {HASS}: `make test-ha` makes it where there is a Python 3.13")
        self._folder, self._port, self._token = folder, free_port(), ""
        text = CONFIGURATION.format(port=self._port, entities=json.dumps(entities))
        (folder / "configuration.yaml").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, broker_port: int) -> None:
        # Nothing of this process's environment may get into the other one's.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        with (self._folder / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                [str(HASS), "-c", str(self._folder), "--skip-pip"],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        eventually(self._answers, START_S)
        self._sign_up()
        eventually(lambda: self.call("/api/config")["state"] == "RUNNING", START_S)
        self._add_broker(broker_port)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def log(self) -> str:
        return (self._folder / "home-assistant.log").read_text(errors="replace")

    @property
    def complaints(self) -> list[str]:
        """Lines of its log that are about MQTT and no mere information, or of a traceback."""
        bad = (" WARNING ", " ERROR ", "Error: ", "Exception")
        about = ("mqtt", "garden", "sensor")
        lines = self.log.splitlines()
        return [
            line
            for line in lines
            if any(word in line for word in bad) and any(word in line for word in about)
        ]

    def state(self, entity: str) -> str:
        return str(self.entity(entity).get("state", "no such entity"))

    def entity(self, entity: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.call(f"/api/states/{entity}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return {}
        return found

    def picture(self, entity: str) -> bytes:
        """What its page shows for an image."""
        path = self.entity(entity)["attributes"]["entity_picture"]
        with urllib.request.urlopen(self._address + path, timeout=30) as response:
            return bytes(response.read())

    def count(self, counter: str) -> int:
        return int(self.state(f"counter.{counter}"))

    def history(self, entity: str) -> list[str]:
        """All states that its database has, in order; those that are the same once."""
        states: list[str] = []
        for (state,) in self._rows(
            "select s.state from states s join states_meta m using (metadata_id) "
            "where m.entity_id = ? order by s.state_id",
            entity,
        ):
            # None: the entity was removed.
            if not states or states[-1] != state:
                states.append(state or "")
        return states

    def rows(self, device: str) -> int:
        """How many rows of its database a device's states have cost, attributes included."""
        ((count,),) = self._rows(
            "select count(*) + count(distinct s.attributes_id) from states s "
            "join states_meta m using (metadata_id) where m.entity_id like ?",
            f"%.{device}_%",
        )
        return int(count)

    def call(self, path: str, message: Any = None) -> Any:
        """GET, or POST of a message as JSON."""
        data = None if message is None else json.dumps(message).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        return self._answer(path, data, headers)

    def _answer(self, path: str, data: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(self._address + path, data, headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read())

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._folder / "home-assistant_v2.db")) as database:
            return database.execute(query, values).fetchall()

    @property
    def _address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "output.txt").read_text()
        try:
            self._answer("/api/onboarding", None, {})
        except (OSError, ValueError):
            return False
        return True

    def _sign_up(self) -> None:
        user = {"name": "t", "username": "t", "password": "t", "language": "en"}
        client = {"client_id": f"{self._address}/"}
        code = self.call("/api/onboarding/users", {**user, **client})["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, **client}
        data = urllib.parse.urlencode(form).encode()
        self._token = self._answer("/auth/token", data, {})["access_token"]

    def _add_broker(self, port: int) -> None:
        flow = self.call("/api/config/config_entries/flow", {"handler": "mqtt"})
        path = f"/api/config/config_entries/flow/{flow['flow_id']}"
        done = self.call(path, {"broker": "127.0.0.1", "port": port})
        assert done["type"] == "create_entry", done
