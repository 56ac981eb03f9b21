"""One pass of the process that installs: it judges what is on trial, or takes what was fetched."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from device import __version__
from device.contract.release.naming import SOFTWARE
from device.errors import (
    BundleError,
    ExpiredError,
    FieldguideError,
    UnfitError,
    UpdateError,
    one_line,
)
from device.settings.address import safe, shown
from device.settings.sections import Config
from device.settings.state import updates_folder
from device.telemetry.updates import (
    HEALTH_FILE,
    MOST_BYTES,
    STATUS_FILE,
    WANTED_FILE,
    Health,
    SoftwareStatus,
    UpdateStatus,
    parse,
    read,
    write,
)
from device.update import apply, asked, offer, watch
from device.update.apply import Place, Prepared
from device.update.asked import Asked, Places
from device.update.board import Board, Source
from device.update.lock import alone
from device.update.state import IDLE, STATE_FILE, Checks, Progress
from device.update.trust import floor
from device.update.trust.fetch import NotThereError
from device.update.trust.floor import Clocks
from device.update.trust.regular import read_regular

if TYPE_CHECKING:
    from device.telemetry.updates import Kept

HURRY_S = 3600.0
"""How long a person's wish for a release lets it be installed at any hour."""


def install_pass(config: Config, device: str, places: Places, clocks: Clocks) -> UpdateStatus:
    """Do what can be done now about the model; returns what people are told.

    Args:
        config: the settings.
        device: the board's id.
        places: of the other processes.
        clocks: of the board.

    Raises:
        FieldguideError: if the updater's own files cannot be read, or another one does not end.
        OSError: if they cannot be written.
    """
    own = updates_folder(config)
    own.mkdir(mode=0o750, parents=True, exist_ok=True)
    with alone(own):
        try:
            work = _Models(config, device, places, clocks)
        except UpdateError as error:
            # Otherwise the last status would stay, as if all were well.
            _tell(own / STATUS_FILE, replace(_status(own / STATUS_FILE), problem=safe(str(error))))
            raise
        work.run()
        return work.status()


class Pass(ABC):
    """What one pass knows of releases of one kind: the model's, or those of the software."""

    def __init__(
        self,
        config: Config,
        places: Places,
        own: Path,
        *,
        place: Place,
        source: Source,
        name: str,
        health: Health,
    ) -> None:
        """Read what was kept.

        Args:
            config: the settings.
            places: where processes meet.
            own: the folder of what is kept.
            place: of releases.
            source: of releases.
            name: of releases.
            health: of the service.

        Raises:
            UpdateError: if what was kept, or the first root metadata, cannot be read.
        """
        self._config, self._places, self._own = config, places, own
        self._place, self._source, self._name, self._health = place, source, name, health
        self._clocks = source.clocks
        kept = read(Progress, own / STATE_FILE)
        self._before_s = kept.uptime.total_s
        self._progress = self._advanced(kept)

    def act(self) -> None:
        """Go on with what is being done, or take what is new."""
        progress = self._progress
        if progress.stage == IDLE:
            self._take()
            return
        self.keep(apply.step(progress, self._place, self._health))
        if self._progress.stage != progress.stage and self._progress.stage != IDLE:
            # What it decided, it does.
            self.keep(apply.step(self._progress, self._place, self._health))

    def keep(self, progress: Progress) -> None:
        """Remember it over power cuts."""
        self._progress = replace(progress, by=self._places.runs)
        write(self._own / STATE_FILE, self._progress)

    def other_stage(self) -> str:
        """What releases of the other kind are about; empty if nothing."""
        return ""

    @abstractmethod
    def question(self) -> Asked:
        """What is asked for."""

    def is_used(self) -> bool:
        """Whether the service runs and sees pictures."""
        return self._health.open and self._health.streaming

    def begin(self, progress: Progress) -> bool:
        """Note that a release is going to be written; False if the other kind was faster."""
        self.keep(progress)
        return True

    def _take(self) -> None:
        """Install what was fetched, if there is anything newer that may be taken now."""
        self.keep(replace(self._progress, problem="", waits=""))
        if not (self._config.update.enabled and self._source.has_metadata()):
            return
        question, checks = self.question(), told(Checks, self._places.fetched / STATE_FILE)
        if checks.cut:
            # One part of a stick, whose other parts may not fit.
            return
        try:
            trusted, floor_s = self._source.verified(question, self._progress.floor_s)
        except ExpiredError:
            if checks.away:
                # What was on it the last time has grown old, as it must.
                return
            raise
        self.keep(replace(self._progress, floor_s=floor_s))
        number = offer.newest(trusted, self._source.get, question, self._name)
        if number <= self._progress.taken:
            return
        if waits := self._waits():
            self.keep(replace(self._progress, waits=waits))
            return
        progress = replace(self._progress, release=number, before=self._health, digest="")
        try:
            found = offer.release(trusted, self._source.get, self._name, number)
            ready = self._place.prepared(trusted, found)
        except NotThereError:
            self.keep(replace(self._progress, waits="its files, which are being fetched"))
        except (BundleError, UnfitError) as error:
            # It was signed like that, so it stays like that.
            self.keep(apply.failed(progress, one_line(error)))
        else:
            self._install(progress, ready)

    def _install(self, progress: Progress, ready: Prepared) -> None:
        if ready.digest in progress.refused and self._name == SOFTWARE:
            self.keep(apply.failed(progress, "the same as a release that led back before"))
            return
        attempts = self._progress.attempts if self._progress.release == progress.release else 0
        if self.begin(apply.prepared(progress, attempts, ready.digest)):
            self.keep(apply.install(self._progress, self._place, ready))

    def _waits(self) -> str:
        """What a newer release waits for; empty if for nothing."""
        if not self._place.is_confirmed():
            return apply.NOT_CONFIRMED
        if stage := self.other_stage():
            return stage
        hours, progress = self._config.update.hours, self._progress
        hurries = progress.uptime.total_s < progress.hurry_until_s
        # A clock that nobody has set tells no hour.
        if hurries or not self._clocks.is_synchronized():
            return ""
        if apply.is_hour(hours, apply.local_hour(self._clocks)):
            return ""
        return f"its hours, {hours[0]}:00 to {hours[1]}:00"

    def _advanced(self, kept: Progress) -> Progress:
        """As of now; from the beginning, except for time, with releases of somebody else."""
        uptime = kept.uptime.advanced(self._clocks)
        floor_s = floor.raised(kept.floor_s, self._clocks)
        of = self._of()
        busy = self._name == SOFTWARE and kept.stage != IDLE
        if of and kept.of != of and not busy:
            kept = Progress(of=of, failed=kept.failed, refused=kept.refused, hurry=kept.hurry)
        served_s = kept.served_s
        if self.is_used():
            served_s += uptime.total_s - self._before_s
        return replace(kept, uptime=uptime, floor_s=floor_s, served_s=served_s)

    def _of(self) -> str:
        """Whose releases are asked for; empty if none are."""
        if not self._config.update.enabled:
            return ""
        root = read_regular(Path(self._config.update.root), MOST_BYTES)
        return f"{hashlib.sha256(root).hexdigest()}/{self._name}"


