"""The message by which Home Assistant finds the device and its sensors.

This is device discovery: one message for the device and all of its components. See
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload.
"""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from device.contract.look.rules import Region
from device.outputs.mqtt import drift_entities, update_entity, visit_entities
from device.settings.mqtt import MqttConfig
from device.settings.sections import WebConfig
from device.telemetry.machine import machine
from device.telemetry.observation import NOTHING, UNKNOWN, Observation
from device.telemetry.status import CameraState, Status, rounded_rate

STREAMING = f"value_json.camera == '{CameraState.STREAMING}'"
"""An expression for Home Assistant's templates over the `health` message."""
ONLINE, OFFLINE = "online", "offline"
SUPPORT_NAME = "Fieldguide"
NOTHING_KNOWN = "nothing known"
"""Sent to Home Assistant instead of `UNKNOWN`, which has another meaning there."""
RESERVED = frozenset({"", "none", "unknown", "unavailable"})
"""States with a special meaning to Home Assistant or its templates; case does not matter."""
MAX_WORD_CHARACTERS = 200
"""Home Assistant refuses states longer than 255."""


@dataclass(frozen=True)
class Topics:
    """The topics where the device publishes and listens."""

    state: str
    health: str
    availability: str
    changes: str
    """Every label change with its time, even if sent late; not retained."""
    visits: str
    """Every visit that has ended, likewise."""
    today: str
    """How many visits there were today; empty if the settings want no visits."""
    picture: str
    """A JPEG of the last visit; empty if the settings want none."""
    drift: str
    """What has changed at the camera; empty if the settings watch for nothing."""
    update: str
    """Which release is installed; empty if the settings want none."""
    install: str
    """Home Assistant publishes here when somebody wants the newest release; likewise."""
    discovery: str
    birth: str
    """Home Assistant publishes "online" here when it starts. Like `discovery`, empty if unused."""

    @property
    def retained(self) -> tuple[str, ...]:
        """Topics with retained messages, in the order in which to remove them."""
        own = (
            self.state,
            self.today,
            self.picture,
            self.drift,
            self.update,
            self.health,
            self.availability,
        )
        return tuple(filter(None, (self.discovery, *own)))


def device_id(config: MqttConfig) -> str:
    """The device's name in topics: letters, digits, - and _.

    The default has a part that differs between machines with the same host name.
    """
    wanted = config.device_id or "-".join(
        filter(None, ("fieldguide", socket.gethostname(), machine()))
    )
    return re.sub(r"[^A-Za-z0-9_-]+", "-", wanted)


def topics(
    config: MqttConfig, *, visits: bool = True, drift: bool = True, update: bool = True
) -> Topics:
    """The topics that the settings ask for.

    Args:
        config: of the broker.
        visits: whether visits are told.
        drift: whether it is told what has changed.
        update: whether releases are told.
    """
    name = device_id(config)
    own, theirs = f"{config.topic_prefix}/{name}", config.discovery_prefix
    return Topics(
        state=f"{own}/state",
        health=f"{own}/health",
        availability=f"{own}/availability",
        changes=f"{own}/changes",
        visits=f"{own}/visits",
        today=f"{own}/today" if visits else "",
        picture=f"{own}/picture" if visits and config.pictures else "",
        drift=f"{own}/drift" if drift else "",
        update=f"{own}/update" if update else "",
        install=f"{own}/update/install" if update else "",
        discovery=f"{theirs}/device/{name}/config" if theirs else "",
        birth=f"{theirs}/status" if theirs else "",
    )


def words(labels: tuple[str, ...], *, looks: bool = False) -> dict[str, str]:
    """The state for each label in Home Assistant: all different, and none of them reserved.

    Args:
        labels: of the model.
        looks: whether `NOTHING` is an answer, too; then a class of that name has another word.
    """
    told = {UNKNOWN: NOTHING_KNOWN}
    taken = {NOTHING_KNOWN, *([NOTHING] if looks else [])}
    for label in labels:
        if label in told:
            continue
        word = next(w for w in _candidates(label) if w not in taken and w.lower() not in RESERVED)
        told[label] = word
        taken.add(word)
    return told


