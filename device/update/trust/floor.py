"""What time it is at least: most boards have no clock that survives a power cut.

Signed metadata expires, so a time is needed. While a time server has set the clock, it is the
clock's. Otherwise it is the floor: the latest moment that is known to be past. The floor is kept
over power cuts and never falls. One that a wrong clock has raised too far only matters until the
next time that a time server answers.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from device import clock

BUILT = (Path("/usr/lib/clock-epoch"), Path("/usr/lib/os-release"))
"""Written when the image was built."""
SAVED = (
    Path("/var/lib/systemd/timesync/clock"),
    Path("/var/lib/private/systemd/timesync/clock"),
)
"""systemd-timesyncd sets its modification time while it runs."""
LATEST_S = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""A file may be dated later than a `datetime` can say."""


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Clocks:
    """Where times come from; tests bring their own."""

    unix_s: Callable[[], float] = time.time
    is_synchronized: Callable[[], bool] = clock.is_synchronized
    """Whether a time server has set the clock since the board started."""
    dated: tuple[Path, ...] = (*BUILT, *SAVED)
    """Files whose modification times are past."""
    boot_s: Callable[[], float] = _boot_s
    """Time since the board started; it never jumps."""
    boot_id: Callable[[], str] = clock.boot_id
    """Another one after each start of the board."""


@dataclass(frozen=True)
class Uptime:
    """How long the board has run in all its life, as far as it was noted: it never jumps."""

    total_s: float = 0.0
    boot_id: str = ""
    boot_s: float = 0.0

    def advanced(self, clocks: Clocks) -> "Uptime":
        """As of now."""
        boot_id, boot_s = clocks.boot_id(), clocks.boot_s()
        since_s = boot_s - self.boot_s if boot_id == self.boot_id else boot_s
        return Uptime(self.total_s + max(0.0, since_s), boot_id, boot_s)


@dataclass(frozen=True)
class Moment:
    """The time by which expiry is judged."""

    unix_s: float
    verified: bool
    """Whether a time server says so; otherwise it is only the floor."""

    @property
    def time(self) -> datetime:
        """The same as a date with its zone, UTC."""
        return datetime.fromtimestamp(min(max(self.unix_s, 0.0), LATEST_S), UTC)


def raised(floor_s: float, clocks: Clocks, signed_s: Iterable[float] = ()) -> float:
    """The floor after all that is known now, as Unix time.

    Args:
        floor_s: as it was kept.
        clocks: of the board.
        signed_s: when metadata was signed that was accepted.
    """
    past = [floor_s, *signed_s, *filter(None, map(_dated_s, clocks.dated))]
    if clocks.is_synchronized():
        past.append(clocks.unix_s())
    return min(max(past), LATEST_S)


def moment(floor_s: float, clocks: Clocks) -> Moment:
    """The time now: the clock's if a time server has set it, else the floor."""
    if clocks.is_synchronized():
        return Moment(clocks.unix_s(), verified=True)
    return Moment(raised(floor_s, clocks), verified=False)


def _dated_s(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
