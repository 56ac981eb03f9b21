"""The sink for an MQTT broker, with Home Assistant's device discovery.

`device.outputs.mqtt.connection` keeps the connection. This module decides what to send and in what
order: after each connection health, announcement, state and only then "online", so that nothing old
is mistaken for new. The state topic gets only the newest state; each label change and each visit
also go to topics of their own.
"""

import json
import logging
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paho.mqtt.client import MQTTMessageInfo

from device.contract.look.rules import Region
from device.errors import OutputError
from device.outputs.mqtt import drift_entities, home_assistant, update_entity
from device.outputs.mqtt.connection import Connection
from device.outputs.mqtt.home_assistant import OFFLINE, ONLINE
from device.outputs.mqtt.leftovers import Leftovers
from device.outputs.mqtt.today import Today
from device.outputs.sink import Updating
from device.settings.mqtt import MqttConfig, tls_context
from device.settings.sections import WebConfig
from device.telemetry.observation import ModelInfo, Observation
from device.telemetry.status import CameraState, Status
from device.visits.days import Days

log = logging.getLogger("fieldguide")

HEALTH_INTERVAL_S = 60.0
SETTLE_S = 2.0
"""Home Assistant's time to accept new labels; until then no label counts as current."""
REPEAT_S = 6.0
"""For this long after an announcement the state is repeated: it may have come too early."""
REPEAT_INTERVAL_S = 1.0
MIN_SCORE_STEP = 0.01
"""A smaller change of the score is not sent."""
MAX_UNCONFIRMED = 20
"""Most label changes sent and not confirmed; more wait in the sink's mailbox."""
CONFIRM_S = 0.3
"""How long a label change waits for one of those to be confirmed."""
SLOW_S = 15.0
"""A broker that confirms nothing for this long has a problem."""
RETRY_DENIED_S = 60.0
GOODBYE_S = 0.35


@dataclass(frozen=True)
class _Queued:
    """A message that must arrive."""

    topic: str
    payload: str
    message: MQTTMessageInfo


