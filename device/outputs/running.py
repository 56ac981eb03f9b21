"""The sinks that run: started, changed with the settings, closed."""

import time

from device.errors import OutputError
from device.outputs.registry import FACTORIES
from device.outputs.sink import Context, PhotoSaver, Sink, log
from device.outputs.thread import SinkThread
from device.settings.sections import Config
from device.telemetry.counters import Telemetry
from device.telemetry.observation import Observation

CLOSE_S = 0.8
"""How long closing waits for all sinks together."""


class RunningSinks:
    """The sinks that the settings ask for, each on its own thread.

    `change` and `close` are for one thread; `threads` and `keep` for any.
    """

    def __init__(self, config: Config, telemetry: Telemetry) -> None:
        """Start them.

        Raises:
            FieldguideError: if one of them cannot be; then none runs.
        """
        self._config, self._telemetry = config, telemetry
        self._threads: dict[str, SinkThread] = {}
        self._left_behind = False
        self._start(config)

    @property
    def threads(self) -> tuple[SinkThread, ...]:
        """Those that take observations now."""
        return tuple(self._threads.values())

    @property
    def left_behind(self) -> bool:
        """Whether one did not close, and its thread may keep the process from ending by itself."""
        return self._left_behind

    def change(self, new: Config) -> None:
        """Close what other settings change, then build it again; on failure as it was before.

        Raises:
            FieldguideError: if one of them cannot be.
        """
        gone = self._changed_by(new)
        closing = [thread for name, thread in self._threads.items() if name in gone]
        self._threads = {n: thread for n, thread in self._threads.items() if n not in gone}
        # First: the new one may need the same port.
        self._close(closing)
        try:
            self._start(new)
        except Exception:
            self._start(self._config)
            raise
        self._config = new

    def close(self) -> None:
        """Let each deliver what waits, for a moment, and close."""
        self._close(list(self.threads))

    def keep(self, observation: Observation, label: str) -> str:
        """Save a picture with the sink that can (`PhotoSaver`).

        Raises:
            OutputError: if none can, or there is no picture or no room.
        """
        for thread in self.threads:
            if isinstance(thread.sink, PhotoSaver):
                return thread.sink.keep(observation, label)
        raise OutputError("nothing collects pictures: set output.collect in fieldguide.toml")

    def _changed_by(self, new: Config) -> list[str]:
        """Names of the running sinks that other settings end, or make other ones of."""
        old = self._config
        if _shared(old) != _shared(new):
            return list(self._threads)
        before, after = old.output.enabled(), new.output.enabled()
        return [name for name in self._threads if before.get(name) != after.get(name)]

    def _start(self, config: Config) -> None:
        """Start those that the settings ask for besides the running ones."""
        context = Context(config, self._telemetry.snapshot, self.keep)
        built: list[Sink] = []
        try:
            for name in config.output.enabled():
                if name not in self._threads:
                    built.append(FACTORIES[name](context))
        except Exception:
            # A connection that nobody owns would answer to the same name as the next one.
            for sink in built:
                sink.close()
            raise
        started = {sink.name: SinkThread(sink, self._telemetry) for sink in built}
        self._threads = {**self._threads, **started}

    def _close(self, threads: list[SinkThread]) -> None:
        for thread in threads:
            thread.start_closing()
        deadline_s = time.monotonic() + CLOSE_S
        for thread in threads:
            if not thread.join(max(0.0, deadline_s - time.monotonic())):
                log.warning("output.%s: does not close, left behind", thread.sink.name)
                self._left_behind = True


def _shared(config: Config) -> tuple[object, ...]:
    """The settings outside of its own section that any sink may be built from."""
    return config.smoothing.threshold, config.output.web
