"""Whether the clock can be trusted: most boards have no clock that survives a power cut."""

import ctypes
from pathlib import Path

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd creates it once a time server has answered."""
_TIMEX_BYTES = 1024
"""Larger than any `struct timex`. All zeros: adjtimex only reports, and sets nothing."""
_TIME_ERROR = 5


def is_synchronized() -> bool:
    """Whether a time server is known to have set the clock since the board started.

    The kernel is asked as well, because time services other than systemd's tell only the kernel;
    inside the unit's sandbox that is not allowed.
    """
    return SYNCHRONIZED.exists() or _kernel_is_synchronized()


def _kernel_is_synchronized() -> bool:
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):
        return False
    return bool(0 <= state < _TIME_ERROR)
