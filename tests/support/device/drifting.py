"""Moments of a camera, without one: quiet days, and days on which something is wrong."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from device.drift.monitor import Monitor
from device.drift.sample import CELLS, AnswerFacts, PictureFacts, Sample

CLASSES = ("daisy", "rose", "tulip")
STARTED_S = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
"""A midnight."""
DAY_S = 86400
EVERY_S = 120
"""Moments of these tests are further apart than the service's."""


def moment(seed: int, hour: int, **changes: float) -> Sample:
    """A moment by day or night; no two are alike.

    Args:
        seed: of what differs between moments.
        hour: of the day.
        changes: by what facts of the picture are multiplied; `away` turns the camera away,
            `lead` is of the answer, and so is `distance`, which is added.
    """
    chance = np.random.default_rng(seed)
    light = 120.0 if 6 <= hour < 18 else 30.0
    layout = np.sin(np.arange(CELLS) / 5 + 2 * bool(changes.get("away"))).astype(np.float32)
    picture = PictureFacts(
        brightness=light * float(chance.uniform(0.8, 1.2)) * changes.get("brightness", 1),
        contrast=40 * float(chance.uniform(0.9, 1.1)) * changes.get("contrast", 1),
        sharpness=12 * float(chance.uniform(0.9, 1.1)) * changes.get("sharpness", 1),
        cast=0.05 + float(chance.normal(0, 0.02)),
        layout=layout + chance.normal(0, 0.1, CELLS).astype(np.float32),
    )
    unknown = chance.random() < 0.05
    answer = AnswerFacts(
        label=int(chance.integers(len(CLASSES))),
        accepted=not unknown,
        score=float(chance.uniform(0.85, 0.95)),
        odds=float(chance.normal(2, 0.5)),
        lead=float(chance.normal(3, 0.5)) * changes.get("lead", 1),
        distance=float(chance.normal(0.1, 0.5)) + changes.get("distance", 0),
    )
    return Sample(picture, answer if chance.random() < 0.5 else None)


def moments(day: int, **changes: float) -> Iterator[tuple[Sample, float]]:
    """A whole day's moments and their Unix times, s."""
    for at_s in range(0, DAY_S, EVERY_S):
        number = day * DAY_S + at_s
        yield moment(number, at_s // 3600, **changes), STARTED_S + number


def live(monitor: Monitor, first: int, last: int, **changes: float) -> None:
    """Let days pass, both included; the last is closed only by the next."""
    for day in range(first, last + 1):
        for sample, unix_s in moments(day, **changes):
            monitor.add(sample, unix_s)


def of_one_colour(sample: Sample, brightness: float) -> Sample:
    """The same moment before a camera that shows one colour."""
    layout = np.zeros(CELLS, np.float32)
    flat = PictureFacts(brightness, contrast=0, sharpness=0, cast=0, layout=layout)
    return replace(sample, picture=flat)
