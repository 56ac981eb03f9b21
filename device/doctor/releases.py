"""Whether signed releases come, by what the updater has told last."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from device.doctor.finding import FAILED, OK, WARNING, Finding
from device.errors import UpdateError
from device.settings.sections import Config
from device.settings.state import updates_folder
from device.settings.update import UpdateConfig, local_folder
from device.telemetry.updates import STATUS_FILE, ReleaseStatus, UpdateStatus, read

LATE = 4
"""So many intervals after the last check something is wrong."""
LOG = "journalctl -u fieldguide-update -u fieldguide-install"
LOG_SOFTWARE = "journalctl -u fieldguide-update -u fieldguide-software"
CLOCK = (
    "connect it to a time server; if its clock is right, the publisher must sign again: "
    "make fleet-refresh"
)
COPIED = "make fleet-refresh, and copy the folder to the stick again; or its clock is wrong"


def releases(settings: Config) -> Iterator[Finding]:
    """What the updater tells, one finding for each thing that needs attention."""
    if not settings.update.enabled:
        yield Finding("update", OK, "off: update.enabled says so")
        return
    if not Path(settings.update.root).is_file():
        found = f"{settings.update.root} is missing: nobody could be trusted"
        yield Finding("update", FAILED, found, "copy 1.root.json of the fleet there")
        return
    try:
        status = read(UpdateStatus, updates_folder(settings) / STATUS_FILE)
    except UpdateError as error:
        yield Finding("update", WARNING, str(error), LOG)
        return
    troubles = list(_troubles(status, settings.update))
    yield from troubles
    if not troubles:
        yield Finding("update", OK, _all_well(status))


def _troubles(status: UpdateStatus, settings: UpdateConfig) -> Iterator[Finding]:
    is_local = local_folder(settings.url) is not None
    if status.expired:
        yield Finding("update", WARNING, status.problem, COPIED if is_local else CLOCK)
    elif status.problem:
        yield Finding("update", WARNING, status.problem, LOG)
    if status.away and not status.checked_unix_s:
        # Later it is the usual state, and no warning.
        found = f"nothing was ever read: it waits for {status.away}"
        yield Finding("update", WARNING, found, "plug it in; or correct update.url")
    if status.group_note:
        fix = f"correct update.group, or make promote GROUP={status.unknown_group} NEW=1"
        yield Finding("update", WARNING, status.group_note, fix)
    if status.frozen:
        found = "for three weeks nothing newer was signed, although the server answers"
        yield Finding("update", WARNING, found, "make fleet-refresh; or the server is not yours")
    software = status.software
    if software.problem:
        yield Finding("update", WARNING, f"software: {software.problem}", LOG_SOFTWARE)
    for kind, failed in (("release", status.failed), ("software", software.failed)):
        if failed:
            found = f"{kind} {failed[-1]}; the one before runs"
            yield Finding("update", WARNING, found, "publish another one: this is not tried again")
    late_s = time.time() - status.checked_unix_s
    is_asked = status.verified and not (status.problem or status.away)
    if is_asked and late_s > LATE * settings.interval_s:
        found = f"nothing was asked since {_day(status.checked_unix_s)}"
        yield Finding("update", WARNING, found, "systemctl status fieldguide-update.timer")


def _all_well(status: UpdateStatus) -> str:
    if not status.checked_unix_s:
        return "nothing was asked yet"
    by = "by a time server" if status.verified else "by the latest moment known to be past"
    own, asked = status.software, f"asked {_day(status.checked_unix_s)} ({by})"
    return f"{_runs(status, asked)}; {_runs(own, f'software {own.version} in {own.runs}')}"


def _runs(status: ReleaseStatus, more: str) -> str:
    runs = f"release {status.installed}" if status.installed else "no release yet"
    waits = status.waits and f"waits for {status.waits}"
    return "; ".join(filter(None, (f"{runs}, {more}", status.doing, waits)))


def _day(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"
