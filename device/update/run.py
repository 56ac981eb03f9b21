"""One pass of the process that installs: it judges what is on trial, or takes what was fetched."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from device.errors import BundleError, FieldguideError, UpdateError, one_line
from device.settings.address import safe, shown
from device.settings.sections import Config
from device.settings.state import updates_folder
from device.telemetry.updates import (
    HEALTH_FILE,
    MOST_BYTES,
    STATUS_FILE,
    WANTED_FILE,
    Health,
    UpdateStatus,
    parse,
    read,
    write,
)
from device.update import apply, asked, offer
from device.update.apply import Board
from device.update.asked import Asked, Places
from device.update.state import IDLE, STATE_FILE, Checks, Progress
from device.update.trust import floor
from device.update.trust.fetch import NotThereError
from device.update.trust.floor import Clocks
from device.update.trust.regular import read_regular

HURRY_S = 3600.0
"""How long a person's wish for a release lets it be installed at any hour."""


def install_pass(config: Config, device: str, places: Places, clocks: Clocks) -> UpdateStatus:
    """Do what can be done now; returns what people are told.

    Args:
        config: the settings.
        device: the board's id.
        places: of the other process.
        clocks: of the board.

    Raises:
        FieldguideError: if the updater's own files cannot be read, or another one runs.
        OSError: if they cannot be written.
    """
    own = updates_folder(config)
    own.mkdir(mode=0o750, parents=True, exist_ok=True)
    with _alone(own):
        try:
            work = _Pass(config, device, places, clocks)
        except UpdateError as error:
            # Otherwise the last status would stay, as if all were well.
            _tell(own / STATUS_FILE, replace(_status(own / STATUS_FILE), problem=safe(str(error))))
            raise
        work.run()
        return work.told()


