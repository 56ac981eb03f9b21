"""Loads the first model at the start, and each one that replaces it while the service runs."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from device.contract import bundle
from device.errors import BundleError, FieldguideError
from device.inference.threads import Workload, workload_of
from device.inference.trial import LoadedModel, Trial
from device.settings.sections import BundleConfig, Config, InferenceConfig
from device.telemetry.counters import Telemetry
from device.update import slots

log = logging.getLogger("fieldguide")

CONFIRM_AFTER_S, FEWEST_LABELS = 600.0, 3
"""A bundle that ran for this long and gave this many labels is confirmed."""
RETRY_S, LONGEST_RETRY_S = 60.0, 3600.0
"""A refused bundle is tried again after the first pause; pauses double up to the second."""

PATH_ERRORS = (OSError, RuntimeError, ValueError)
"""Raised for paths: RuntimeError by a loop of links (Python up to 3.12), ValueError by NUL."""

Identity = tuple[tuple[str, int, int, int], ...]
"""Name, inode, modification time and size of each file."""
Settings = tuple[BundleConfig, InferenceConfig, Workload]
Seen = tuple[Settings, Identity]
"""The settings, and the identity of the bundle found with them."""


class ModelWatcher:
    """Loads the bundle on its own thread, and again whenever the bundle is replaced.

    `accept` is called on that thread with each model that passed its self-test; `refuse` with the
    error of the first one, because without it there is nothing to run.
    """

    def __init__(
        self,
        config: Config,
        telemetry: Telemetry,
        accept: Callable[[LoadedModel], None],
        refuse: Callable[[Exception], None],
    ) -> None:
        self._settings = _loading(config)
        self._telemetry, self._accept, self._refuse = telemetry, accept, refuse
        self._trial = Trial()
        self._wake = threading.Event()
        self._stopped = False
        self._refused: tuple[float, float] | None = None
        """When the bundle was refused (monotonic), and how long to wait before the next try."""
        self._accepted: tuple[float, int] | None = None
        """When the running model was accepted (monotonic), and the number of labels at that time;
        None once its bundle is confirmed."""
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Check now whether the bundle was replaced."""
        self._wake.set()

    def reconfigure(self, config: Config) -> None:
        """Take new settings; if those for loading changed, the bundle is loaded again."""
        self._settings = _loading(config)
        self._wake.set()

    def stop(self) -> None:
        """Stop, and end a running self-test."""
        self._stopped = True
        self._trial.stop()
        self._wake.set()

    def _run(self) -> None:
        tried = self._attempt(first=True)
        seen = tried
        while not self._stopped:
            poked = self._wake.wait(self._settings[0].check_interval_s)
            self._wake.clear()
            try:
                tried, seen = self._check_again(tried, seen, poked=poked)
            except Exception as error:
                # This thread must go on: without it no new bundle would ever be used.
                log.warning("model: %s: %s", type(error).__name__, error)

    def _check_again(self, tried: Seen, seen: Seen, *, poked: bool) -> tuple[Seen, Seen]:
        """Load a changed bundle; returns what was tried last and what is there now."""
        now = (self._settings, identity(Path(self._settings[0].path)))
        # The same twice in a row: copying it into place has finished.
        changed = now != tried and (now == seen or poked)
        if changed:
            self._refused = None
        if not self._stopped and (changed or self._is_due(poked)):
            now = tried = self._attempt(first=False)
        elif now == tried:
            self._confirm()
        return tried, now

    def _is_due(self, poked: bool) -> bool:
        """Whether to try a refused bundle again: the cause may be gone."""
        if self._refused is None:
            return False
        refused_s, pause_s = self._refused
        return poked or time.monotonic() >= refused_s + pause_s

    def _confirm(self) -> None:
        """Confirm the slot once its bundle has worked for a while: updates can go back to it."""
        if self._accepted is None or self._refused is not None:
            return
        accepted_s, labels = self._accepted
        status = self._telemetry.snapshot()
        if status.model is None or status.inferences_total < labels + FEWEST_LABELS:
            return
        if time.monotonic() < accepted_s + CONFIRM_AFTER_S:
            return
        try:
            slots.confirm_running(Path(self._settings[0].path), status.model.sha256)
        except (FieldguideError, OSError) as error:
            log.debug("model: not confirmed yet: %s", error)
            self._accepted = (time.monotonic(), labels)
        else:
            self._accepted = None

    def _attempt(self, *, first: bool) -> Seen:
        settings = self._settings
        path = Path(settings[0].path)
        # Before reading, so that a later change is noticed.
        tried = (settings, identity(path))
        try:
            loaded = bundle.load(resolved(path))
            model = self._trial.load(loaded, *settings[1:])
        except Exception as error:
            # Not only FieldguideError: this thread must go on, or report that it cannot.
            if not self._stopped:
                self._failed(error, first=first)
        else:
            if loaded.thumbnails_problem:
                log.warning("model: %s", loaded.thumbnails_problem)
            if not self._stopped:
                self._passed(model)
        return tried

    def _failed(self, error: Exception, *, first: bool) -> None:
        if first:
            self._refuse(error)
            return
        pause_s = RETRY_S if self._refused is None else 2 * self._refused[1]
        self._refused = (time.monotonic(), min(pause_s, LONGEST_RETRY_S))
        log.warning("model: %s; the previous one keeps running", error)
        self._telemetry.model_problem(str(error))

    def _passed(self, model: LoadedModel) -> None:
        info = model.info
        invoke_ms = info.checked_invoke_s * 1e3
        order = "ahead" if model.ahead else "in turn"
        about = (info.name, info.runtime, info.threads, order, invoke_ms)
        log.info("model: %s (%s, threads: %d, frames prepared %s, %.1f ms)", *about)
        self._accept(model)
        self._refused = None
        self._accepted = (time.monotonic(), self._telemetry.snapshot().inferences_total)
        self._telemetry.model(info)


def _loading(config: Config) -> Settings:
    """The settings that decide how a model is loaded; all others have their defaults."""
    inference, fresh = config.inference, InferenceConfig()
    inference = replace(
        inference,
        max_fps=fresh.max_fps,
        rest_fps=fresh.rest_fps,
        hot_fps=fresh.hot_fps,
        hot_c=fresh.hot_c,
    )
    # The camera's rate and size decide how many threads are worth it.
    return config.bundle, inference, workload_of(config)


def resolved(path: Path) -> Path:
    """The path without links: a link that is swapped meanwhile must not mix two bundles' files.

    Raises:
        BundleError: if it leads nowhere.
    """
    try:
        return path.resolve()
    except PATH_ERRORS as error:
        raise BundleError(f"{path}: leads nowhere ({error})") from error


def identity(path: Path) -> Identity:
    """Tells a replaced bundle from the old one, through any links; empty if it is gone."""
    try:
        target = path.resolve(strict=True)
        files = sorted(target.iterdir()) if target.is_dir() else [target]
        stats = [(str(file), file.stat()) for file in files]
    except PATH_ERRORS:
        return ()
    return tuple((name, s.st_ino, s.st_mtime_ns, s.st_size) for name, s in stats)
