"""Which topics a broker keeps of this device, over renames and restarts.

What is retained under an old id stays at the broker, and in Home Assistant, until someone removes
it. So the topics are remembered, in the service's state folder if it has one.
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
    """What one broker was given."""

    def __init__(self, config: MqttConfig, topics: Topics) -> None:
        """Note the topics of now; `leftovers` are those of before."""
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
        """By the availability topic that they belong to."""
        self._change({own: [*now, *self.leftovers.get(own, [])]})
        self._own, self._now = own, now

    def forget(self, availability: str) -> None:
        """Its leftovers are gone."""
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
            log.warning("output.mqtt: %s: %s; old topics are not known any more", self._path, error)
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
    """Removes what the broker still keeps under old names, once nobody answers to them.

    Another device may have taken the old name meanwhile: then its "online" is there, and all of it
    stays.
    """

    def __init__(self, config: MqttConfig, topics: Topics) -> None:
        self._memory = Memory(config, topics)
        self._free = {topics.availability} & self._memory.leftovers.keys()
        self._removing: dict[str, list[tuple[str, MQTTMessageInfo]]] = {}
        self.topics_to_watch = tuple(self._memory.leftovers.keys() - self._free)
        """Topics whose messages `note_availability` wants."""

    def reset(self) -> None:
        """Another connection: what was on its way is not."""
        self._removing.clear()

    def note_availability(self, availability: str, message: str) -> None:
        """Take note of what an old name's availability says."""
        if availability in self._memory.leftovers and message:
            (self._free.add if message == OFFLINE else self._free.discard)(availability)

    def remove(self, connection: Connection) -> None:
        """Remove what is free; called again until the broker has confirmed it.

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
                # It would stand there for ever, as nobody writes to it any more.
                connection.forget_denial(topic)
                log.warning(
                    "output.mqtt: the broker does not let the old topic %s be removed", topic
                )
        log.info(
            "output.mqtt: removed what the broker kept below %s", availability.rpartition("/")[0]
        )
        self._free.discard(availability)
        self._memory.forget(availability)
