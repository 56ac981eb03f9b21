"""Removes this device's old retained topics from the broker after it was renamed.

Messages retained under an old id stay at the broker, and in Home Assistant, until someone removes
them. So the topics are remembered, in the service's state folder if it has one. Likewise today's
numbers and the last visit's picture are removed once the settings want none.
"""

import json
import logging
import os
from pathlib import Path
from typing import Any

from paho.mqtt.client import MQTTMessageInfo

from device import files
from device.outputs.mqtt.connection import Connection
from device.outputs.mqtt.home_assistant import OFFLINE, Topics
from device.settings.mqtt import MqttConfig

log = logging.getLogger("fieldguide")

STATE_DIRECTORY = "STATE_DIRECTORY"
"""systemd's name for the service's state folder."""
FILE = "mqtt-topics.json"
Kept = dict[str, dict[str, list[str]]]
"""By broker and availability topic: all topics retained there."""

_in_process: Kept = {}


class Memory:
    """The topics that one broker retains for this device."""

    def __init__(self, config: MqttConfig, topics: Topics) -> None:
        """Note the current topics; `leftovers` are the earlier ones."""
        folder = os.environ.get(STATE_DIRECTORY, "").partition(":")[0]
        self._path = Path(folder) / FILE if folder else None
        self._broker = f"{config.host}:{config.port}"
        now, own = list(topics.retained), topics.availability
        before = self._load().get(self._broker, {})
        self.leftovers = {
            availability: left
            for availability, old in before.items()
            if (left := [topic for topic in old if topic not in now])
        }
        """By the availability topic of the old id."""
        self._change({own: [*now, *self.leftovers.get(own, [])]})
        self._own, self._now = own, now

    def forget(self, availability: str) -> None:
        """Note that the leftovers of this id are removed."""
        self.leftovers.pop(availability, None)
        self._change({availability: self._now if availability == self._own else []})

    def _load(self) -> Kept:
        if self._path is None:
            return _in_process
        try:
            found: Any = json.loads(self._path.read_text("utf-8"))
            return {
                str(broker): {str(key): [str(t) for t in topics] for key, topics in by.items()}
                for broker, by in found.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            log.warning("output.mqtt: %s: %s; old topics are forgotten", self._path, error)
            return {}

    def _change(self, topics: dict[str, list[str]]) -> None:
        kept = self._load()
        merged = {**kept.get(self._broker, {}), **topics}
        kept[self._broker] = {key: value for key, value in merged.items() if value}
        if self._path is None:
            return
        try:
            files.write_text(self._path, json.dumps(kept, indent=1))
        except OSError as error:
            log.warning("output.mqtt: %s: %s", self._path, error.strerror)


class Leftovers:
    """Removes what the broker still retains under old ids, once no device uses them.

    Another device may use the old id by now: then its availability is "online", and everything
    stays.
    """

    def __init__(self, config: MqttConfig, topics: Topics) -> None:
        self._memory = Memory(config, topics)
        self._free = {topics.availability} & self._memory.leftovers.keys()
        self._removing: dict[str, list[tuple[str, MQTTMessageInfo]]] = {}
        self.topics_to_watch = tuple(self._memory.leftovers.keys() - self._free)
        """Topics whose messages `note_availability` wants."""

    def reset(self) -> None:
        """A new connection: removals that were not confirmed are lost."""
        self._removing.clear()

    def note_availability(self, availability: str, message: str) -> None:
        """Note the availability of an old id."""
        if availability in self._memory.leftovers and message:
            (self._free.add if message == OFFLINE else self._free.discard)(availability)

    def remove(self, connection: Connection) -> None:
        """Remove the topics of unused ids; call it again until the broker has confirmed.

        Raises:
            OutputError: if there is no connection.
        """
        for availability in list(self._free):
            if availability not in self._removing:
                self._removing[availability] = [
                    (topic, connection.publish(topic, "", retain=True))
                    for topic in self._memory.leftovers[availability]
                ]
            elif all(message.is_published() for _, message in self._removing[availability]):
                self._note_removed(availability, connection)

    def _note_removed(self, availability: str, connection: Connection) -> None:
        connection.oldest_unconfirmed_s()
        for topic, _ in self._removing.pop(availability):
            if connection.is_denied(topic):
                # Otherwise the problem would be reported forever, as nothing is sent there again.
                connection.forget_denial(topic)
                log.warning(
                    "output.mqtt: the broker does not let the old topic %s be removed", topic
                )
        log.info(
            "output.mqtt: removed what the broker kept below %s", availability.rpartition("/")[0]
        )
        self._free.discard(availability)
        self._memory.forget(availability)
