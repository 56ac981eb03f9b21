"""Takes moments, closes days, and knows what stands: the state machine of one camera.

A day ends when the date changes. Where the clock is not set there are no dates: then it ends after
as many moments as a whole day has. A clock that jumps therefore only makes days short, and a day
that is too short is not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from device.contract.accuracy import TAKEN_AT_THEIR_WORD, ScoreOffset
from device.drift import place
from device.drift.day import NO_HOUR, Day, add
from device.drift.judge import (
    FAMILIES,
    LEARN_DAYS,
    LIMIT,
    Judge,
    Verdict,
    judge,
    learned,
)
from device.drift.place import Place
from device.drift.sample import FAMILY_OF, NAMES, Family, Floats, Sample
from device.drift.status import CURES, DayStatus, DriftStatus, FamilyStatus, estimate

SAMPLE_S = 10.0
"""Moments are at least this far apart."""
FEWEST_MOMENTS = 300
"""A day with fewer moments, less than an hour, is no day."""
LEAST_PART = 0.5
"""Nor is one with less than this share of a day of the reference."""
WHOLE_DAY = round(86400 / SAMPLE_S)
KEPT_DAYS = 35
"""Days of which a line is kept."""
MIX_SHARE = 0.15
"""A class that has this much more or less of the answers than in the reference is named."""
MOST_NAMED = 3
WORDS = {
    "brightness": ("darker", "brighter"),
    "contrast": ("flatter", "more contrast"),
    "sharpness": ("blurred", "sharper"),
    "colour cast": ("bluer", "redder"),
    "view": ("another view", "another view"),
    "distance": ("", "unlike what it learned from"),
    "unknown": ("", "more is unknown"),
    "score": ("less sure", ""),
    "margin": ("classes less clearly apart", ""),
}
"""What it means that there is less or more of a statistic."""


@dataclass(frozen=True)
class Memory:
    """All that a camera's monitor knows; it is what is kept (`device.drift.kept`)."""

    today: Day = field(default_factory=Day)
    learning: tuple[Day, ...] = ()
    """Days of the reference while it is not complete."""
    judge: Judge | None = None
    labels: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """float32 (classes,): accepted answers in the days of the reference."""
    days: tuple[DayStatus, ...] = ()
    since: tuple[str, ...] = ("",) * len(FAMILIES)
    why: tuple[str, ...] = ("",) * len(FAMILIES)
    place: Place = field(default_factory=Place)


