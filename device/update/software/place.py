"""Where the software is on a board: releases side by side, and links to two of them.

    INSTALLED/releases/NAME/venv    a release each, made by a deployment, a card or here
    INSTALLED/venv                  a link to the one that runs
    INSTALLED/confirmed             a link to the one that a failure leads back to
    INSTALLED/trial                 is there while a release made here is on trial, or watched

`confirmed` leads to the Python that runs these passes, so the release before judges a new one.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from device.contract.release.record import Release
from device.errors import UpdateError
from device.files import sync
from device.settings.sections import Config
from device.settings.state import updates_folder
from device.telemetry.updates import Health
from device.update import offer, watch
from device.update.apply import Prepared
from device.update.asked import WHEELS_FOLDER, Places
from device.update.board import Source, is_confirmed
from device.update.lock import alone
from device.update.run import told
from device.update.software import build, releases
from device.update.software.releases import CONFIRMED, LIVE, OURS, READY, RELEASES
from device.update.state import STATE_FILE, TRIAL, Checks, Progress
from device.update.trust.fetch import TARGETS, Wanted, is_whole
from device.update.trust.regular import verify
from device.update.trust.trusted import Trusted

MARK = "trial"
UNIT = "fieldguide.service"
"""As `make deploy` leaves it in a release."""
UNIT_FOLDER = Path("/etc/systemd/system")
RESTART = "restart"
WORKS_S = 600.0
"""With pictures for so long, software on trial works."""
STARTS_S = 360.0
"""After this long the service must run new software."""
SEES_S = 3600.0
"""After this long pictures must have come, and the updater must have run."""


@dataclass(frozen=True)
class Software:
    """The releases of a board, as `device.update.apply.Place` wants them."""

    config: Config
    settings: Path
    """The file of it."""
    places: Places
    source: Source

    def prepared(self, trusted: Trusted, found: Release) -> Prepared:
        """As of `Place`; files are verified again when they are copied."""
        files = {file.name: wanted for file, wanted in offer.wanted(trusted, found)}
        digest = build.digest_of(files)
        places = {name: self._find(name, wanted) for name, wanted in files.items()}
        self._tidy()
        releases.check_room(self.places, sum(wanted.size_bytes for wanted in files.values()))
        before = self.named(LIVE)
        return Prepared(digest, lambda: self._install(before, name_of(digest), files, places))

    def holds(self, digest: str) -> bool:
        """Whether this release is live."""
        return self.named(LIVE) == name_of(digest)

    def is_confirmed(self) -> bool:
        """As of `Place`, and of the model's slots, too."""
        live = self.named(LIVE)
        slots = is_confirmed(Path(self.config.bundle.path).parent)
        return bool(live) and live == self.named(CONFIRMED) and slots

    def runs(self, health: Health) -> bool:
        """Whether the service is what is live, since the board has started."""
        here = health.boot == self.source.clocks.boot_id()
        return here and bool(health.software) and health.software == self.named(LIVE)

    def is_release(self) -> bool:
        """Whether there are links to go by."""
        return bool(self.named(LIVE)) and bool(self.named(CONFIRMED))

    def is_outdated(self, health: Health) -> bool:
        """Whether the service was started before what is live became so."""
        here = health.open and health.boot == self.source.clocks.boot_id()
        return here and bool(health.software) and health.software != self.named(LIVE)

    def works(self, progress: Progress, health: Health) -> bool:
        """Whether service and updater were seen working on it."""
        return self.runs(health) and progress.served_s >= WORKS_S and self._is_updating()

    def fault(self, progress: Progress, health: Health) -> str:
        """As of `Place`."""
        if fault := watch.crash_or_heat(progress.before, health):
            return fault
        since_s = progress.uptime.total_s - progress.began_s
        if not self.runs(health):
            late = min(since_s, self.source.clocks.boot_s()) > STARTS_S
            return "the service does not start with it" if late else ""
        if progress.stage != TRIAL or since_s <= SEES_S:
            return ""
        if health.problem and health.problem != progress.before.problem:
            return health.problem
        if progress.before.streaming and not progress.served_s:
            return "no pictures within an hour, and they came before"
        return "" if self._is_updating() else "its updater does not run"

    def go_back(self) -> None:
        """Return to the release before."""
        self._point(LIVE, self.named(CONFIRMED))
        self.restart()

    def keep(self) -> None:
        """From now on this is what one goes back to."""
        self._point(CONFIRMED, self.named(LIVE))

    def named(self, link: str) -> str:
        """The release that a link leads to; empty if it is no such link."""
        return releases.named(self.places.installed, link)

    def mark(self, *, wanted: bool) -> None:
        """Whether starts of the board are to be counted."""
        path = self.places.installed / MARK
        if wanted == path.exists():
            return
        if wanted:
            path.touch()
        else:
            path.unlink()
        sync(self.places.installed)

    def restart(self) -> None:
        """Have the service started again, once this pass is over."""
        self.places.run.mkdir(exist_ok=True)
        (self.places.run / RESTART).touch()

    def _install(
        self, before: str, name: str, files: dict[str, Wanted], found: dict[str, Path]
    ) -> bool:
        folder = self.places.installed / RELEASES / name
        shutil.rmtree(folder, ignore_errors=True)
        wheels = folder / WHEELS_FOLDER
        try:
            wheels.mkdir(parents=True)
            for file, wanted in files.items():
                with (wheels / file).open("xb") as copy:
                    verify(found[file], wanted, copy.write)
            build.build(folder / LIVE, wheels, files)
            build.check(folder / LIVE, wheels, Path(self.config.bundle.path), self.settings)
            shutil.rmtree(wheels)
            unit = UNIT_FOLDER / UNIT
            if unit.exists():
                shutil.copyfile(unit, folder / UNIT)
            os.sync()
            (folder / READY).touch()
            os.sync()
            if not before == self.named(LIVE) == self.named(CONFIRMED):
                raise UpdateError("a deployment has put other software there meanwhile")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._point(LIVE, name)
        self.restart()
        return True

    def _find(self, name: str, wanted: Wanted) -> Path:
        brought = self.places.installed / WHEELS_FOLDER / name
        if is_whole(brought, wanted):
            return brought
        path = self.source.fetched / TARGETS / wanted.sha256
        # Before it counts as begun: who has the network must not use up the attempts.
        verify(path, wanted)
        return path

    def _is_updating(self) -> bool:
        live = self.named(LIVE)
        own = told(Progress, updates_folder(self.config) / STATE_FILE)
        checks = told(Checks, self.source.fetched / STATE_FILE)
        return own.by == live and (checks.by == live or not self.config.update.enabled)

    def _tidy(self) -> None:
        """Remove releases that nothing leads to, but for the wheels that a deployment brought."""
        # Under this lock a deployment says what it prepares, and then looks whether that is ready.
        with alone(self.places.installed / RELEASES):
            for folder in releases.unused(self.places):
                self._withdraw(folder)
        for folder in releases.unused(self.places):
            shutil.rmtree(folder)

    def _withdraw(self, folder: Path) -> None:
        """A deployment's release is none any more: half removed, it must not be ready."""
        installed, live = self.places.installed, self.named(LIVE)
        brought, kept = (installed / WHEELS_FOLDER).resolve(), Path(RELEASES, live, WHEELS_FOLDER)
        if brought == (folder / WHEELS_FOLDER).resolve():
            if brought.is_dir() and not (installed / kept).exists():
                brought.rename(installed / kept)
            self._link(WHEELS_FOLDER, kept)
        if not folder.name.startswith(OURS):
            gone = folder.with_name(f"{OURS}{folder.name}")
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)

    def _point(self, link: str, name: str) -> None:
        """Swap a link in one step, and sync it to disk."""
        if not (self.places.installed / RELEASES / name / LIVE).is_dir() or not name:
            raise UpdateError(f"{self.places.installed / RELEASES / name}: no release to link to")
        self._link(link, Path(RELEASES, name, LIVE))

    def _link(self, link: str, target: Path) -> None:
        new = self.places.installed / f"{link}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(self.places.installed / link)
        sync(self.places.installed)


def name_of(digest: str) -> str:
    """The folder of a release that is made here."""
    return f"{OURS}{digest[:12]}"
