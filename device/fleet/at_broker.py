"""Which board runs what, from what each keeps at an MQTT broker (`[output.mqtt]` on the board).

The broker's address, user, password and certificates are in a file of settings as boards have them.
A board that is not online there counts as one that does not answer, whatever it said last.
"""

import json
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device.contract.release.naming import SOFTWARE
from device.errors import ConfigError
from device.fleet.boards import EVERY, Ran, Told, of_releases, of_updates
from device.fleet.errors import FleetError
from device.outputs.mqtt.connection import AT_MOST_ONCE, Connection
from device.outputs.mqtt.home_assistant import ONLINE
from device.settings import sections
from device.settings.mqtt import MqttConfig, check_mqtt

UPDATE, AVAILABILITY = "update", "availability"
CONNECT_S = 25.0
"""Limit for two attempts: the broker may not know the first one's version of MQTT."""
QUIET_S, MOST_S = 1.0, 30.0
"""What is kept has all come once nothing came for so long; others may talk for ever."""
MAX_CHARACTERS = 64 * 1024

Heard = dict[str, dict[str, str]]
"""The last word of each topic, by board."""


def read_broker(path: Path) -> MqttConfig:
    """The section `[output.mqtt]` of a settings file; whether it is enabled there does not matter.

    Raises:
        ConfigError: if it cannot be read, or names no broker that there can be.
    """
    config = sections.load(path).output.mqtt
    try:
        check_mqtt(config)
    except ConfigError as error:
        raise type(error)(f"{path}: {error}") from error
    return config


def ask(config: MqttConfig, ids: Collection[str]) -> list[Told]:
    """What boards said last.

    Args:
        config: of the broker.
        ids: of the boards, as in their topics; `EVERY` stands for all that fetch releases.

    Raises:
        FleetError: if the broker cannot be asked.
    """
    heard = _heard(config)
    named = set(ids) - {EVERY}
    found = {one for one, words in heard.items() if UPDATE in words} if EVERY in ids else set()
    return [_told(one, heard.get(one, {})) for one in sorted(named | found)]


def _heard(config: MqttConfig) -> Heard:
    heard: Heard = {}
    last_s = [time.monotonic()]

    def note(topic: str, message: str, _retained: bool) -> None:
        board, _, what = topic.removeprefix(f"{config.topic_prefix}/").partition("/")
        last_s[0] = time.monotonic()
        heard.setdefault(board, {})[what] = message

    with _connected(config, note) as connection:
        began_s = last_s[0] = time.monotonic()
        while time.monotonic() < min(last_s[0] + QUIET_S, began_s + MOST_S):
            time.sleep(0.05)
            _check(connection)
    return {board: dict(words) for board, words in heard.items()}


@contextmanager
def _connected(config: MqttConfig, note: Any) -> Iterator[Connection]:
    # An id of its own: one that is in use would throw out who uses it.
    name = f"fieldguide-fleet-{secrets.token_hex(4)}"
    topics = tuple(f"{config.topic_prefix}/+/{what}" for what in (UPDATE, AVAILABILITY))
    # A broker drops what it keeps of many boards, if each message is to be confirmed.
    connection = Connection(config, name, topics=topics, on_message=note, qos=AT_MOST_ONCE)
    try:
        until_s = time.monotonic() + CONNECT_S
        while not connection.is_up and connection.attempts < 2 and time.monotonic() < until_s:
            time.sleep(0.05)
        _check(connection)
        yield connection
    finally:
        connection.close()


def _check(connection: Connection) -> None:
    connection.oldest_unconfirmed_s()
    if connection.trouble is not None:
        raise FleetError(str(connection.trouble))


def _told(board: str, words: Mapping[str, str]) -> Told:
    shown = f"mqtt:{board}"
    if UPDATE not in words:
        return Told(shown, "fetches no releases" if AVAILABILITY in words else "never heard of")
    if words.get(AVAILABILITY) != ONLINE:
        return Told(shown, "is not online")
    return parse(shown, words[UPDATE])


def parse(url: str, message: str) -> Told:
    """Read what a board keeps at the topic `update`."""
    try:
        record = json.loads(message) if len(message) <= MAX_CHARACTERS else None
    except (ValueError, RecursionError):
        record = None
    release, about = _table(record, "release"), _table(record, "about")
    title = release.get("title")
    if not isinstance(title, str):
        return Told(url, "says nothing of releases that can be read")
    own, name = _table(about, SOFTWARE), ""
    if own.get("fetched") is True:
        name = SOFTWARE
    return of_updates(
        url,
        _ran(title, release, about, about.get("led_back")),
        _ran(name, _table(record, SOFTWARE), own, own.get("failed")),
        unknown_group=str(about.get("unknown_group", "")),
        expired=about.get("expired") is True,
        frozen=about.get("frozen") is True,
        verified=about.get("time_verified") is not False,
    )


def _ran(name: str, release: Mapping[str, Any], about: Mapping[str, Any], led_back: object) -> Ran:
    failed = [str(each) for each in led_back] if isinstance(led_back, list) else []
    return of_releases(
        name,
        installed=_number(release.get("installed_version"), name),
        stage=str(about.get("stage", "")),
        latest=_number(release.get("latest_version"), name),
        failed=_number(f"{name}/{failed[-1].partition(':')[0]}", name) if failed else 0,
        went_back=len(failed),
        problem=bool(about.get("problem")),
    )


def _table(record: object, name: str) -> Mapping[str, Any]:
    found = record.get(name) if isinstance(record, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _number(release: object, title: str) -> int:
    """Of NAME/NUMBER; 0 for anything else."""
    text = release.removeprefix(f"{title}/") if isinstance(release, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
