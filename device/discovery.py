"""The message by which Home Assistant finds the device and its sensors.

Device discovery, as https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload has
it: one message for the device with all of its components.
"""

import re
import socket
from dataclasses import dataclass
from typing import Any

from device.config import MqttConfig
from device.observation import UNKNOWN, Status, told_rate

ONLINE, OFFLINE = "online", "offline"
SUPPORT_NAME = "Fieldguide"


@dataclass(frozen=True)
class Topics:
    """Where the device publishes, and listens."""

    state: str
    health: str
    availability: str
    discovery: str
    birth: str
    """Here Home Assistant says "online" when it starts; both are empty without announcement."""


def device_id(config: MqttConfig) -> str:
    """What names the device in topics: letters, digits, - and _."""
    wanted = config.device_id or f"fieldguide-{socket.gethostname()}"
    return re.sub(r"[^A-Za-z0-9_-]+", "-", wanted)


def topics(config: MqttConfig) -> Topics:
    """The topics that the settings ask for."""
    name = device_id(config)
    own, theirs = f"{config.topic_prefix}/{name}", config.discovery_prefix
    return Topics(
        state=f"{own}/state",
        health=f"{own}/health",
        availability=f"{own}/availability",
        discovery=f"{theirs}/device/{name}/config" if theirs else "",
        birth=f"{theirs}/status" if theirs else "",
    )


def announcement(config: MqttConfig, status: Status) -> dict[str, Any]:
    """The discovery message; another one after another model."""
    assert status.model is not None
    name, where = device_id(config), topics(config)
    components = {**_sights(where, (*status.model.labels, UNKNOWN)), **_health(where, status)}
    return {
        "dev": {
            "ids": [name],
            "name": name,
            "mf": SUPPORT_NAME,
            "mdl": f"{status.model.name}: {status.model.data}",
            "sw": status.version,
        },
        "o": {"name": SUPPORT_NAME, "sw": status.version},
        "cmps": {
            key: {**component, "unique_id": f"{name}_{key}"}
            for key, component in components.items()
        },
        "qos": 1,
    }


def _sights(where: Topics, labels: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What is seen: not available while the camera is lost, lest an old label passes for new."""
    camera = "{{ 'online' if value_json.camera == 'streaming' else 'offline' }}"
    available = {
        "avty": [{"t": where.availability}, {"t": where.health, "val_tpl": camera}],
        "avty_mode": "all",
        "stat_t": where.state,
        "p": "sensor",
    }
    return {
        "label": {
            **available,
            "name": "Label",
            "ic": "mdi:eye",
            "dev_cla": "enum",
            "ops": list(dict.fromkeys(labels)),
            "val_tpl": "{{ value_json.label }}",
            "json_attr_t": where.state,
            "json_attr_tpl": "{{ {'score': value_json.score, 'top': value_json.top} | tojson }}",
        },
        "score": {
            **available,
            "name": "Score",
            "ic": "mdi:percent",
            "unit_of_meas": "%",
            "stat_cla": "measurement",
            "val_tpl": "{{ (value_json.score * 100) | round(1) }}",
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
            "val_tpl": "{{ 'ON' if value_json.camera == 'streaming' else 'OFF' }}",
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


def state(record: dict[str, Any]) -> dict[str, Any]:
    """What of an observation's record goes out."""
    # The source may be a path or an address that is nobody's business at the broker.
    return {key: value for key, value in record.items() if key != "source"}


def health(status: Status) -> dict[str, Any]:
    """What of the service's state goes out."""
    return {
        "camera": status.camera.state,
        "camera_problem": status.camera.problem,
        "fps": told_rate(status.fps),
        "temperature_c": status.board.temperature_c,
        "throttled": status.board.throttled,
        "slowed": status.board.slowed,
        "uptime_s": round(status.uptime_s),
        "inferences_total": status.inferences_total,
        "model": status.model.name if status.model else None,
        "model_sha256": status.model.sha256 if status.model else None,
        "version": status.version,
    }
