"""One pass of the process that installs software: as for a model, and starts of the board count.

It runs as root, so that the service cannot change its own code.
"""

import importlib
import pkgutil
from dataclasses import replace
from pathlib import Path

import device
from device.contract.release.naming import SOFTWARE
from device.errors import FieldguideError, UnfitError, UpdateError, one_line
from device.settings.address import safe
from device.settings.sections import Config
from device.settings.state import updates_folder
from device.telemetry.updates import HEALTH_FILE, Health
from device.update import apply
from device.update.asked import Asked, Places
from device.update.board import Source
from device.update.lock import alone
from device.update.run import HURRY_S, Pass, told
from device.update.software.place import Software
from device.update.state import BACK, IDLE, INSTALLING, STATE_FILE, TRIAL, WATCH, Progress
from device.update.trust.floor import Clocks

MOST_BOOTS = 3
"""So many starts in a row may end within a minute with software on trial."""
NOT_LINKS = "the software here is no release: `make deploy` once makes it one"


def software_pass(
    config: Config,
    device: str,
    settings: Path,
    places: Places,
    clocks: Clocks,
    *,
    boot: bool = False,
) -> Progress:
    """Do what can be done now about the software; returns what is remembered.

    Args:
        config: the settings, of the file `settings`.
        device: the board's id.
        settings: their file.
        places: of all processes.
        clocks: of the board.
        boot: only note that the board starts.

    Raises:
        FieldguideError: if what is remembered cannot be read, or another pass does not end.
        OSError: if it cannot be written.
    """
    with alone(places.software):
        work = _Software(config, device, settings, places, clocks)
        return work.boot() if boot else work.run()


class _Software(Pass):
    """Releases of the software."""

    def __init__(
        self, config: Config, device: str, settings: Path, places: Places, clocks: Clocks
    ) -> None:
        own = updates_folder(config)
        self._device = device
        source = Source(places.fetched, places.software, clocks)
        self._software = Software(config, settings, places, source)
        self._models_folder = own
        self._models = told(Progress, own / STATE_FILE)
        super().__init__(
            config,
            places,
            places.software,
            place=self._software,
            source=source,
            name=SOFTWARE,
            health=told(Health, own / HEALTH_FILE),
        )

    def run(self) -> Progress:
        """Act."""
        self._hurry()
        if self._progress.boots:
            self.keep(replace(self._progress, boots=0))
        try:
            self.act()
        except (FieldguideError, OSError) as error:
            self.keep(replace(self._progress, problem=safe(one_line(error))))
        if self._software.is_release() and self._software.is_outdated(self._health):
            # It was killed between the link and the start of the service.
            self._software.restart()
        return self._progress

    def boot(self) -> Progress:
        """Count; the service starts after this, with what is live then."""
        progress = self._progress
        held = progress.stage != IDLE and self._software.holds(progress.digest)
        if held and progress.stage in (INSTALLING, TRIAL, WATCH):
            progress = replace(progress, boots=progress.boots + 1)
            if progress.boots > MOST_BOOTS:
                said = f"the board did not stay up for a minute, {MOST_BOOTS} times in a row"
                progress = apply.back(progress, said)
            self.keep(progress)
        if self._progress.stage == BACK:
            self.keep(apply.step(self._progress, self._software, self._health))
        return self._progress

    def keep(self, progress: Progress) -> None:
        if progress.stage != IDLE:
            self._software.mark(wanted=True)
        super().keep(progress)
        if progress.stage == IDLE:
            self._software.mark(wanted=False)

    def question(self) -> Asked:
        update = self._config.update
        return Asked(
            group=update.group,
            device=self._device,
            require_time=update.require_time,
            root=update.root,
        )

    def other_stage(self) -> str:
        stage = self._models.stage
        return f"the model's release ({stage}): one thing at a time" if stage else ""

    def is_used(self) -> bool:
        return super().is_used() and self._software.runs(self._health)

    def begin(self, progress: Progress) -> bool:
        try:
            with alone(self._models_folder):
                self._models = told(Progress, self._models_folder / STATE_FILE)
                if not (waits := self.other_stage()):
                    self.keep(progress)
        except UpdateError as error:
            waits = one_line(error)
        if waits:
            self.keep(replace(self._progress, waits=waits))
        return not waits

    def _take(self) -> None:
        if not self._config.update.software:
            return
        if not self._software.is_release():
            raise UpdateError(NOT_LINKS)
        super()._take()

    def _hurry(self) -> None:
        """A person's wish is noted by the process that installs models."""
        if self._models.hurry > self._progress.hurry:
            until_s = self._progress.uptime.total_s + HURRY_S
            hurry = self._models.hurry
            self.keep(replace(self._progress, hurry=hurry, hurry_until_s=until_s))


def try_out() -> None:
    """Import all of this package: a release must be able to before anything leads to it.

    Raises:
        UnfitError: if it cannot.
    """
    for each in pkgutil.walk_packages(device.__path__, f"{device.__name__}."):
        if not each.name.endswith(".__main__"):
            try:
                importlib.import_module(each.name)
            except Exception as error:
                raise UnfitError(f"{each.name}: {one_line(error)}") from error
