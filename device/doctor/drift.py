"""Whether camera and answers are as usual, by what the service has kept."""

from collections.abc import Iterator

from device.doctor.finding import OK, WARNING, Finding
from device.drift import kept
from device.drift.monitor import Monitor
from device.drift.status import SAYS, DriftStatus
from device.errors import DriftStateError
from device.settings.sections import Config
from device.settings.state import drift_file

AGAIN = "nothing: the service learns its usual days again; if it lasts, check the disk"
ACKNOWLEDGE = "; or, on the web page{}: this is how it looks now"


def drift(settings: Config) -> Iterator[Finding]:
    """What has changed, one finding for each alarm."""
    if not settings.drift.enabled:
        yield Finding("drift", OK, "off: drift.enabled says so")
        return
    try:
        memory = kept.read(drift_file(settings), None)
    except FileNotFoundError:
        yield Finding("drift", OK, "nothing noted yet")
    except DriftStateError as error:
        yield Finding("drift", WARNING, str(error), AGAIN)
    else:
        page = "" if settings.output.web.enabled else " (enable output.web)"
        yield from _of(Monitor((), memory).status(), ACKNOWLEDGE.format(page))


def _of(status: DriftStatus, acknowledge: str) -> Iterator[Finding]:
    for family in status.alarms:
        found = status.families[family]
        since = f" since {found.since}" if found.since else ""
        what = f"{SAYS[family]}{since}: {found.why}"
        yield Finding("drift", WARNING, what, found.cure + acknowledge)
    if status.alarms:
        return
    if status.learned_days < status.wanted_days:
        found_days = f"{status.learned_days} of {status.wanted_days}"
        yield Finding("drift", OK, f"usual days are learned: {found_days}")
    else:
        yield Finding("drift", OK, "camera and answers are as usual")
