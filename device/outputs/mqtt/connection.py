"""A connection to a broker that reconnects after each end.

It tries MQTT 5 first, which gives reasons; brokers that do not know it get MQTT 3.1.1. Each attempt
has its own paho client, so that nothing queued in an old one is sent late.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from device.errors import FieldguideError, OutputError
from device.outputs.mqtt import trouble
from device.outputs.mqtt.trouble import Trouble
from device.settings.mqtt import MqttConfig, tls_context

KEEPALIVE_S = 30
CONNACK_TIMEOUT_S = 10.0
"""Time limit for the answer to CONNECT."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
FIRST_TAKEN_WAIT_S, LONGEST_TAKEN_WAIT_S = 5.0, 300.0
"""Pauses when another client has the same id: each attempt disconnects that client."""
STEADY_S = 60.0
"""A connection that lasted this long was good: pauses start again from the first."""
CLOSE_S = 0.4
AT_LEAST_ONCE = 1
"""MQTT's quality of service 1."""
AT_MOST_ONCE = 0
MAX_IN_FLIGHT = 10


@dataclass(frozen=True)
class _Sent:
    topic: str
    message: paho.MQTTMessageInfo
    since_s: float


@dataclass
class _Link:
    """One attempt to connect; the events are set on paho's thread."""

    client: paho.Client
    answered: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    accepted_s: float = 0.0
    """`time.monotonic()` when the broker accepted; 0 before that."""
    refusal: ReasonCode | None = None
    sent: deque[_Sent] = field(default_factory=deque)
    failures: dict[int, ReasonCode] = field(default_factory=dict)
    """By message number; written before the message counts as published."""
    subscribed: dict[int, str] = field(default_factory=dict)


