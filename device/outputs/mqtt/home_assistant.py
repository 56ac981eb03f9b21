"""The message by which Home Assistant finds the device and its sensors.

Device discovery, as https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload has
it: one message for the device with all of its components.
"""

import hashlib
import hmac
import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.settings.mqtt import MqttConfig
from device.settings.sections import WebConfig
from device.telemetry.observation import UNKNOWN, Observation
from device.telemetry.status import CameraState, Status, rounded_rate

STREAMING = f"value_json.camera == '{CameraState.STREAMING}'"
"""In templates of Home Assistant, of what `health` gives."""
ONLINE, OFFLINE = "online", "offline"
SUPPORT_NAME = "Fieldguide"
MACHINE_ID = Path("/etc/machine-id")
NOTHING_KNOWN = "nothing known"
"""What Home Assistant is told for `UNKNOWN`, which has a meaning of its own there."""
RESERVED = frozenset({"", "none", "unknown", "unavailable"})
"""States that mean something else to Home Assistant or its templates, in any case."""
MAX_WORD_CHARACTERS = 200
"""Home Assistant takes no state above 255."""


@dataclass(frozen=True)
class Topics:
    """Where the device publishes, and listens."""

    state: str
    health: str
    availability: str
    changes: str
    """Every label change with its time, also late ones; not retained."""
    discovery: str
    birth: str
    """Here Home Assistant says "online" when it starts; both are empty without announcement."""

    @property
    def retained(self) -> tuple[str, ...]:
        """What the broker keeps, in the order in which to remove it."""
        return (*filter(None, (self.discovery,)), self.state, self.health, self.availability)


def device_id(config: MqttConfig) -> str:
    """What names the device in topics: letters, digits, - and _.

    The default has a part that differs between machines of one host name.
    """
    wanted = config.device_id or "-".join(
        filter(None, ("fieldguide", socket.gethostname(), machine()))
    )
    return re.sub(r"[^A-Za-z0-9_-]+", "-", wanted)


def machine() -> str:
    """8 hex digits that are this installation's own; empty if it has no machine id.

    Made from the machine id as systemd's application-specific ids are, as that itself should not
    be told to others.
    """
    with suppress(OSError):
        text = MACHINE_ID.read_bytes().strip()
        if re.fullmatch(rb"[0-9a-f]{32}", text):
            return hmac.new(text, b"fieldguide.mqtt", hashlib.sha256).hexdigest()[:8]
    return ""


def topics(config: MqttConfig) -> Topics:
    """The topics that the settings ask for."""
    name = device_id(config)
    own, theirs = f"{config.topic_prefix}/{name}", config.discovery_prefix
    return Topics(
        state=f"{own}/state",
        health=f"{own}/health",
        availability=f"{own}/availability",
        changes=f"{own}/changes",
        discovery=f"{theirs}/device/{name}/config" if theirs else "",
        birth=f"{theirs}/status" if theirs else "",
    )


def words(labels: tuple[str, ...]) -> dict[str, str]:
    """What Home Assistant is told for each label: nothing twice, and no word of its own."""
    told = {UNKNOWN: NOTHING_KNOWN}
    taken = {NOTHING_KNOWN}
    for label in labels:
        if label in told:
            continue
        word = next(w for w in _candidates(label) if w not in taken and w.lower() not in RESERVED)
        told[label] = word
        taken.add(word)
    return told


def _candidates(label: str) -> Iterator[str]:
    # It strips what a template gives.
    plain = " ".join(label.split())[:MAX_WORD_CHARACTERS].strip()
    yield plain
    yield f"{plain} (class)".strip()
    number = 2
    while True:
        yield f"{plain} (class {number})".strip()
        number += 1


def announcement(
    config: MqttConfig, status: Status, web: WebConfig | None = None
) -> dict[str, Any]:
    """The discovery message; another one after another model."""
    assert status.model is not None
    name, where = device_id(config), topics(config)
    components = {**_label_sensors(where, words(status.model.labels)), **_health(where, status)}
    page = _page(web)
    return {
        "dev": {
            "ids": [name],
            "name": config.name or config.device_id or name,
            "mf": SUPPORT_NAME,
            "mdl": status.model.name,
            "sw": status.version,
            **({"cu": page} if page else {}),
        },
        "o": {"name": SUPPORT_NAME, "sw": status.version},
        "cmps": {
            key: {**component, "unique_id": f"{name}_{key}"}
            for key, component in components.items()
        },
        "qos": 1,
    }