class Monitor:
    """Follows one camera; for one thread."""

    def __init__(self, classes: Sequence[str], memory: Memory | None = None) -> None:
        """Begin, or go on.

        Args:
            classes: of the model.
            memory: of before.
        """
        self._classes = tuple(classes)
        self.memory = memory or Memory()

    def add(self, sample: Sample, unix_s: float | None) -> bool:
        """Take a moment; true if it closed a day.

        Args:
            sample: of the moment.
            unix_s: the wall clock; None while it is not set.
        """
        hour, date = _when(unix_s)
        today = self.memory.today
        closed = today.moments >= WHOLE_DAY if not (date and today.date) else date != today.date
        if closed:
            self._close()
            today = self.memory.today
        dated = replace(today, date=today.date or date)
        self.memory = replace(
            self.memory,
            today=add(dated, hour, sample, len(self._classes)),
            place=place.noted(self.memory.place, sample, dated.date),
        )
        return closed

    def acknowledge(self) -> None:
        """Take what is seen now as usual: the reference is learned from the beginning."""
        now = self.memory
        settled = place.accepted(now.place)
        self.memory = replace(Memory(), today=now.today, days=now.days, place=settled)

    def status(self, offset: ScoreOffset = TAKEN_AT_THEIR_WORD) -> DriftStatus:
        """What is known now.

        Args:
            offset: of the bundle's scores.
        """
        memory = self.memory
        now = memory.judge
        families = {
            family: self._family(index, family) if now is not None else FamilyStatus()
            for index, family in enumerate(FAMILIES)
        }
        families[Family.PLACE] = _of_place(memory.place)
        return DriftStatus(
            learned_days=LEARN_DAYS if now is not None else len(memory.learning),
            wanted_days=LEARN_DAYS,
            families=families,
            accuracy=estimate(memory.days, offset),
            days=memory.days,
            mix=self._mix(),
        )

    def _family(self, index: int, family: Family) -> FamilyStatus:
        memory = self.memory
        assert memory.judge is not None
        level = float(memory.judge.level[index] / LIMIT[index])
        if not memory.judge.alarm[index]:
            return FamilyStatus(min(level, 1.0))
        return FamilyStatus(level, True, memory.since[index], memory.why[index], CURES[family])

    def _close(self) -> None:
        """Judge the day that has ended, or learn from it; begin another."""
        memory, day = self.memory, self.memory.today
        self.memory = replace(memory, today=Day())
        if day.moments < self._fewest():
            return
        self.memory = replace(self.memory, place=place.after_day(memory.place))
        if memory.judge is not None:
            self._judge(memory.judge, day)
            return
        learning = (*memory.learning, day)
        self.memory = replace(self.memory, learning=learning)
        self._list(day, (0.0,) * len(FAMILIES))
        if len(learning) >= LEARN_DAYS:
            self._learned(learning)

    def _fewest(self) -> float:
        now = self.memory.judge
        usual = 0.0 if now is None else float(now.counts[:, 0].sum()) / LEARN_DAYS
        return max(FEWEST_MOMENTS, LEAST_PART * usual)

    def _learned(self, days: Sequence[Day]) -> None:
        counts = np.stack([day.counts for day in days])
        layouts = np.stack([day.layouts for day in days])
        labels = sum(_of_classes(day, len(self._classes)) for day in days)
        self.memory = replace(
            self.memory, learning=(), judge=learned(counts, layouts), labels=np.asarray(labels)
        )

    def _judge(self, before: Judge, day: Day) -> None:
        after, verdict = judge(before, day.counts, day.layouts)
        since, why = list(self.memory.since), list(self.memory.why)
        for index in range(len(FAMILIES)):
            if after.alarm[index] and (not before.alarm[index] or verdict.worst[index] > 0):
                since[index] = since[index] if before.alarm[index] else day.date
                why[index] = why_in_words(verdict, index) or why[index]
            elif not after.alarm[index]:
                since[index] = why[index] = ""
        self.memory = replace(self.memory, judge=after, since=tuple(since), why=tuple(why))
        self._list(day, tuple(float(level) for level in after.level / LIMIT))

    def _list(self, day: Day, levels: tuple[float, ...]) -> None:
        line = DayStatus(
            day.date, levels, day.moments, day.answers, day.accepted, round(day.score_sum, 4)
        )
        self.memory = replace(self.memory, days=(*self.memory.days, line)[-KEPT_DAYS:])

    def _mix(self) -> str:
        """Classes whose share of today's accepted answers is another than in the reference."""
        usual, now = self.memory.labels, _of_classes(self.memory.today, len(self._classes))
        if usual.sum() < FEWEST_MOMENTS or now.sum() < FEWEST_MOMENTS:
            return ""
        before, after = usual / usual.sum(), now / now.sum()
        order = np.argsort(-np.abs(after - before), kind="stable")[:MOST_NAMED]
        return ", ".join(
            f"{self._classes[i]} {after[i]:.0%} (was {before[i]:.0%})"
            for i in order
            if abs(after[i] - before[i]) >= MIX_SHARE
        )


def is_blank(day: Day) -> bool:
    """Whether all pictures of most of a day were dark or of one colour."""
    return day.moments >= LEAST_PART * WHOLE_DAY and not day.counts[:, _SHARPNESS].any()


_SHARPNESS = NAMES.index("sharpness")


def why_in_words(verdict: Verdict, family: int) -> str:
    """What a day has shown of a family, the strongest first; empty if it is as usual."""
    found = [
        (float(verdict.beyond[number]), WORDS[name][int(verdict.shift[number] >= 0)])
        for number, name in enumerate(NAMES)
        if FAMILY_OF[number] is FAMILIES[family] and verdict.beyond[number] > 1
    ]
    return ", ".join(words for _, words in sorted(found, reverse=True) if words)


def _of_place(found: Place) -> FamilyStatus:
    if not found.alarm:
        return FamilyStatus(min(found.level, 1.0))
    return FamilyStatus(found.level, True, found.since, found.why, CURES[Family.PLACE])


def _of_classes(day: Day, classes: int) -> Floats:
    return day.labels if len(day.labels) == classes else np.zeros(classes, np.float32)


def hour_of(unix_s: float | None) -> int:
    """The hour of the day in UTC, 0 to 23; `NO_HOUR` while the clock is not set."""
    return _when(unix_s)[0]


def _when(unix_s: float | None) -> tuple[int, str]:
    """Hour of the day and date, both in UTC; no hour and an empty date without a clock."""
    if unix_s is None:
        return NO_HOUR, ""
    try:
        moment = datetime.fromtimestamp(unix_s, UTC)
    except (OverflowError, ValueError, OSError):
        return NO_HOUR, ""
    return moment.hour, moment.date().isoformat()