class _Models(Pass):
    """Releases of the model, and what the process with the network is told to fetch."""

    def __init__(self, config: Config, device: str, places: Places, clocks: Clocks) -> None:
        own = updates_folder(config)
        source = Source(places.fetched, own, clocks)
        limit_s = config.inference.load_timeout_s
        place = Board(Path(config.bundle.path).parent, source, limit_s)
        self._device = device
        self._software = told(Progress, places.software / STATE_FILE)
        name, health = config.update.name, told(Health, own / HEALTH_FILE)
        super().__init__(config, places, own, place=place, source=source, name=name, health=health)

    def run(self) -> None:
        """Act, keep what came of it, and tell the other process what is wanted."""
        self._hurry()
        try:
            self.act()
        except (FieldguideError, OSError) as error:
            self.keep(replace(self._progress, problem=safe(one_line(error))))
        asked.write(self._places.asked, self.question())

    def status(self) -> UpdateStatus:
        """What people are told; also kept for the service."""
        checks = told(Checks, self._places.fetched / STATE_FILE)
        progress = self._progress
        status = UpdateStatus(
            source=shown(self._config.update.url),
            name=self._config.update.name,
            unknown_group=self._unknown_group(checks),
            away=checks.away,
            installed=progress.applied,
            latest=checks.latest,
            stage=progress.stage,
            doing=watch.note(progress),
            checked_unix_s=checks.checked_unix_s,
            verified=checks.verified,
            expired=checks.expired,
            frozen=checks.frozen,
            problem=checks.problem or progress.problem,
            waits=progress.waits or checks.away,
            failed=progress.failed,
            software=self._told_of_software(checks),
        )
        _tell(self._own / STATUS_FILE, status)
        return status

    def _unknown_group(self, checks: Checks) -> str:
        # It may have been corrected since.
        group = self._config.update.group
        return group if group == checks.unknown_group else ""

    def _told_of_software(self, checks: Checks) -> SoftwareStatus:
        software = self._software
        now = replace(software, uptime=software.uptime.advanced(self._clocks))
        return SoftwareStatus(
            version=__version__,
            runs=self._places.runs,
            fetched=self._config.update.enabled and self._config.update.software,
            installed=software.applied,
            latest=checks.software,
            stage=software.stage,
            doing=watch.note(now, software=True),
            problem=checks.software_problem or software.problem,
            waits=software.waits,
            failed=software.failed,
        )

    def question(self) -> Asked:
        update, progress = self._config.update, self._progress
        return Asked(
            url=update.url if update.enabled else "",
            name=update.name,
            group=update.group,
            device=self._device,
            interval_s=update.interval_s,
            require_time=update.require_time,
            root=update.root,
            taken=progress.taken,
            hurry=progress.hurry,
            software=update.software,
            software_taken=self._software.taken,
        )

    def other_stage(self) -> str:
        stage = self._software.stage
        return f"the software's release ({stage}): one thing at a time" if stage else ""

    def _hurry(self) -> None:
        """Note that somebody wants a release now."""
        wanted = self._own / WANTED_FILE
        if not wanted.exists():
            return
        until_s = self._progress.uptime.total_s + HURRY_S
        hurry = self._progress.hurry + 1
        self.keep(replace(self._progress, hurry=hurry, hurry_until_s=until_s))
        wanted.unlink(missing_ok=True)


def told(cls: "type[Kept]", path: Path) -> "Kept":
    """What another process tells; nothing if that is not readable, until it writes again."""
    try:
        return parse(cls, read_regular(path, MOST_BYTES), path)
    except UpdateError:
        return cls()


def _status(path: Path) -> UpdateStatus:
    """What was told last; nothing if that is damaged."""
    try:
        return read(UpdateStatus, path)
    except UpdateError:
        return UpdateStatus()


def _tell(path: Path, status: UpdateStatus) -> None:
    """Write it if it is new."""
    if not path.exists() or _status(path) != status:
        write(path, status)
