"""Waiting and measuring with limits that hold beside other work on the machine."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

MEASURED_S = 0.1

Value = TypeVar("Value")


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


class Patience:
    """A limit of time, as many times longer as everything took on this machine meanwhile."""

    def __init__(self, within_s: float) -> None:
        self._within_s, self._worst = within_s, 1.0
        self._started_s = time.monotonic()
        self._next_s = self._started_s + within_s / 4

    @property
    def exhausted(self) -> bool:
        """Whether the limit has passed."""
        # Other work may have ended by the time that the limit is reached, so it is measured before.
        if time.monotonic() >= self._next_s:
            self._worst = max(self._worst, slowdown())
            self._next_s = time.monotonic() + self._within_s / 4
        return time.monotonic() - self._started_s >= self._within_s * self._worst


def eventually(condition: Callable[[], Any], within_s: float = 10.0) -> float:
    """Wait for a condition; returns how long it took, fails if it takes too long.

    On a machine with other work the limit is as many times longer as everything takes there.
    """
    started_s, patience = time.monotonic(), Patience(within_s)
    while not condition():
        assert not patience.exhausted, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - started_s


def settled(value: Callable[[], Value], for_s: float = 0.5, within_s: float = 10.0) -> Value:
    """Wait until a value stays as it is for so long, as on an idle machine; returns it.

    What was on its way beside other work has then arrived, which no fixed pause promises.
    """
    still_s, patience = for_s * slowdown(), Patience(within_s)
    last, until_s = value(), time.monotonic() + still_s
    while time.monotonic() < until_s:
        if (now := value()) != last:
            assert not patience.exhausted, "it never settled"
            last, until_s = now, time.monotonic() + still_s
        time.sleep(0.02)
    return last
