"""Which sinks the settings ask for: one line per sink, its module imported only then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from device.errors import ConfigError
from device.outputs.sink import Context, Sink


@contextmanager
def _needs(package: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{package} is not installed: pip install 'fieldguide-device[outputs]', or disable "
            "the output in fieldguide.toml"
        ) from error


def _json(context: Context) -> Sink:
    from device.outputs.json_lines import JsonLines

    return JsonLines(context.config.output.json)


def _mqtt(context: Context) -> Sink:
    with _needs("paho-mqtt"):
        from device.outputs.mqtt.sink import Mqtt
    return Mqtt(context.config.output.mqtt, context.config.output.web)


def _prometheus(context: Context) -> Sink:
    with _needs("prometheus-client"):
        from device.outputs.prometheus import Prometheus
    return Prometheus(context)


def _web(context: Context) -> Sink:
    from device.outputs.web.sink import Web

    return Web(context)


def _collect(context: Context) -> Sink:
    from device.outputs.collect.sink import Collector

    return Collector(context.config.output.collect, context.config.smoothing.threshold)


FACTORIES: dict[str, Callable[[Context], Sink]] = {
    "json": _json,
    "mqtt": _mqtt,
    "prometheus": _prometheus,
    "web": _web,
    "collect": _collect,
}
"""By section below `output`; a factory raises FieldguideError where the service cannot start."""
