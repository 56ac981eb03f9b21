"""Asks the server what is new, verifies it, and fetches what this board may have.

This runs as a user of its own, with the network, and changes nothing but its own folder. What it
fetched is verified once more by the process that installs it.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import ExpiredError, FieldguideError, UpdateError, one_line
from device.settings.address import remember, safe
from device.telemetry.updates import read, write
from device.update import asked as asking
from device.update import offer
from device.update.asked import Asked, Places
from device.update.state import STATE_FILE, Checks
from device.update.trust import floor
from device.update.trust.fetch import METADATA, PART, TARGETS, Wanted, Web
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

    Args:
        places: of the files.
        clocks: of the board.
        forced: whether to ask although it is not time yet.

    Raises:
        UpdateError: if it cannot be read what to ask for.
        OSError: if they cannot be written.
    """
    wanted = asking.read(places.asked)
    remember(wanted.url)
    before = _advanced(_known(places.fetched / STATE_FILE), wanted, clocks)
    due = before.uptime.total_s >= before.due_s or wanted.hurry != before.hurry
    if not wanted.url or not (due or forced):
        return before
    after = _scheduled(_asked(before, wanted, places, clocks), wanted)
    write(places.fetched / STATE_FILE, after)
    return after


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


def _asked(before: Checks, wanted: Asked, places: Places, clocks: Clocks) -> Checks:
    """What is known after asking, whether that worked or not."""
    now = floor.moment(before.floor_s, clocks)
    known = replace(before, verified=now.verified, problem="", expired=False)
    try:
        if wanted.require_time and not now.verified:
            raise UpdateError("waits for a time server: update.require_time says so")
        trusted = _trusted(wanted, places, now)
    except ExpiredError as error:
        # The server answers: old metadata may be all that somebody lets through.
        known = _aged(known, known.timestamp_version)
        return replace(known, problem=safe(str(error)), expired=True)
    except (FieldguideError, OSError) as error:
        return replace(known, problem=safe(one_line(error)))
    known = _aged(known, trusted.timestamp_version)
    signed_s = floor.raised(known.floor_s, clocks, trusted.signed_s())
    known = replace(known, floor_s=signed_s, checked_unix_s=now.unix_s)
    try:
        return replace(known, latest=_fetched(trusted, wanted, places))
    except ExpiredError as error:
        return replace(known, problem=safe(str(error)), expired=True)
    except (FieldguideError, OSError) as error:
        return replace(known, problem=safe(one_line(error)))


def _trusted(wanted: Asked, places: Places, now: floor.Moment) -> "Trusted":
    # Imported here: most starts only find that it is not time yet.
    from device.update.trust.trusted import Trusted

    root = read_regular(Path(wanted.root), MOST_ROOT_BYTES)
    folder = places.fetched / METADATA
    trusted = Trusted(folder, root, Web(wanted.url), now.time)
    trusted.refresh()
    return trusted


def _aged(known: Checks, version: int) -> Checks:
    """Note whether a newer timestamp came, or none for too long."""
    now_s = known.uptime.total_s
    if version > known.timestamp_version:
        return replace(known, timestamp_version=version, fresh_s=now_s, frozen=False)
    return replace(known, frozen=now_s - known.fresh_s > FROZEN_S)


def _fetched(trusted: "Trusted", wanted: Asked, places: Places) -> int:
    """Fetch what this board may have, if it is new; returns its number."""
    folder, web = places.fetched / TARGETS, Web(wanted.url)
    folder.mkdir(exist_ok=True)
    kept: set[str] = set()
    get = partial(_get, lambda each: web.fetch(each, folder), kept)
    number = offer.newest(trusted, get, wanted)
    if number > wanted.taken:
        found = offer.release(trusted, get, wanted.name, number)
        files = offer.wanted(trusted, found)
        kept |= {each.sha256 for _, each in files}
        _tidy(folder, kept)
        for _, each in files:
            web.fetch(each, folder)
    _tidy(folder, kept)
    return number


def _get(fetch: Callable[[Wanted], Path], kept: set[str], wanted: Wanted) -> bytes:
    kept.add(wanted.sha256)
    return fetch(wanted).read_bytes()


def _tidy(folder: Path, kept: set[str]) -> None:
    """Remove what no release of today needs: the folder must not grow."""
    for path in folder.iterdir():
        if path.name.removesuffix(PART) not in kept:
            path.unlink(missing_ok=True)