class _Pass:
    """What one pass knows."""

    def __init__(self, config: Config, device: str, places: Places, clocks: Clocks) -> None:
        self._config, self._places, self._clocks = config, places, clocks
        self._own = updates_folder(config)
        self._health = self._of_service()
        root = Path(config.bundle.path).parent
        limit_s = config.inference.load_timeout_s
        self._board = Board(root, places.fetched, self._own, clocks, limit_s)
        kept = read(Progress, self._own / STATE_FILE)
        self._before_s = kept.uptime.total_s
        self._progress = self._advanced(kept)
        self._asked = self._question(device)

    def _of_service(self) -> Health:
        """How the service is; nothing if what it wrote is damaged, until it writes again."""
        try:
            return read(Health, self._own / HEALTH_FILE)
        except UpdateError:
            return Health()

    def run(self) -> None:
        """Act, keep what came of it, and tell the other process what is wanted."""
        self._hurry()
        try:
            self._act()
        except (FieldguideError, OSError) as error:
            self._keep(replace(self._progress, problem=safe(one_line(error))))
        wanted = replace(self._asked, taken=self._progress.taken, hurry=self._progress.hurry)
        asked.write(self._places.asked, wanted)

    def told(self) -> UpdateStatus:
        """What people are told; also kept for the service."""
        checks, progress = self._checks(), self._progress
        status = UpdateStatus(
            source=shown(self._config.update.url),
            name=self._config.update.name,
            installed=progress.applied,
            latest=checks.latest,
            stage=progress.stage,
            checked_unix_s=checks.checked_unix_s,
            verified=checks.verified,
            expired=checks.expired,
            frozen=checks.frozen,
            problem=checks.problem or progress.problem,
            waits=progress.waits,
            failed=progress.failed,
        )
        _tell(self._own / STATUS_FILE, status)
        return status

    def _act(self) -> None:
        progress = self._progress
        if progress.stage == IDLE:
            self._take()
            return
        self._keep(apply.step(progress, self._board, self._health))
        if self._progress.stage != progress.stage and self._progress.stage != IDLE:
            # What it decided, it does.
            self._keep(apply.step(self._progress, self._board, self._health))

    def _take(self) -> None:
        """Install what was fetched, if there is anything newer that may be taken now."""
        self._keep(replace(self._progress, problem="", waits=""))
        if not (self._config.update.enabled and self._board.has_metadata()):
            return
        trusted, floor_s = self._board.verified(self._asked, self._progress.floor_s)
        self._keep(replace(self._progress, floor_s=floor_s))
        number = offer.newest(trusted, self._board.get, self._asked)
        if number <= self._progress.taken:
            return
        if waits := self._waits():
            self._keep(replace(self._progress, waits=waits))
            return
        progress = replace(self._progress, release=number, before=self._health)
        try:
            found = offer.release(trusted, self._board.get, self._asked.name, number)
            files = self._board.files(trusted, found)
        except NotThereError:
            self._keep(replace(self._progress, waits="its files, which are being fetched"))
        except BundleError as error:
            # It was signed like that, so it stays like that.
            self._keep(apply.failed(progress, one_line(error)))
        else:
            attempts = self._progress.attempts if self._progress.release == number else 0
            self._keep(apply.prepared(progress, attempts, files))
            self._keep(apply.install(self._progress, self._board, files))

    def _waits(self) -> str:
        """What a newer release waits for; empty if for nothing."""
        if not self._board.is_confirmed():
            return apply.NOT_CONFIRMED
        hours, progress = self._config.update.hours, self._progress
        hurries = progress.uptime.total_s < progress.hurry_until_s
        # A clock that nobody has set tells no hour.
        if hurries or not self._clocks.is_synchronized():
            return ""
        if apply.is_hour(hours, apply.local_hour(self._clocks)):
            return ""
        return f"its hours, {hours[0]}:00 to {hours[1]}:00"

    def _hurry(self) -> None:
        """Note that somebody wants a release now."""
        wanted = self._own / WANTED_FILE
        if not wanted.exists():
            return
        until_s = self._progress.uptime.total_s + HURRY_S
        hurry = self._progress.hurry + 1
        self._keep(replace(self._progress, hurry=hurry, hurry_until_s=until_s))
        wanted.unlink(missing_ok=True)

    def _keep(self, progress: Progress) -> None:
        self._progress = progress
        write(self._own / STATE_FILE, progress)

    def _advanced(self, kept: Progress) -> Progress:
        """As of now; from the beginning, except for time, with releases of somebody else."""
        uptime = kept.uptime.advanced(self._clocks)
        floor_s = floor.raised(kept.floor_s, self._clocks)
        of = self._of()
        if of and kept.of != of:
            kept = Progress(of=of, failed=kept.failed, hurry=kept.hurry)
        served_s = kept.served_s
        if self._health.open and self._health.streaming:
            served_s += uptime.total_s - self._before_s
        return replace(kept, uptime=uptime, floor_s=floor_s, served_s=served_s)

    def _of(self) -> str:
        """Whose releases are asked for; empty if none are."""
        update = self._config.update
        if not update.enabled:
            return ""
        root = read_regular(Path(update.root), MOST_BYTES)
        return f"{hashlib.sha256(root).hexdigest()}/{update.name}"

    def _question(self, device: str) -> Asked:
        update, progress = self._config.update, self._progress
        return Asked(
            url=update.url if update.enabled else "",
            name=update.name,
            group=update.group,
            device=device,
            interval_s=update.interval_s,
            require_time=update.require_time,
            root=update.root,
            taken=progress.taken,
            hurry=progress.hurry,
        )

    def _checks(self) -> Checks:
        """What the other process tells; nothing if that is not readable."""
        path = self._places.fetched / STATE_FILE
        try:
            return parse(Checks, read_regular(path, MOST_BYTES), path)
        except UpdateError:
            return Checks()


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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock out another pass; the kernel frees it after a kill."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UpdateError(f"{folder}: the updater is at work already") from error
    finally:
        os.close(number)
