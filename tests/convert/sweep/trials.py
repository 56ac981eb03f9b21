"""Trials with figures that a test chooses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convert.sweep.compare import Entry
from convert.sweep.trial import CORES, Cost, Figures, Judged, Trial
from device.workstation.conversion import Verdict
from device.workstation.measures import wilson

PHOTOS = 400
EVENTS = [f"event {number}" for number in range(PHOTOS)]
FINGERPRINT = "ab" * 32


def judged(right: int, n: int = PHOTOS) -> Judged:
    """An answer for which the first photos are right, and the others are not."""
    return Judged(n, n, right / n, wilson(right / n, n), "1" * right + "0" * (n - right))


def figures(right: int, macs_m: float, mb: float, **changes: Any) -> Figures:
    """Those of a model that is right about so many of 400 validation photos."""
    whole = Figures(
        model_sha256="cd" * 32,
        validation=judged(right),
        test=judged(right - 2),
        float_accuracy=right / PHOTOS,
        verdict=Verdict.PASSED,
        edge_tpu_failures=(),
        cost=Cost(round(mb * 1e6), round(macs_m * 1e6), macs_m / 50, 60 + mb, "ai-edge-litert 2.3"),
        training_s=100.0,
    )
    return replace(whole, **changes)


def entry(name: str, right: int, macs_m: float, mb: float = 2.7, **changes: Any) -> Entry:
    """A trial that ended well, without counted instructions."""
    return Entry(name, figures(right, macs_m, mb, **changes), {})


def counted(one: Entry, million: float) -> Entry:
    """The same with instructions, equally many on each core."""
    counts: Mapping[str, int] = dict.fromkeys(CORES, round(million * 1e6))
    return replace(one, counts=counts)


def trial(one: Entry, error: str = "") -> Trial:
    """The record of a trial, that ended well unless an error is given."""
    backbone, _, size = one.name.rpartition("@")
    return Trial(backbone, int(size), FINGERPRINT, error, None if error else one.figures)
