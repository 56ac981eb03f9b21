"""Asks the server or the stick what is new, verifies it, and fetches what this board may have.

This runs as a user of its own, with the network, and changes nothing but its own folder. What it
fetched is verified once more by the process that installs it.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from device.contract.release.naming import SOFTWARE
from device.errors import ExpiredError, FieldguideError, UnfitError, UpdateError, one_line
from device.settings.address import remember, safe
from device.settings.update import local_folder
from device.telemetry.updates import read, write
from device.update import asked as asking
from device.update import offer
from device.update.asked import WHEELS_FOLDER, Asked, Places
from device.update.lock import alone
from device.update.software.releases import check_room
from device.update.state import STATE_FILE, Checks
from device.update.trust import floor
from device.update.trust.fetch import METADATA, PART, TARGETS, Origin, Wanted, is_whole
from device.update.trust.floor import Clocks
from device.update.trust.regular import read_regular

if TYPE_CHECKING:
    from device.update.trust.trusted import Trusted

FROZEN_S = 21 * 86400.0
"""Without a newer timestamp for so long while the server answers, somebody may hold them back."""
JITTER = 0.2
MOST_ROOT_BYTES = 64 * 1024


def check(places: Places, clocks: Clocks, *, forced: bool = False) -> Checks:
    """Ask if it is time to; returns what is known then.

    The model comes first: wheels of the software may take hours.

    Args:
        places: of the files.
        clocks: of the board.
        forced: whether to ask although it is not time yet.

    Raises:
        UpdateError: if it cannot be read what to ask for, or another check does not end.
        OSError: if they cannot be written.
    """
    with alone(places.fetched):
        return _check(places, clocks, forced)


def _check(places: Places, clocks: Clocks, forced: bool) -> Checks:
    wanted = asking.read(places.asked)
    remember(wanted.url)
    before = _advanced(_known(places.fetched / STATE_FILE), wanted, clocks)
    if not wanted.url:
        return before
    due = before.uptime.total_s >= before.due_s or wanted.hurry != before.hurry
    # Somebody who plugs a stick in does not want to stand there until it is time.
    if not (due or forced or before.by != places.runs or _is_back(before, wanted)):
        return before
    origin = _origin(wanted.url)
    known, offered = _asked(before, wanted, places, clocks, origin)
    known = replace(_scheduled(known, wanted), by=places.runs)
    write(places.fetched / STATE_FILE, known)
    if offered is not None and offered.fetch_software():
        known = _without_stick(replace(known, software_problem=offered.software_problem), origin)
        write(places.fetched / STATE_FILE, known)
    return known


def _origin(url: str) -> Origin:
    # Imported here: a stick needs neither HTTP nor TLS, and most starts need neither of them.
    if local_folder(url) is not None:
        from device.update.trust.stick import Stick

        return Stick(url)
    from device.update.trust.web import Web

    return Web(url)


def _is_back(before: Checks, wanted: Asked) -> bool:
    """Whether a stick that was waited for is plugged in."""
    return bool(before.away) and not _origin(wanted.url).away()


def _without_stick(known: Checks, origin: Origin) -> Checks:
    """Whatever failed: a stick that is not there is no problem, but is waited for."""
    if away := origin.away():
        cut = known.cut or bool(known.problem)
        return replace(known, away=away, cut=cut, problem="", software_problem="")
    return replace(known, away="", cut=False)


def _known(path: Path) -> Checks:
    """What was kept; from the beginning if it is damaged.

    What must not fall is kept elsewhere, too: versions in python-tuf's own files, and a floor by
    the process that installs.
    """
    try:
        return read(Checks, path)
    except UpdateError:
        return Checks()


def _advanced(known: Checks, wanted: Asked, clocks: Clocks) -> Checks:
    """As of now; from the beginning, except for time, if something else is asked for."""
    of = hashlib.sha256("\n".join((wanted.url, wanted.root, wanted.name)).encode()).hexdigest()
    floor_s, uptime = floor.raised(known.floor_s, clocks), known.uptime.advanced(clocks)
    if known.of != of:
        known = Checks(of=of, fresh_s=uptime.total_s)
    return replace(known, floor_s=floor_s, uptime=uptime)


def _scheduled(known: Checks, wanted: Asked) -> Checks:
    pause_s = wanted.interval_s * random.uniform(1 - JITTER, 1 + JITTER)
    return replace(known, due_s=known.uptime.total_s + pause_s, hurry=wanted.hurry)


def _asked(
    before: Checks, wanted: Asked, places: Places, clocks: Clocks, origin: Origin
) -> "tuple[Checks, _Offered | None]":
    """What is known after asking, whether that worked or not, and what is offered."""
    now = floor.moment(before.floor_s, clocks)
    known = replace(before, verified=now.verified, problem="", expired=False)
    if origin.away():
        return _without_stick(known, origin), None
    try:
        if wanted.require_time and not now.verified:
            raise UpdateError("waits for a time server: update.require_time says so")
        trusted = _trusted(wanted, places, now, origin)
    except ExpiredError as error:
        # It answers: old metadata may be all that somebody lets through.
        known = _aged(known, known.timestamp_version)
        return replace(known, problem=safe(str(error)), expired=True, away=""), None
    except (FieldguideError, OSError) as error:
        return _without_stick(replace(known, problem=safe(one_line(error))), origin), None
    known = _aged(known, trusted.timestamp_version)
    signed_s = floor.raised(known.floor_s, clocks, trusted.signed_s())
    checked_s = now.unix_s if now.verified else signed_s
    known = replace(known, floor_s=signed_s, checked_unix_s=checked_s, cut=False)
    offered = _Offered(trusted, wanted, places, origin)
    try:
        known = replace(known, latest=offered.fetch_model())
    except ExpiredError as error:
        known = replace(known, problem=safe(str(error)), expired=True)
    except (FieldguideError, OSError) as error:
        known = replace(known, problem=safe(one_line(error)))
    known = replace(
        known,
        software=offered.software,
        software_problem=offered.software_problem,
        unknown_group=offered.unknown_group,
    )
    return _without_stick(known, origin), offered


def _trusted(wanted: Asked, places: Places, now: floor.Moment, origin: Origin) -> "Trusted":
    # Imported here: most starts only find that it is not time yet.
    from device.update.trust.trusted import Trusted

    root = read_regular(Path(wanted.root), MOST_ROOT_BYTES)
    folder = places.fetched / METADATA
    trusted = Trusted(folder, root, origin, now.time)
    trusted.refresh()
    return trusted


def _aged(known: Checks, version: int) -> Checks:
    """Note whether a newer timestamp came, or none for too long."""
    now_s = known.uptime.total_s
    if version > known.timestamp_version:
        return replace(known, timestamp_version=version, fresh_s=now_s, frozen=False)
    return replace(known, frozen=now_s - known.fresh_s > FROZEN_S)


class _Offered:
    """What this board may have now, and fetching it."""

    def __init__(self, trusted: "Trusted", wanted: Asked, places: Places, origin: Origin) -> None:
        self._trusted, self._wanted, self._places = trusted, wanted, places
        self._folder, self._origin = places.fetched / TARGETS, origin
        self._kept: set[str] = set()
        """Hashes of what must stay in the folder."""
        self._wheels: list[tuple[Path, Wanted]] = []
        """Where each file of the newest software may be already, and what it is."""
        self.software = 0
        self.software_problem = ""
        self.unknown_group = ""
        self._folder.mkdir(exist_ok=True)

    def fetch_model(self) -> int:
        """Fetch the model's release if it is new; returns its number.

        Raises:
            FieldguideError: if that cannot be done.
            OSError: if the disk refuses.
        """
        knows_all = self._plan_software()
        name = self._wanted.name
        number = offer.newest(self._trusted, self._get, self._wanted, name)
        self.unknown_group = offer.unknown_group(self._trusted, self._get, self._wanted)
        files = []
        if number > self._wanted.taken:
            found = offer.release(self._trusted, self._get, name, number)
            files = [each for _, each in offer.wanted(self._trusted, found)]
        self._kept |= {each.sha256 for each in files}
        if knows_all:
            _tidy(self._folder, self._kept)
        for each in files:
            self._origin.fetch(each, self._folder)
        return number

    def fetch_software(self) -> bool:
        """Fetch what is missing of the software; returns whether anything was to be fetched."""
        try:
            missing = [each for at, each in self._wheels if not is_whole(at, each)]
            if missing:
                self._check_room(missing)
            for each in missing:
                self._origin.fetch(each, self._folder)
        except (FieldguideError, OSError) as error:
            self.software_problem = safe(one_line(error))
            return True
        return bool(missing)

    def _check_room(self, missing: Sequence[Wanted]) -> None:
        """Before a byte of it is fetched: a release that cannot be installed is of no use."""
        wheels_bytes = sum(each.size_bytes for _, each in self._wheels)
        missing_bytes = sum(
            each.size_bytes for each in missing if not (self._folder / each.sha256).exists()
        )
        check_room(self._places, wheels_bytes, missing_bytes)

    def _plan_software(self) -> bool:
        """Note what the software needs; whether that is known."""
        wanted = self._wanted
        if not wanted.software:
            return True
        try:
            number = offer.newest(self._trusted, self._get, wanted, SOFTWARE)
            self.software = number
            if not number or number < wanted.software_taken:
                return True
            found = offer.release(self._trusted, self._get, SOFTWARE, number)
            files = offer.wanted(self._trusted, found)
        except UnfitError as error:
            if number > wanted.software_taken:
                self.software_problem = safe(str(error))
            return True
        except (FieldguideError, OSError) as error:
            self.software_problem = safe(one_line(error))
            return False
        # Also of a release that is installed: most wheels of the next one are the same.
        self._kept |= {each.sha256 for _, each in files}
        if number > wanted.software_taken:
            wheels = self._places.installed / WHEELS_FOLDER
            self._wheels = [(wheels / file.name, each) for file, each in files]
        return True

    def _get(self, wanted: Wanted) -> bytes:
        self._kept.add(wanted.sha256)
        return self._origin.fetch(wanted, self._folder).read_bytes()


def _tidy(folder: Path, kept: set[str]) -> None:
    """Remove what no release of today needs: the folder must not grow."""
    for path in folder.iterdir():
        if path.name.removesuffix(PART) not in kept:
            path.unlink(missing_ok=True)
