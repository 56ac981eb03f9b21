"""The running sinks: starting them, changing them with the settings, closing them."""

import time

from device.errors import OutputError
from device.outputs.registry import FACTORIES
from device.outputs.sink import Context, DriftWatcher, PhotoSaver, Sink, Updating, log
from device.outputs.thread import SinkThread
from device.outputs.visits import store_of
from device.settings.sections import LOOK_WHOLE, Config
from device.settings.state import mask_in_use, own_mask
from device.telemetry.counters import Telemetry
from device.telemetry.observation import Observation

CLOSE_S = 0.8
"""How long closing waits for all sinks together."""


class RunningSinks:
    """The sinks that the settings ask for, each on its own thread.

    Call `change` and `close` from one thread only; the rest from any.
    """

    def __init__(self, config: Config, telemetry: Telemetry) -> None:
        """Start them.

        Raises:
            FieldguideError: if one of them cannot start; then none runs.
        """
        self._config, self._telemetry = config, telemetry
        self._threads: dict[str, SinkThread] = {}
        self._left_behind = False
        self._start(config)

    @property
    def threads(self) -> tuple[SinkThread, ...]:
        """The threads that take observations now."""
        return tuple(self._threads.values())

    @property
    def left_behind(self) -> bool:
        """Whether a sink did not close, so that its thread may keep the process from ending."""
        return self._left_behind

    def change(self, new: Config) -> None:
        """Close the sinks whose settings changed and build them again; on failure, the old ones.

        Raises:
            FieldguideError: if one of the new ones cannot start.
        """
        gone = self._changed_by(new)
        closing = [thread for name, thread in self._threads.items() if name in gone]
        self._threads = {n: thread for n, thread in self._threads.items() if n not in gone}
        # Closed first: the new one may need the same port.
        self._close(closing)
        try:
            self._start(new)
        except Exception:
            self._start(self._config)
            raise
        self._settle_visits(self._config, new)
        self._config = new

    def close(self) -> None:
        """Give each a moment to deliver what is waiting, and close it."""
        self._close(list(self.threads))

    def keep(self, observation: Observation, label: str) -> str:
        """Save a picture with the sink that can (`PhotoSaver`).

        Raises:
            OutputError: if no sink can, or there is no picture or no room.
        """
        for thread in self.threads:
            if isinstance(thread.sink, PhotoSaver):
                return thread.sink.keep(observation, label)
        raise OutputError("no output saves pictures: enable output.collect in fieldguide.toml")

    def watcher(self) -> DriftWatcher | None:
        """The sink that watches for change; None if there is none."""
        sinks = (thread.sink for thread in self.threads)
        return next((sink for sink in sinks if isinstance(sink, DriftWatcher)), None)

    def updating(self) -> Updating | None:
        """The sink that speaks with the updater; None if there is none."""
        sinks = (thread.sink for thread in self.threads)
        return next((sink for sink in sinks if isinstance(sink, Updating)), None)

    def _changed_by(self, new: Config) -> list[str]:
        """Names of the running sinks that the new settings disable or change."""
        old = self._config
        if _shared(old) != _shared(new):
            return list(self._threads)
        before, after = old.sinks(), new.sinks()
        changed = {name for name in self._threads if before.get(name) != after.get(name)}
        if old.camera.source != new.camera.source:
            # Usual days are those of one camera, and the sink asks once whose it keeps.
            changed.add("drift")
        return [name for name in self._threads if name in changed]

    def _settle_visits(self, old: Config, new: Config) -> None:
        """Where visits are not kept any more, the one that goes on must not be told once more."""
        if not old.visits.enabled or self._left_behind:
            return
        if new.visits.enabled and new.visits.path == old.visits.path:
            return
        try:
            store_of(old.visits).settle()
        except OSError as error:
            log.warning("visits: %s: %s", old.visits.path, error.strerror or error)

    def _start(self, config: Config) -> None:
        """Start the enabled sinks that are not running yet."""
        context = Context(config, self._telemetry.snapshot, self.keep, self.watcher, self.updating)
        built: list[Sink] = []
        try:
            for name in config.sinks():
                if name not in self._threads:
                    built.append(FACTORIES[name](context))
        except Exception:
            # An abandoned connection would have the same client id as the next one.
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
                log.warning("output.%s: does not close; left hanging", thread.sink.name)
                self._left_behind = True


def _shared(config: Config) -> tuple[object, ...]:
    """The settings outside its own section that a sink may use."""
    return (
        config.smoothing.threshold,
        config.output.web,
        config.visits,
        config.drift,
        config.update.enabled,
        config.camera.look == LOOK_WHOLE,
        config.camera.region,
        own_mask(config),
        mask_in_use(config),
    )
