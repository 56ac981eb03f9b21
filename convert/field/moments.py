"""When and by which device photos were taken: their events and days.

An event is photos of one device whose gaps are at most `event_s` seconds.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from device.contract.provenance import Provenance

CLOCK_SET_YEAR = 2025
"""An earlier year is of a device whose clock was not set yet."""
NO_DAY = "clock not set"


@dataclass(frozen=True)
class Moment:
    """When a device took a photo."""

    device: str
    unix_s: float | None
    """None if the record has no time that can be read."""

    @property
    def day(self) -> str:
        """The date in UTC, or `NO_DAY`."""
        if self.unix_s is None:
            return NO_DAY
        day = datetime.fromtimestamp(self.unix_s, UTC)
        return day.date().isoformat() if day.year >= CLOCK_SET_YEAR else NO_DAY


def moment_of(record: Provenance) -> Moment:
    """When and by which device a photo was taken, from its record."""
    try:
        time = datetime.fromisoformat(record.time)
        # In UTC, a time next to the first or the last year that there is may be in none.
        time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        return Moment(record.device, time.timestamp())
    except (ValueError, OverflowError):
        return Moment(record.device, None)


def events_of(moments: Sequence[Moment], event_s: float) -> list[str]:
    """The event of each moment: names that are equal for moments of one event.

    Moments of a device without times are one event: nothing shows that they are several.
    """
    by_device: dict[str, list[int]] = defaultdict(list)
    for index, moment in enumerate(moments):
        by_device[moment.device].append(index)
    named = [""] * len(moments)
    for device, members in by_device.items():
        for index, start in _starts(moments, members, event_s):
            named[index] = f"{device} {start}"
    return named


def _starts(
    moments: Sequence[Moment], members: Sequence[int], event_s: float
) -> list[tuple[int, str]]:
    """For each photo of one device, the time at which its event begins."""
    timed = [(index, unix_s) for index in members if (unix_s := moments[index].unix_s) is not None]
    starts = [(index, "without time") for index in members if moments[index].unix_s is None]
    start_s, before_s = 0.0, float("-inf")
    for index, unix_s in sorted(timed, key=lambda pair: pair[1]):
        start_s = unix_s if unix_s - before_s > event_s else start_s
        before_s = unix_s
        starts.append((index, _time(start_s)))
    return starts


def _time(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
