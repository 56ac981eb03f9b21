"""The factories of all sinks; a sink's module is imported only if the settings ask for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from device.errors import ConfigError
from device.outputs.sink import Context, Sink
from device.settings.sections import LOOK_WHOLE
from device.settings.state import updates_folder

NEEDS = {
    "mqtt": ("paho-mqtt",),
    "prometheus": ("h11", "prometheus-client"),
    "web": ("h11",),
}
"""Packages of the extra `outputs` that each output needs."""
INSTALL = "pip install 'fieldguide-device[outputs]'"
MODULES = {"h11": "h11", "paho": "paho-mqtt", "prometheus_client": "prometheus-client"}
"""These packages by their import names."""


@contextmanager
def _needed(output: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        package = MODULES.get(module) or " or ".join(NEEDS[output])
        raise ConfigError(
            f"{package} is not installed: {INSTALL}, or disable the output in fieldguide.toml"
        ) from error


def _json(context: Context) -> Sink:
    from device.outputs.json_lines import JsonLines

    return JsonLines(context.config.output.json)


def _mqtt(context: Context) -> Sink:
    with _needed("mqtt"):
        from device.outputs.mqtt.sink import Mqtt
    config = context.config
    return Mqtt(
        config.output.mqtt,
        config.output.web,
        looked_at=config.camera.look != LOOK_WHOLE,
        visits=Path(config.visits.path) if config.visits.enabled else None,
        drift=config.drift.enabled,
        updating=context.updating if config.update.enabled else None,
    )


def _prometheus(context: Context) -> Sink:
    with _needed("prometheus"):
        from device.outputs.prometheus import Prometheus
    return Prometheus(context)


def _web(context: Context) -> Sink:
    with _needed("web"):
        from device.outputs.web.sink import Web
    return Web(context)


def _collect(context: Context) -> Sink:
    from device.outputs.collect.sink import Collector

    config = context.config
    threshold, visits = config.smoothing.threshold, config.visits.enabled
    region = config.camera.region
    return Collector(config.output.collect, threshold, visits=visits, region=region)


def _visits(context: Context) -> Sink:
    from device.outputs.visits import Visits

    return Visits(context.config.visits)


def _drift(context: Context) -> Sink:
    from device.outputs.drift.sink import Drift

    return Drift(context.config)


def _update(context: Context) -> Sink:
    from device.outputs.updates import Updates

    return Updates(updates_folder(context.config))


FACTORIES: dict[str, Callable[[Context], Sink]] = {
    "json": _json,
    "mqtt": _mqtt,
    "prometheus": _prometheus,
    "web": _web,
    "collect": _collect,
    "visits": _visits,
    "drift": _drift,
    "update": _update,
}
"""By section below `output`, or of the settings; a factory raises FieldguideError if its sink
cannot start."""
