"""The sink that tells the updater how the service is, and reads what the updater tells.

The two are processes of the same user that start and end independently, so they meet in files
(`device.telemetry.updates`).
"""

import time
from dataclasses import replace
from pathlib import Path

from device import clock
from device.errors import OutputError, UpdateError
from device.telemetry.observation import UNKNOWN, ModelInfo, Observation
from device.telemetry.status import CameraState, Status
from device.telemetry.updates import (
    HEALTH_FILE,
    STATUS_FILE,
    WANTED_FILE,
    Health,
    UpdateStatus,
    read,
    running_software,
    write,
)

TELL_S = 300.0
"""How often the service's health is written."""
LOOK_S = 10.0
"""How often the updater's status is read."""


class Updates:
    """Counts answers, crashes and heat for the updater; `update` may be read from any thread."""

    name = "update"
    wants_pictures = False

    def __init__(self, folder: Path) -> None:
        """Note a crash, if the service did not close the last time.

        If the board has started since, its power was cut: three cuts in a day must not make a good
        release go back.

        Args:
            folder: where both meet.

        Raises:
            OSError: if it cannot be written.
        """
        self._folder = folder
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        before, boot = _health(folder), clock.boot_id()
        crashed = before.open and before.boot == boot
        self._health = replace(
            before,
            open=True,
            boot=boot,
            streaming=False,
            crashes=before.crashes + crashed,
            software=running_software(),
        )
        self._update = UpdateStatus()
        self._ticked_s = time.monotonic()
        self._look_s = float("-inf")
        self._tell(self._ticked_s)

    @property
    def update(self) -> UpdateStatus:
        """What the updater tells."""
        return self._update

    def install_update(self) -> None:
        """Ask the updater for what is meant for this board, at any hour.

        Raises:
            OutputError: if the disk refuses.
        """
        try:
            (self._folder / WANTED_FILE).touch()
        except OSError as error:
            raise OutputError(f"update: {self._folder}: {error.strerror}") from error

    def needs(self, observation: Observation) -> bool:
        """Only a new answer; that nothing is there is none."""
        return observation.changed and not observation.says_nothing

    def publish(self, observation: Observation) -> None:
        """Count an answer."""
        if observation.model.sha256 == self._health.model_sha256:
            answers = self._health.answers + 1
            unknown = self._health.unknown + (observation.label == UNKNOWN)
            self._health = replace(self._health, answers=answers, unknown=unknown)

    def tick(self, status: Status) -> None:
        """Count time, and exchange files now and then.

        Raises:
            OSError: if the disk refuses.
            UpdateError: if what the updater wrote cannot be read.
        """
        now_s = time.monotonic()
        since_s, self._ticked_s = now_s - self._ticked_s, now_s
        before, health = self._health, _of(status.model, self._health)
        self._health = replace(
            health,
            streaming=status.camera.state == CameraState.STREAMING,
            running_s=health.running_s + since_s * bool(health.model_sha256),
            slowed_s=health.slowed_s + since_s * status.board.slowed,
            served_s=health.served_s + since_s,
            problem=status.model_problem,
        )
        if _news(before) != _news(self._health) or now_s >= self._told_s + TELL_S:
            self._tell(now_s)
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_S
            self._update = read(UpdateStatus, self._folder / STATUS_FILE)

    def close(self) -> None:
        """Note that this is no crash.

        Raises:
            OSError: if the disk refuses.
        """
        self._health = replace(self._health, open=False, streaming=False)
        self._tell(time.monotonic())

    def _tell(self, now_s: float) -> None:
        self._told_s = now_s
        write(self._folder / HEALTH_FILE, self._health)


def _of(model: ModelInfo | None, health: Health) -> Health:
    """From the beginning, if another model runs."""
    if model is None or model.sha256 == health.model_sha256:
        return health
    return replace(
        health, model_sha256=model.sha256, answers=0, unknown=0, running_s=0.0, slowed_s=0.0
    )


def _news(health: Health) -> tuple[object, ...]:
    """What the updater should know soon."""
    return health.model_sha256, health.streaming, health.problem


def _health(folder: Path) -> Health:
    """As the last run left it; nothing if that is damaged."""
    try:
        return read(Health, folder / HEALTH_FILE)
    except UpdateError:
        return Health()