def _page(web: WebConfig | None) -> str:
    """Where a browser on the network finds the web page; empty if it does not."""
    if web is None or not web.enabled or not web.port:
        return ""
    host = web.address
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
        host = web.hosts[0] if web.hosts else name if "." in name else f"{name}.local"
    elif host.startswith("127.") or host == "::1":
        return ""
    return f"http://[{host}]:{web.port}/" if ":" in host else f"http://{host}:{web.port}/"


def _label_sensors(where: Topics, told: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What is seen: not available while the camera is lost, lest an old label passes for new."""
    current = f"{STREAMING} and value_json.label_is_current"
    available = {
        "avty": [
            {"t": where.availability},
            {"t": where.health, "val_tpl": f"{{{{ 'online' if {current} else 'offline' }}}}"},
        ],
        "avty_mode": "all",
        "stat_t": where.state,
        "p": "sensor",
    }
    # A label of another model's, which this announcement does not list, is told as not known.
    names = json.dumps(told, ensure_ascii=False)
    label = f"{{{{ {names}.get(value_json.label, {json.dumps(NOTHING_KNOWN)}) }}}}"
    return {
        "label": {
            **available,
            "name": "Label",
            "ic": "mdi:eye",
            "dev_cla": "enum",
            "ops": [*(word for key, word in told.items() if key != UNKNOWN), NOTHING_KNOWN],
            "val_tpl": label,
            "json_attr_t": where.state,
            "json_attr_tpl": "{{ value_json.since | tojson }}",
        },
        "score": {
            **available,
            "name": "Score",
            "ic": "mdi:percent",
            "unit_of_meas": "%",
            "stat_cla": "measurement",
            "val_tpl": "{{ (value_json.score * 100) | round | int }}",
        },
    }


def _health(where: Topics, status: Status) -> dict[str, dict[str, Any]]:
    common = {"avty_t": where.availability, "stat_t": where.health, "ent_cat": "diagnostic"}
    number = {**common, "p": "sensor", "stat_cla": "measurement"}
    components: dict[str, dict[str, Any]] = {
        "camera": {
            **common,
            "p": "binary_sensor",
            "name": "Camera",
            "dev_cla": "connectivity",
            "val_tpl": f"{{{{ 'ON' if {STREAMING} else 'OFF' }}}}",
        },
        "slowed": {
            **common,
            "p": "binary_sensor",
            "name": "Slowed by heat or power",
            "dev_cla": "problem",
            "val_tpl": "{{ 'ON' if value_json.slowed else 'OFF' }}",
        },
        "fps": {
            **number,
            "name": "Frames per second",
            "ic": "mdi:speedometer",
            "unit_of_meas": "fps",
            "val_tpl": "{{ value_json.fps }}",
        },
    }
    if status.board.temperature_c is not None:
        components["temperature"] = {
            **number,
            "name": "Temperature",
            "dev_cla": "temperature",
            "unit_of_meas": "°C",
            "val_tpl": "{{ value_json.temperature_c }}",
        }
    return components


def change(observation: Observation) -> dict[str, Any]:
    """What of an observation goes out."""
    # The source may be a path or an address that is nobody's business at the broker.
    return {key: value for key, value in observation.record().items() if key != "source"}


def state(observation: Observation, first: Observation) -> dict[str, Any]:
    """The same for the state's topic, with what stays the same until the label changes.

    Args:
        observation: the newest.
        first: the first with its label. What Home Assistant keeps as attributes is taken from it,
            since each other value would be one more row in its database.
    """
    since = {
        "time": round(first.unix_s),
        "score": round(first.score, 2),
        "top": {name: round(score, 2) for name, score in first.top},
    }
    return {**change(observation), "since": since}


def health(status: Status, instance: str, *, label_is_current: bool) -> dict[str, Any]:
    """What of the service's state goes out.

    Args:
        status: the state.
        instance: tells this run from another, and from another device of the same id.
        label_is_current: whether the state's topic has what is seen now.
    """
    return {
        "camera": status.camera.state,
        "camera_problem": status.camera.problem,
        "label_is_current": label_is_current,
        "fps": rounded_rate(status.fps),
        "temperature_c": status.board.temperature_c,
        "throttled": status.board.throttled,
        "slowed": status.board.slowed,
        "uptime_s": round(status.uptime_s),
        "inferences_total": status.inferences_total,
        "model": status.model.name if status.model else None,
        "model_sha256": status.model.sha256 if status.model else None,
        "version": status.version,
        "machine": machine(),
        "instance": instance,
    }


def sender_of(health_message: str) -> tuple[str, str]:
    """Machine and instance that a health message is from; empty for what it does not say."""
    try:
        told = json.loads(health_message)
        return str(told.get("machine", "")), str(told.get("instance", ""))
    except (ValueError, AttributeError):
        return "", ""
