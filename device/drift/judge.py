"""From days to alarms: what is usual between days, and sums of what is beyond (CUSUM, Page 1954).

All functions take any number of leading axes, so that a simulation runs a thousand cameras at once.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from device.drift.compare import Distances, distances, is_worse
from device.drift.day import Counts
from device.drift.sample import FAMILY_OF, NAMES, OF_PICTURE, Family, Floats

LEARN_DAYS = 7
"""Days of a camera's own that become its reference."""
USUAL_WEIGHT = 6
"""For how many days the spread that a statistic usually has (`USUAL_SPREADS`) counts, beside the
first days of a camera."""
USUAL_SPREADS = {
    "brightness": 0.07,
    "contrast": 0.3,
    "colour cast": 0.2,
    "distance": 1.0,
    "unknown": 1.0,
}
"""Standard deviation of a statistic's distance between quiet days; a week without fog is no reason
to take the first fog for a fault. The last two are 1 if moments are independent."""
OTHER_SPREAD = 0.12
FOLLOW_DAYS, ANSWERS_FOLLOW_DAYS = 21.0, 42.0
"""The reference follows the season: after this many days a new day has 63% of the weight. Answers
in the same light change less with the season than pictures do."""
CLIP = 3.0
"""A day teaches what is usual at most as if it were this many standard deviations away."""


@dataclass(frozen=True)
class Rule:
    """When a family's days add up to an alarm; set by simulation (`tests.bench.drift`)."""

    allowance: float
    """What a day may be beyond the usual, in standard deviations, without adding to the sum."""
    most_a_day: float
    """The most that one day adds: less than the limit, so that one odd day is no alarm."""
    limit: float
    """An alarm is raised where the sum exceeds this."""


RULES = {
    Family.CAMERA: Rule(3.0, 3.0, 4.5),
    Family.WORLD: Rule(1.5, 3.5, 3.6),
    Family.CONFIDENCE: Rule(2.0, 2.5, 4.0),
}
EXPLAINS = 0.5
"""With this share of its limit a family explains those behind it: one odd day does not."""
QUIET_DAYS = 3
"""An alarm ends after this many days in a row that add nothing."""

FAMILIES = tuple(RULES)
"""Those that are compared with usual days."""
OF_FAMILY = np.array([[each is family for each in FAMILY_OF] for family in FAMILIES])
ALLOWANCE = np.array([RULES[family].allowance for family in FAMILIES], np.float32)
MOST_A_DAY = np.array([RULES[family].most_a_day for family in FAMILIES], np.float32)
LIMIT = np.array([RULES[family].limit for family in FAMILIES], np.float32)
FOLLOWED = 1 / np.array(
    [FOLLOW_DAYS if own else ANSWERS_FOLLOW_DAYS for own in (*OF_PICTURE, True)]
)
"""What part of the reference a new day becomes, by name."""
PRIOR = np.array([USUAL_SPREADS.get(name, OTHER_SPREAD) for name in NAMES], np.float32)
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judge:
    """What is known of a camera's usual days; arrays may have leading axes."""

    counts: Counts
    """float32 (..., hours, statistics, bins): of the reference."""
    layouts: Floats
    """float32 (..., hours, cells): of the reference."""
    usual: Floats
    """float32 (..., names): mean distance of a quiet day."""
    spread: Floats
    """float32 (..., names): its standard deviation."""
    level: Floats
    """float32 (..., families): the sums."""
    alarm: Flags
    """bool (..., families)."""
    quiet: npt.NDArray[np.int32]
    """int32 (..., families): days in a row that added nothing."""


@dataclass(frozen=True)
class Verdict:
    """What a day has shown."""

    beyond: Floats
    """float32 (..., names): standard deviations beyond the usual; 0 where there is too little."""
    shift: Floats
    """float32 (..., names): by how many bins the mean has moved."""
    worst: Floats
    """float32 (..., families): the largest of `beyond`."""


