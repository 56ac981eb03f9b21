"""Whether the clock can be believed: boards have none that outlasts a power cut."""

import ctypes
from pathlib import Path

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes it once a time server answered."""
_TIMEX_BYTES = 1024
"""More than any `struct timex` has; all zero, it asks and sets nothing."""
_TIME_ERROR = 5


def is_synchronized() -> bool:
    """Whether a time server has set the clock since the board started, as far as one can know.

    The kernel is asked, too, for other services than systemd's; the unit's sandbox denies that.
    """
    return SYNCHRONIZED.exists() or _kernel_is_synchronized()


def _kernel_is_synchronized() -> bool:
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (AttributeError, OSError):
        return False
    return bool(0 <= state < _TIME_ERROR)
