"""What else the machine does, so that bounds on time hold beside it."""

import time

MEASURED_S = 0.1


def slowdown() -> float:
    """How many times as long as on an idle machine work takes now; 1 on an idle one."""
    started_s, worked_s = time.monotonic(), time.thread_time()
    while time.thread_time() - worked_s < MEASURED_S:
        pass
    return max(1.0, (time.monotonic() - started_s) / MEASURED_S)


class Stopwatch:
    """Time since it was made, as it would be on an idle machine, about."""

    def __init__(self) -> None:
        self._slowdown = slowdown()
        self._started_s = time.monotonic()

    @property
    def fair_s(self) -> float:
        """Seconds; never more than went by."""
        took_s = time.monotonic() - self._started_s
        return took_s / max(self._slowdown, slowdown())
