"""Whole lives of simulated cameras, judged by the device's own code."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from device.contract.accuracy import ScoreOffset
from device.drift import place
from device.drift.judge import FAMILIES, LEARN_DAYS, Judge, judge, learned
from device.drift.place import Place
from device.drift.sample import Family
from device.drift.status import DayStatus, estimate
from tests.bench.drift.cached import Cached
from tests.bench.drift.worlds import FOREIGN, NEW_CLASS, YEAR_DAYS, Array, Cameras, Days, World

QUIET_DAYS = 21
"""From the end of learning until a fault begins."""
WITHIN_DAYS = 3
FAULT_DAYS = 6
EXPECTED = {
    "blur": Family.CAMERA,
    "dimmed by half": Family.CAMERA,
    "moved": Family.CAMERA,
    NEW_CLASS: Family.WORLD,
}
WEEK = 7


@dataclass(frozen=True)
class Years:
    """Quiet years."""

    raised: Array
    """(days, families): how many cameras began a false alarm on a day."""
    alarms: Array
    """(cameras, families): false alarms of each."""
    of_place: Array
    """(cameras,): how often each was said to be no place for its bundle."""
    estimated: Array
    """(weeks, cameras): of a week; NaN where it is not told."""
    true: Array
    """(weeks, cameras): how often accepted answers were right."""
    covered: Array
    """(weeks, cameras): whether the interval contains it."""

    @classmethod
    def together(cls, parts: "Sequence[Years]") -> "Years":
        """The years of several groups of cameras."""
        return cls(
            raised=np.sum([part.raised for part in parts], axis=0),
            alarms=np.concatenate([part.alarms for part in parts]),
            of_place=np.concatenate([part.of_place for part in parts]),
            estimated=np.concatenate([part.estimated for part in parts], axis=1),
            true=np.concatenate([part.true for part in parts], axis=1),
            covered=np.concatenate([part.covered for part in parts], axis=1),
        )


@dataclass(frozen=True)
class Found:
    """What became of a fault."""

    name: str
    after_days: Array
    """(cameras,): from its beginning to the alarm of the expected family; infinite if none."""
    other: Array
    """(cameras,): the same for any other family."""

    @classmethod
    def together(cls, parts: "Sequence[Found]") -> "Found":
        """The same fault of several groups of cameras."""
        after_days = np.concatenate([part.after_days for part in parts])
        return cls(parts[0].name, after_days, np.concatenate([part.other for part in parts]))


def years(cameras: Cameras, cached: Cached, seed: int, days: int = YEAR_DAYS) -> Years:
    """Quiet years; alarms end by themselves, and nobody acknowledges any."""
    world = World(cameras, cached, seed)
    state, places = _learn(world), [Place()] * len(cameras.place)
    shape = (len(cameras.place), len(FAMILIES))
    raised, alarms, of_place = [], np.zeros(shape), np.zeros(len(places))
    week: deque[Days] = deque(maxlen=WEEK)
    told: list[tuple[Array, Array, Array]] = []
    for number in range(LEARN_DAYS, days):
        day = world.day(number)
        week.append(day)
        places, told_now = _placed(places, day)
        of_place += told_now
        after, _ = judge(state, day.counts, day.layouts)
        began = after.alarm & ~state.alarm
        raised.append(began.sum(axis=0))
        alarms += began
        state = after
        if number % WEEK == 0 and len(week) == WEEK:
            told.append(_told(week, after, cached.score_offset))
    estimated, true, covered = (np.stack(one) for one in zip(*told, strict=True))
    return Years(np.stack(raised), alarms, of_place, estimated, true, covered)


def _placed(places: list[Place], day: Days) -> tuple[list[Place], Array]:
    """What is known of each place after a day, and for which an alarm began."""
    pairs = zip(places, day.clear, day.beyond, strict=True)
    after = [place.settled(one, float(n), float(away), "today") for one, n, away in pairs]
    began = [now.alarm and not one.alarm for one, now in zip(places, after, strict=True)]
    return [place.after_day(now) for now in after], np.array(began)


def _told(week: "deque[Days]", state: Judge, offset: ScoreOffset) -> tuple[Array, Array, Array]:
    number = len(state.level)
    found, true, covered = np.full(number, np.nan), np.full(number, np.nan), np.zeros(number, bool)
    valid = ~state.alarm[:, [FAMILIES.index(Family.CAMERA), FAMILIES.index(Family.WORLD)]].any(1)
    for camera in np.flatnonzero(valid):
        days = [
            DayStatus("", (), 0, 0, int(day.accepted[camera]), float(day.score_sum[camera]))
            for day in week
        ]
        told = estimate(days, offset)
        if told is not None:
            right = sum(float(day.right[camera]) for day in week)
            true[camera] = right / sum(day.accepted for day in days)
            found[camera] = told.mean
            covered[camera] = told.low <= true[camera] <= told.high
    return found, true, covered


def _learn(world: World) -> Judge:
    days = [world.day(number) for number in range(LEARN_DAYS)]
    counts, layouts = (np.stack([getattr(d, n) for d in days]) for n in ("counts", "layouts"))
    return learned(counts, layouts)


def found(cameras: Cameras, cached: Cached, seed: int, fault: str) -> Found:
    """How long it takes until a fault is told; it begins at some hour of a day."""
    world = World(cameras, cached, seed)
    hour = int(np.random.default_rng(seed).integers(24))
    state = _learn(world)
    begins = LEARN_DAYS + QUIET_DAYS
    expected = FAMILIES.index(EXPECTED[fault])
    shape = (len(cameras.place), len(FAMILIES))
    after_days = np.full(shape, np.inf)
    for number in range(LEARN_DAYS, begins + FAULT_DAYS):
        past = number - begins
        name = fault if past >= 0 else "none"
        day = world.day(number, name, hour if past == 0 else 0)
        state, _ = judge(state, day.counts, day.layouts)
        if past < 0:
            # What stands before the fault is not due to it.
            state = replace(
                state, alarm=np.zeros_like(state.alarm), level=np.zeros_like(state.level)
            )
            continue
        took = past + 1 - hour / 24
        after_days = np.where(state.alarm & np.isinf(after_days), took, after_days)
    others = np.delete(after_days, expected, axis=1).min(axis=1)
    return Found(fault, after_days[:, expected], others)


def foreign(cameras: Cameras, cached: Cached, seed: int) -> Found:
    """How long it takes until a place is told at which all is strange from the first day."""
    world = World(cameras, cached, seed)
    places, after_days = [Place()] * len(cameras.place), np.full(len(cameras.place), np.inf)
    for number in range(FAULT_DAYS):
        places, began = _placed(places, world.day(number, FOREIGN))
        after_days = np.where(began & np.isinf(after_days), number + 1, after_days)
    return Found(FOREIGN, after_days, np.full_like(after_days, np.inf))
