"""Which sinks the settings ask for: one line per sink, its module imported only then."""

from collections.abc import Callable
from typing import Any

from device.config import OutputConfig
from device.sinks import Context, Sink


def _json(context: Context) -> Sink:
    from device.json_lines import JsonLines

    return JsonLines(context.config.output.json)


def _collect(context: Context) -> Sink:
    from device.collect import Collector

    return Collector(context.config.output.collect, context.config.smoothing.threshold)


FACTORIES: dict[str, Callable[[Context], Sink]] = {
    "json": _json,
    "collect": _collect,
}
"""By section below `output`; a factory raises FieldguideError where the service cannot start."""


def enabled(config: OutputConfig) -> dict[str, Any]:
    """The sections of the sinks that are to run, by name; equal sections need no new sink."""
    return {name: section for name in FACTORIES if (section := getattr(config, name)).enabled}