def _candidates(label: str) -> Iterator[str]:
    # Home Assistant strips spaces from a template's result.
    plain = " ".join(label.split())[:MAX_WORD_CHARACTERS].strip()
    yield plain
    yield f"{plain} (class)".strip()
    number = 2
    while True:
        yield f"{plain} (class {number})".strip()
        number += 1


def announcement(
    config: MqttConfig,
    status: Status,
    web: WebConfig | None = None,
    *,
    looked_at: bool = False,
    visits: bool = False,
    drift: bool = False,
    update: bool = False,
) -> dict[str, Any]:
    """The discovery message; it changes with the model.

    Args:
        config: the settings.
        status: with a model.
        web: the web page to link to.
        looked_at: whether the settings let frames be looked at, if the model was trained for it.
        visits: whether visits are told then.
        drift: whether it is told what has changed.
        update: whether releases are told.
    """
    assert status.model is not None
    name, where = device_id(config), topics(config)
    looks = looked_at and status.model.region is Region.CHANGE
    told = words(status.model.labels, looks=looks)
    components = {**_label_sensors(where, told, looks=looks), **_health(where, status)}
    if looks and visits:
        components |= visit_entities.entities(
            asdict(where), told, NOTHING_KNOWN, pictures=config.pictures
        )
    if drift:
        components |= drift_entities.entities(asdict(where))
    if update:
        components |= update_entity.entities(asdict(where))
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


def components_of(announcement: str) -> dict[str, str]:
    """Key and platform of the entities in an announcement; none if it is damaged."""
    try:
        found = json.loads(announcement)["cmps"].items()
        return {str(key): str(one["p"]) for key, one in found if set(one) != {"p"}}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _page(web: WebConfig | None) -> str:
    """The web page's address for a browser on the network; empty if there is none."""
    if web is None or not web.enabled or not web.port:
        return ""
    host = web.address
    if host in ("0.0.0.0", "::"):
        name = socket.gethostname()
        host = web.hosts[0] if web.hosts else name if "." in name else f"{name}.local"
    elif host.startswith("127.") or host == "::1":
        return ""
    return f"http://[{host}]:{web.port}/" if ":" in host else f"http://{host}:{web.port}/"


def _label_sensors(
    where: Topics, told: dict[str, str], *, looks: bool
) -> dict[str, dict[str, Any]]:
    """The sensors for label and score: unavailable while the camera is lost, so none looks new."""
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
    # A label of another model, which this announcement does not list, becomes "nothing known".
    names = json.dumps(told, ensure_ascii=False)
    label = f"{{{{ {names}.get(value_json.label, {json.dumps(NOTHING_KNOWN)}) }}}}"
    if looks:
        # A class may be called like that; but then its scores are told.
        nothing = f"value_json.label == {json.dumps(NOTHING)} and not value_json.top"
        label = f"{{% if {nothing} %}}{NOTHING}{{% else %}}{label}{{% endif %}}"
    words_of_none = [NOTHING, NOTHING_KNOWN] if looks else [NOTHING_KNOWN]
    return {
        "label": {
            **available,
            "name": "Label",
            "ic": "mdi:eye",
            "dev_cla": "enum",
            "ops": [*(word for key, word in told.items() if key != UNKNOWN), *words_of_none],
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
    """An observation as sent to the broker."""
    # The source may be a path or address that the broker's other clients should not see.
    return {key: value for key, value in observation.record().items() if key != "source"}


def state(observation: Observation, first: Observation) -> dict[str, Any]:
    """The message for the state topic: a change, and what stays the same until the label changes.

    Args:
        observation: the newest.
        first: the first with this label. Home Assistant's attributes are taken from it, because
            each changed value would add a row to its database.
    """
    since = {
        "time": round(first.unix_s),
        "score": round(first.score, 2),
        "top": {name: round(score, 2) for name, score in first.top},
        "why": first.doubt.words() if first.doubt else None,
    }
    return {**change(observation), "since": since}


def health(status: Status, instance: str, *, label_is_current: bool) -> dict[str, Any]:
    """The service's state as sent to the broker.

    Args:
        status: the state.
        instance: identifies this run, and so another device with the same id.
        label_is_current: whether the state topic holds what is seen now.
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
    """Machine and instance that sent a health message; each empty if it does not say."""
    try:
        told = json.loads(health_message)
        return str(told.get("machine", "")), str(told.get("instance", ""))
    except (ValueError, AttributeError):
        return "", ""