class Mqtt:
    """Publishes state and health; the topics are in `device.outputs.mqtt.home_assistant`."""

    name = "mqtt"
    wants_pictures = False

    def __init__(
        self,
        config: MqttConfig,
        web: WebConfig | None = None,
        *,
        looked_at: bool = False,
        visits: Path | None = None,
        drift: bool = False,
        updating: Callable[[], Updating | None] | None = None,
    ) -> None:
        """Start connecting; if the broker is not there yet, wait for it.

        Args:
            config: settings that `check_mqtt` has checked.
            web: the web page to link to in the announcement.
            looked_at: whether the settings let frames be looked at.
            visits: their folder; None if there are none.
            drift: whether it is told what has changed at the camera.
            updating: returns the sink that speaks with the updater; None if none is wanted.

        Raises:
            ConfigError: if the files in the settings are not certificates.
            SettingsUnreadError: if they cannot be read right now.
        """
        if config.tls:
            tls_context(config)
        self.catching_up = False
        self._config, self._web, self._looked_at = config, web, looked_at
        self._today = Today(Days(visits)) if looked_at and visits is not None else None
        self._told: dict[str, str] = {}
        """By topic, what is sent only if it is new."""
        self._picture_sent, self._updating = True, updating
        self._picture: bytes | None = None
        visits_told = self._today is not None
        self._topics = home_assistant.topics(
            config, visits=visits_told, drift=drift, update=updating is not None
        )
        self._number = 0
        self._newest: Observation | None = None
        self._first: Observation | None = None
        self._queued: deque[_Queued] = deque()
        self._labels: tuple[str, ...] | None = None
        self._settled_s = self._last_lost_s = float("-inf")
        self._denied_retried_s = float("-inf")
        self._sent: Observation | None = None
        self._state_message: MQTTMessageInfo | None = None
        self._health_message: MQTTMessageInfo | None = None
        self._next_state_s = self._next_health_s = float("-inf")
        self._next_repeat_s = self._repeat_until_s = float("-inf")
        self._online = self._state_again = False
        self._announced: dict[str, Any] | None = None
        self._entities: dict[str, str] = {}
        """Key and platform of all that was announced, by earlier runs, too."""
        self._health: tuple[Any, ...] = ()
        self._instance = secrets.token_hex(4)
        self._inbox: queue.SimpleQueue[tuple[str, str, bool]] = queue.SimpleQueue()
        self._leftovers = Leftovers(config, self._topics)
        self._connection = Connection(
            config,
            home_assistant.device_id(config),
            will=(self._topics.availability, OFFLINE),
            topics=(self._topics.birth,) if self._topics.birth else (),
            optional_topics=(
                self._topics.health,
                *filter(None, (self._topics.discovery, self._topics.install)),
                *self._leftovers.topics_to_watch,
            ),
            on_message=lambda *message: self._inbox.put(message),
        )

    def publish(self, observation: Observation) -> None:
        """Send a change at once, and scores from time to time.

        Raises:
            OutputError: if there is no connection.
        """
        # It is kept for a long time, and its picture takes much memory.
        observation = observation.without_picture()
        if self._first is None or _label_key(self._first) != _label_key(observation):
            self._first = observation
        self._newest = observation
        self._follow_connection()
        ended = observation.ended_visit
        if ended is not None and self._today is not None:
            self._today.add(ended)
            self._picture, self._picture_sent = ended.picture, False
        self._send_visits(observation.model)
        if observation.changed or ended is not None:
            self._send_queued(observation)
        self._send_state()

    def tick(self, status: Status) -> None:
        """Send what is due, and what could not be sent before.

        Raises:
            OutputError: if there is no connection, or something is wrong with it.
        """
        self._follow_connection()
        if status.camera.state != CameraState.STREAMING:
            self._last_lost_s = time.monotonic()
        self._send_health(status)
        model = self._model_to_announce(status)
        if self._topics.discovery and model is not None:
            self._announce(replace(status, model=model), model.labels)
        self._send_state()
        if model is not None:
            self._send_visits(model)
        self._send_news(status)
        self._send_health(status)
        if not self._online:
            self._send(self._topics.availability, ONLINE)
            self._online = True
        self._leftovers.remove(self._connection)
        self._raise_problem()

    def close(self) -> None:
        """Publish that the device is offline, and disconnect."""
        try:
            with suppress(OutputError, ValueError, RuntimeError):
                message = self._send(self._topics.availability, OFFLINE)
                message.wait_for_publish(GOODBYE_S)
        finally:
            self._connection.close()
            if left := sum(not queued.message.is_published() for queued in self._queued):
                log.warning("output.mqtt: closed, %d label changes unconfirmed", left)

    # --- connection ---------------------------------------------------------------------------

    def _follow_connection(self) -> None:
        """Raise if there is no connection; after a new one publish everything again."""
        number = self._connection.number
        if number != self._number:
            self._sent = self._state_message = self._health_message = None
            self._publish_all_again()
            self._leftovers.reset()
            self._queued = deque(self._hand_over(q.topic, q.payload) for q in self._queued)
            self._number = number
        with suppress(queue.Empty):
            while True:
                self._handle_message(*self._inbox.get_nowait())

    def _handle_message(self, topic: str, message: str, retained: bool) -> None:
        if topic == self._topics.birth and message == ONLINE:
            self._publish_all_again()
        elif topic == self._topics.health:
            # What the first connection finds retained is from the previous run.
            first = retained and self._number == 1
            if not first and home_assistant.sender_of(message)[1] not in ("", self._instance):
                self._connection.note_id_conflict()
        elif topic == self._topics.discovery:
            self._entities |= home_assistant.components_of(message)
        elif topic == self._topics.install and not retained:
            update_entity.obey(message, self._updating)
        self._leftovers.note_availability(topic, message)

    def _publish_all_again(self) -> None:
        self._online, self._state_again = False, True
        self._announced, self._health = None, ()
        self._told, self._picture_sent = {}, False

    def _raise_problem(self) -> None:
        waited_s = self._connection.oldest_unconfirmed_s()
        if waited_s > SLOW_S:
            raise OutputError(f"the broker has confirmed nothing for {SLOW_S:.0f} s")
        self._retry_denied()
        if self._problem:
            raise OutputError(self._problem)

    @property
    def _problem(self) -> str:
        """Why there is no connection, or what is wrong with it."""
        return str(self._connection.trouble or "")

    def _retry_denied(self) -> None:
        """Send denied messages again now and then: the access list may have been corrected."""
        once = (self._topics.availability, self._topics.discovery)
        now_s = time.monotonic()
        if any(map(self._connection.is_denied, once)) and now_s > self._denied_retried_s:
            self._denied_retried_s = now_s + RETRY_DENIED_S
            self._online, self._announced = False, None

    # --- messages -----------------------------------------------------------------------------

    def _model_to_announce(self, status: Status) -> ModelInfo | None:
        """The newest observation's model; the running one if there is none yet, or in a backlog."""
        if self._newest is None or self.catching_up:
            return status.model
        return self._newest.model

    def _announce(self, status: Status, labels: tuple[str, ...]) -> None:
        message = home_assistant.announcement(
            self._config,
            status,
            self._web,
            looked_at=self._looked_at,
            visits=self._today is not None,
            drift=bool(self._topics.drift),
            update=bool(self._topics.update),
        )
        # Without this Home Assistant would keep what is not there any more.
        gone = {key: {"p": p} for key, p in self._entities.items() if key not in message["cmps"]}
        message["cmps"] |= gone
        if message == self._announced:
            return
        now_s = time.monotonic()
        if labels != self._labels:
            # Home Assistant refuses labels that are not in its list, even the one it shows now.
            self._settled_s = now_s + SETTLE_S
            self._send_health(status)
        payload = json.dumps(message)
        self._send(self._topics.discovery, payload)
        self._announced, self._labels = message, labels
        self._entities |= home_assistant.components_of(payload)
        self._state_again, self._repeat_until_s = True, now_s + REPEAT_S

    def _send_queued(self, observation: Observation) -> None:
        """Send what must arrive, and is sent again after a new connection."""
        while self._queued and self._queued[0].message.is_published():
            self._queued.popleft()
        if len(self._queued) >= MAX_UNCONFIRMED:
            oldest = self._queued[0].message
            oldest.wait_for_publish(CONFIRM_S)
            if not oldest.is_published():
                raise OutputError(
                    f"the broker has not confirmed the last {MAX_UNCONFIRMED} label changes"
                )
        if observation.changed:
            payload = json.dumps(home_assistant.change(observation))
            self._queued.append(self._hand_over(self._topics.changes, payload))
        if (ended := observation.ended_visit) is not None:
            payload = json.dumps(ended.record())
            self._queued.append(self._hand_over(self._topics.visits, payload))

    def _hand_over(self, topic: str, payload: str) -> "_Queued":
        return _Queued(topic, payload, self._connection.publish(topic, payload, retain=False))

    def _send_visits(self, model: ModelInfo) -> None:
        """Send today's numbers and the last picture, if they are new."""
        if self._today is None or model.region is not Region.CHANGE:
            return
        self._tell(self._topics.today, self._today.record())
        if self._picture is not None and self._config.pictures and not self._picture_sent:
            self._send(self._topics.picture, self._picture)
            self._picture_sent = True

    def _send_news(self, status: Status) -> None:
        """Send what has changed at the camera, and what is known of releases, if that is new."""
        if self._topics.drift and status.drift is not None:
            self._tell(self._topics.drift, drift_entities.record(status.drift))
        if self._topics.update and status.update is not None:
            self._tell(self._topics.update, update_entity.record(status.update))

    def _tell(self, topic: str, record: dict[str, Any]) -> None:
        found = json.dumps(record)
        if self._told.get(topic) != found:
            self._send(topic, found)
            self._told[topic] = found

    def _send_state(self) -> None:
        newest, first, now_s = self._newest, self._first, time.monotonic()
        # Not while something newer is waiting, or the broker has not confirmed the last one.
        if self.catching_up or not self._health or not _is_confirmed(self._state_message):
            return
        if newest is None or first is None or not self._is_announced(newest):
            return
        if self._is_due(newest, now_s):
            self._sent, self._state_again = newest, False
            self._next_state_s = now_s + self._config.interval_s
        elif not self._next_repeat_s <= now_s < self._repeat_until_s:
            return
        # A repetition sends the same state: another one would add a row to the database.
        assert self._sent is not None
        self._next_repeat_s = now_s + REPEAT_INTERVAL_S
        payload = json.dumps(home_assistant.state(self._sent, first))
        self._state_message = self._send(self._topics.state, payload)

    def _is_due(self, newest: Observation, now_s: float) -> bool:
        sent = self._sent
        if sent is None or self._state_again or _label_key(sent) != _label_key(newest):
            return True
        if sent.monotonic_s <= self._last_lost_s < newest.monotonic_s:
            return True
        if newest is sent or now_s < self._next_state_s:
            return False
        return abs(newest.score - sent.score) >= MIN_SCORE_STEP or not self._config.interval_s

    def _is_announced(self, observation: Observation) -> bool:
        return not self._topics.discovery or self._labels == observation.model.labels

    def _label_is_current(self) -> bool:
        """Whether the published state is newer than any camera loss, and its label is known."""
        sent = self._sent
        return (
            sent is not None
            and self._is_announced(sent)
            and sent.monotonic_s > self._last_lost_s
            and time.monotonic() >= self._settled_s
        )

    def _send_health(self, status: Status) -> None:
        now_s = time.monotonic()
        current = self._label_is_current()
        record = home_assistant.health(status, self._instance, label_is_current=current)
        # These decide whether the label is available, so a change is sent at once.
        urgent = (record["camera"], record["label_is_current"], record["slowed"])
        if urgent == self._health and (
            now_s < self._next_health_s or not _is_confirmed(self._health_message)
        ):
            return
        self._health_message = self._send(self._topics.health, json.dumps(record))
        self._health = urgent
        self._next_health_s = now_s + HEALTH_INTERVAL_S

    def _send(self, topic: str, payload: str | bytes) -> MQTTMessageInfo:
        return self._connection.publish(topic, payload, retain=True)


def _is_confirmed(message: MQTTMessageInfo | None) -> bool:
    return message is None or message.is_published()


def _label_key(observation: Observation) -> tuple[str, tuple[str, ...]]:
    """What identifies a label: its name, and the list of classes that it belongs to."""
    return observation.label, observation.model.labels