def learned(days: Counts, layouts: Floats) -> Judge:
    """The reference of the first days, and how far each of them is from the others.

    Args:
        days: float32 (days, ..., hours, statistics, bins), at least two.
        layouts: float32 (days, ..., hours, cells).
    """
    counts, views = days.sum(axis=0), layouts.sum(axis=0)
    pairs = zip(days, layouts, strict=True)
    far = np.stack([distances(day, view, counts - day, views - view).far for day, view in pairs])
    known = np.isfinite(far)
    number = known.sum(axis=0)
    usual = np.where(known, far, 0).sum(axis=0) / np.maximum(number, 1)
    squares = np.where(known, (far - usual) ** 2, 0).sum(axis=0)
    prior = USUAL_WEIGHT * PRIOR**2
    spread = np.sqrt((prior + squares) / (USUAL_WEIGHT + np.maximum(number - 1, 0)))
    families = (*usual.shape[:-1], len(FAMILIES))
    return Judge(
        counts,
        views,
        np.where(number > 1, usual, np.nan).astype(np.float32),
        spread.astype(np.float32),
        np.zeros(families, np.float32),
        np.zeros(families, bool),
        np.zeros(families, np.int32),
    )


def judge(state: Judge, counts: Counts, layouts: Floats) -> tuple[Judge, Verdict]:
    """Judge one more day.

    Args:
        state: before it.
        counts: of the day, float32 (..., hours, statistics, bins).
        layouts: of the day, float32 (..., hours, cells).
    """
    found = distances(counts, layouts, state.counts, state.layouts)
    verdict = _verdict(state, found)
    after = _summed(state, verdict.worst)
    return _followed(after, found, counts, layouts), verdict


def _verdict(state: Judge, found: Distances) -> Verdict:
    beyond = np.nan_to_num((found.far - state.usual) / state.spread)
    beyond = np.where(is_worse(found), beyond, 0)
    worst = np.where(OF_FAMILY, beyond[..., None, :], -np.inf).max(axis=-1)
    return Verdict(
        beyond.astype(np.float32), found.shift.astype(np.float32), worst.astype(np.float32)
    )


def _summed(state: Judge, worst: Floats) -> Judge:
    added = np.minimum(worst - ALLOWANCE, MOST_A_DAY)
    loud = added > 0
    # A blurred picture is strange, too: the family before explains it, if it is far on its way.
    high = loud & (state.level + added > EXPLAINS * LIMIT)
    explained = np.logical_or.accumulate(high | state.alarm, axis=-1)
    explained = np.concatenate([np.zeros_like(loud[..., :1]), explained[..., :-1]], axis=-1)
    added = np.where(explained, np.minimum(added, 0), added)
    level = np.clip(state.level + added, 0, LIMIT + MOST_A_DAY)
    quiet = np.where(loud, 0, state.quiet + 1)
    alarm = (state.alarm & (quiet < QUIET_DAYS)) | (loud & (level > LIMIT))
    over = state.alarm & ~alarm
    return replace(
        state,
        level=np.where(over, 0, level).astype(np.float32),
        alarm=alarm,
        quiet=quiet.astype(np.int32),
    )


def _followed(state: Judge, found: Distances, counts: Counts, layouts: Floats) -> Judge:
    """The state after its reference has followed a day.

    What is wrong must not become usual: while there is an alarm nothing is followed.
    """
    far = np.where(np.isfinite(found.far), found.far, state.usual)
    off = np.clip(far - state.usual, -CLIP * state.spread, CLIP * state.spread)
    spread = np.sqrt(state.spread**2 + FOLLOWED * (off**2 - state.spread**2))
    # A statistic of which there was too little until now begins here.
    usual = np.where(np.isnan(state.usual), found.far, state.usual + FOLLOWED * off)
    calm = state.alarm.max(axis=-1, keepdims=True) == 0
    followed = calm[..., np.newaxis]
    return replace(
        state,
        usual=np.where(calm, usual, state.usual).astype(np.float32),
        spread=np.where(calm & np.isfinite(spread), spread, state.spread).astype(np.float32),
        counts=np.where(
            followed[..., None],
            _mixed(state.counts, counts, FOLLOWED[: len(OF_PICTURE), np.newaxis]),
            state.counts,
        ),
        layouts=np.where(followed, _mixed(state.layouts, layouts, FOLLOWED[-1]), state.layouts),
    )


def _mixed(reference: Floats, day: Floats, part: npt.NDArray[np.float64]) -> Floats:
    """The reference holds `LEARN_DAYS` days in all, of which the new one becomes a small part."""
    mixed: Floats = (reference * (1 - part) + day * (part * LEARN_DAYS)).astype(np.float32)
    return mixed
