"""Whether the clock can be trusted: most boards have no clock that survives a power cut."""

import ctypes
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd creates it once a time server has answered."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMEX_BYTES = 1024
"""Larger than any `struct timex`. All zeros: adjtimex only reports, and sets nothing."""
_TIME_ERROR = 5
EARLIEST_S = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
"""What has an earlier Unix time was written before the clock was set: its age is unknown."""
AHEAD_S = 86400.0
"""What is dated this far in the future was written when the clock was wrong."""


def is_synchronized() -> bool:
    """Whether a time server is known to have set the clock since the board started.

    The kernel is asked as well, because time services other than systemd's tell only the kernel;
    inside the unit's sandbox that is not allowed.
    """
    return SYNCHRONIZED.exists() or _kernel_is_synchronized()


def boot_id() -> str:
    """Another one after each start of the board; empty if the kernel does not tell."""
    with suppress(OSError):
        return BOOT_ID.read_text().strip()
    return ""


def _kernel_is_synchronized() -> bool:
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):
        return False
    return bool(0 <= state < _TIME_ERROR)