class Connection:
    """Keeps a connection until `close`; its methods are for one thread.

    Args:
        config: checked settings.
        name: the client's id.
        will: topic and message that the broker publishes, retained, if this client disappears.
        topics: topics to subscribe to.
        optional_topics: likewise, but a broker may deny these.
        on_message: called on another thread with topic, message, and whether it was retained.
        qos: of what is subscribed to.
    """

    def __init__(
        self,
        config: MqttConfig,
        name: str,
        *,
        will: tuple[str, str] | None = None,
        topics: tuple[str, ...] = (),
        optional_topics: tuple[str, ...] = (),
        on_message: Callable[[str, str, bool], None] = lambda topic, message, retained: None,
        qos: int = AT_LEAST_ONCE,
    ) -> None:
        self._config, self._name, self._will, self._qos = config, name, will, qos
        self._topics, self._optional_topics, self._report_message = (
            topics,
            optional_topics,
            on_message,
        )
        self._problem: Trouble | None = Trouble(f"no connection to {trouble.broker(config)} yet")
        self.attempts = 0
        """How many attempts have ended."""
        self._number = 0
        self._link: _Link | None = None
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._id_taken: Trouble | None = None
        self._id_conflict, self._waits = False, 0
        self._denied: dict[str, Trouble] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{name}", daemon=True)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self._problem is None

    @property
    def number(self) -> int:
        """The number of this connection; a new one has lost unconfirmed messages of the old one.

        Raises:
            OutputError: if there is no connection, with the reason.
        """
        number, problem = self._number, self._problem
        if problem is not None:
            raise OutputError(str(problem))
        return number

    @property
    def trouble(self) -> Trouble | None:
        """Why there is no connection, or what is wrong with it."""
        if self._problem is not None:
            return self._problem
        if self._id_taken is not None:
            link = self._link
            if link is not None and time.monotonic() - link.accepted_s > 2 * LONGEST_TAKEN_WAIT_S:
                self._id_taken = None
        return self._id_taken or next(iter(self._denied.values()), None)

    def publish(self, topic: str, payload: str | bytes, *, retain: bool) -> paho.MQTTMessageInfo:
        """Send a message; `is_published` of the returned object says whether it has arrived.

        Raises:
            OutputError: if there is no connection.
        """
        link = self._link
        if self._problem is not None or link is None:
            raise OutputError(str(self._problem))
        message = link.client.publish(topic, payload, qos=AT_LEAST_ONCE, retain=retain)
        if message.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OutputError(str(trouble.of_end(self._config, None)))
        link.sent.append(_Sent(topic, message, time.monotonic()))
        return message

    def oldest_unconfirmed_s(self) -> float:
        """How long the oldest unconfirmed message has waited; notes what the broker denied."""
        link = self._link
        if link is None:
            return 0.0
        while link.sent and link.sent[0].message.is_published():
            sent = link.sent.popleft()
            code = link.failures.pop(sent.message.mid, None)
            if code is None:
                self._denied.pop(sent.topic, None)
            else:
                self._denied[sent.topic] = trouble.of_denial(self._config, sent.topic, code)
        for mid, topic in list(link.subscribed.items()):
            if (code := link.failures.pop(mid, None)) is not None and topic in self._topics:
                self._denied[topic] = trouble.of_denial(self._config, topic, code)
        return time.monotonic() - link.sent[0].since_s if link.sent else 0.0

    def note_id_conflict(self) -> None:
        """Another client has the same id: attempts become rarer, as each one disconnects it."""
        self._id_conflict, self._id_taken = True, trouble.of_taken_id(self._config, self._name)

    def is_denied(self, topic: str) -> bool:
        """Whether the broker denied the last message to this topic."""
        return topic in self._denied

    def forget_denial(self, topic: str) -> None:
        """Stop reporting a topic that was denied."""
        self._denied.pop(topic, None)

    def close(self) -> None:
        """End the connection in well under a second, and do not reconnect."""
        self._closed.set()
        link = self._link
        if link is not None:
            link.client.disconnect()
        # The thread may hang in an attempt, which then ends before it sends the client id.
        self._thread.join(CLOSE_S)

    # --- attempts -----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed.is_set():
            link = None
            try:
                link = self._link = self._make_link()
                self._hold(link)
            except (OSError, ValueError) as error:
                self._problem = trouble.of_error(self._config, error)
            except FieldguideError as error:
                self._problem = Trouble(str(error))
            finally:
                if link is not None:
                    link.client.disconnect()
                    link.client.loop_stop()
            self.attempts += 1
            self._closed.wait(self._pause_s(link))

    def _hold(self, link: _Link) -> None:
        """Connect, and wait until the connection ends."""
        config = self._config
        link.client.connect(config.host, config.port, KEEPALIVE_S)
        link.client.loop_start()
        answered = link.answered.wait(CONNACK_TIMEOUT_S)
        if self._closed.is_set():
            return
        if not answered:
            self._try_other_protocol()
            self._problem = trouble.of_silence(config)
        elif link.refusal is not None:
            if link.refusal.value == trouble.UNSUPPORTED_VERSION:
                self._try_other_protocol()
            self._problem = trouble.of_refusal(config, link.refusal)
        elif not link.accepted_s:
            self._try_other_protocol()
            self._problem = trouble.of_hanging_up(config)
        else:
            # `is_connected` as well: a client that died silently must not be waited for.
            while not link.ended.wait(1.0) and link.client.is_connected():
                pass
            self._problem = self._problem or trouble.of_end(config, None)

    def _why(self, link: _Link, code: ReasonCode) -> Trouble:
        """Why an accepted connection ended."""
        if code.value == trouble.SESSION_TAKEN_OVER:
            self.note_id_conflict()
        if self._id_taken is not None and code.value in (
            trouble.UNSPECIFIED,
            trouble.SESSION_TAKEN_OVER,
        ):
            return self._id_taken
        return trouble.of_end(self._config, code)

    def _try_other_protocol(self) -> None:
        five, three = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
        self._protocol = three if self._protocol == five else five

    def _pause_s(self, link: _Link | None) -> float:
        """The next pause: longer each time, until a connection lasts."""
        first_s, longest_s, steady_s = FIRST_WAIT_S, LONGEST_WAIT_S, STEADY_S
        if self._id_conflict:
            first_s, longest_s = FIRST_TAKEN_WAIT_S, LONGEST_TAKEN_WAIT_S
            steady_s = 2 * longest_s
        if link and link.accepted_s and time.monotonic() - link.accepted_s > steady_s:
            self._waits, self._id_conflict, self._id_taken = 0, False, None
        self._waits += 1
        return float(min(first_s * 2 ** min(self._waits - 1, 20), longest_s))

    # --- paho ---------------------------------------------------------------------------------

    def _make_link(self) -> _Link:
        config = self._config
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._name,
            protocol=self._protocol,
            reconnect_on_failure=False,
        )
        if config.user:
            client.username_pw_set(config.user, config.password or None)
        if config.tls:
            client.tls_set_context(tls_context(config))
        if self._will is not None:
            topic, message = self._will
            client.will_set(topic, message, qos=AT_LEAST_ONCE, retain=True)
        client.max_inflight_messages_set(MAX_IN_FLIGHT)
        link = _Link(client)
        client.on_socket_open = self._on_socket_open
        client.on_connect = lambda _client, _data, _flags, code, _: self._on_connect(link, code)
        client.on_disconnect = lambda _client, _data, _flags, code, _: self._on_end(link, code)
        client.on_subscribe = lambda _client, _data, mid, codes, _: _note(link, mid, codes[0])
        client.on_publish = lambda _client, _data, mid, code, _: _note(link, mid, code)
        client.on_message = lambda _client, _data, message: self._on_message(message)
        return link

    def _on_socket_open(self, *_: Any) -> None:
        # Between TCP's connection and CONNECT: a late client must not disconnect its successor.
        if self._closed.is_set():
            raise ConnectionAbortedError("already closed")

    def _on_connect(self, link: _Link, code: ReasonCode) -> None:
        if code.is_failure:
            link.refusal = code
        else:
            link.accepted_s = time.monotonic()
            for topic in (*self._topics, *self._optional_topics):
                self._subscribe(link, topic)
            self._number += 1
            self._problem = None
        link.answered.set()

    def _subscribe(self, link: _Link, topic: str) -> None:
        _, mid = link.client.subscribe(topic, qos=self._qos)
        if mid is not None:
            link.subscribed[mid] = topic

    def _on_end(self, link: _Link, code: ReasonCode) -> None:
        if link.accepted_s and self._problem is None:
            # At once, because anything sent from now on is lost.
            self._problem = self._why(link, code)
        link.answered.set()
        link.ended.set()

    def _on_message(self, message: paho.MQTTMessage) -> None:
        with suppress(UnicodeDecodeError):
            self._report_message(message.topic, bytes(message.payload).decode(), message.retain)


def _note(link: _Link, mid: int, code: ReasonCode) -> None:
    if code.is_failure:
        link.failures[mid] = code
