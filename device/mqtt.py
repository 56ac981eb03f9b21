"""The sink for an MQTT broker, with Home Assistant's device discovery.

paho keeps the connection on a thread of its own and comes back by itself, waiting longer each
time. After each connection everything retained is sent anew: the broker may have forgotten it.
"""

import json
import logging
import ssl
import sys
import threading
import time
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from device import discovery
from device.config import MqttConfig
from device.discovery import OFFLINE, ONLINE
from device.errors import ConfigError, OutputError, SettingsUnreadError
from device.observation import Observation, Status

log = logging.getLogger("fieldguide")

KEEPALIVE_S = 30
FIRST_WAIT_S = 1
LONGEST_WAIT_S = 30
HEALTH_INTERVAL_S = 10.0
MAX_WAITING_MESSAGES = 100
"""For a broker that is connected and takes nothing."""
CLOSE_S = 0.4
IN_FORCE = 1
"""Quality of service: at least once."""


class Mqtt:
    """Publishes state and health; see `device.discovery` for the topics.

    paho's thread only ever sets `_problem` and `_told`; everything else is the sink's own.
    """

    name = "mqtt"
    wants_pictures = False

    def __init__(self, config: MqttConfig) -> None:
        """Start to connect; a broker that is not there yet is waited for.

        Raises:
            ConfigError: if what the settings name has no certificates.
            SettingsUnreadError: if it cannot be read just now.
        """
        self._config, self._topics = config, discovery.topics(config)
        self._problem = f"no connection to {config.host} port {config.port} yet"
        self._told = False
        self._announced: dict[str, Any] | None = None
        self._newest: Observation | None = None
        self._sent: Observation | None = None
        self._camera = ""
        self._next_state_s = self._next_health_s = float("-inf")
        self._client = self._make_client()
        self._client.connect_async(config.host, config.port, KEEPALIVE_S)
        self._client.loop_start()

    def publish(self, observation: Observation) -> None:
        """Send a change at once, and scores now and then.

        Raises:
            OutputError: if there is no connection.
        """
        self._newest = observation
        self._begin()
        if observation.changed or time.monotonic() >= self._next_state_s:
            self._send_state(observation)

    def tick(self, status: Status) -> None:
        """Announce the device, send its health, and what could not be sent before.

        Raises:
            OutputError: if there is no connection.
        """
        self._begin()
        if self._topics.discovery and status.model is not None:
            self._announce(discovery.announcement(self._config, status))
        self._send_health(status)
        if self._newest is not self._sent and time.monotonic() >= self._next_state_s:
            assert self._newest is not None
            self._send_state(self._newest)

    def close(self) -> None:
        """Say that the device is off, and disconnect."""
        if not self._problem:
            message = self._client.publish(
                self._topics.availability, OFFLINE, qos=IN_FORCE, retain=True
            )
            message.wait_for_publish(CLOSE_S)
        self._client.disconnect()
        # It waits for paho's thread, which may hang in a connection attempt.
        end = threading.Thread(target=self._client.loop_stop, daemon=True)
        end.start()
        end.join(CLOSE_S)

    # --- messages -----------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._problem:
            raise OutputError(self._problem)
        if not self._told:
            self._told = True
            self._send(self._topics.availability, ONLINE)
            self._announced = self._sent = None
            self._next_state_s = self._next_health_s = float("-inf")

    def _announce(self, message: dict[str, Any]) -> None:
        if message != self._announced:
            self._send(self._topics.discovery, json.dumps(message))
            self._announced = message

    def _send_state(self, observation: Observation) -> None:
        self._send(self._topics.state, json.dumps(discovery.state(observation.record())))
        self._sent = observation
        self._next_state_s = time.monotonic() + self._config.interval_s

    def _send_health(self, status: Status) -> None:
        record = discovery.health(status)
        # The camera's state makes the label available or not: no waiting with that.
        if record["camera"] != self._camera or time.monotonic() >= self._next_health_s:
            self._send(self._topics.health, json.dumps(record))
            self._camera = record["camera"]
            self._next_health_s = time.monotonic() + HEALTH_INTERVAL_S

    def _send(self, topic: str, payload: str) -> None:
        message = self._client.publish(topic, payload, qos=IN_FORCE, retain=True)
        # Without a connection by now, paho sends it as soon as there is one.
        if message.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise OutputError(f"the broker takes nothing: {paho.error_string(message.rc)}")

    # --- connection ---------------------------------------------------------------------------

    def _make_client(self) -> paho.Client:
        config = self._config
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=discovery.device_id(config))
        if config.user:
            client.username_pw_set(config.user, config.password or None)
        if config.tls:
            try:
                client.tls_set(ca_certs=config.ca_file or None)
            except OSError as error:
                # One that is not there may be soon, on a disk that comes up after the service.
                wrong = isinstance(error, ssl.SSLError)
                kind = ConfigError if wrong else SettingsUnreadError
                reason = error.strerror or error
                raise kind(f"output.mqtt.ca_file={config.ca_file!r}: {reason}") from error
        client.will_set(self._topics.availability, OFFLINE, qos=IN_FORCE, retain=True)
        client.reconnect_delay_set(FIRST_WAIT_S, LONGEST_WAIT_S)
        client.max_queued_messages_set(MAX_WAITING_MESSAGES)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Any, _data: Any, _flags: Any, code: ReasonCode, _: Any) -> None:
        if code.is_failure:
            self._problem = f"{self._broker} refuses the connection: {code}"
            return
        if self._topics.birth:
            client.subscribe(self._topics.birth, qos=IN_FORCE)
        self._told, self._problem = False, ""

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        # paho calls this while it handles the exception, and tells it in no other way.
        reason = sys.exc_info()[1]
        self._problem = f"{self._broker} cannot be reached: {reason}"

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, code: ReasonCode, _: Any
    ) -> None:
        if not self._problem:
            self._problem = f"{self._broker} ended the connection: {code}"

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic == self._topics.birth and message.payload == ONLINE.encode():
            self._told = False

    @property
    def _broker(self) -> str:
        return f"the broker at {self._config.host} port {self._config.port}"
