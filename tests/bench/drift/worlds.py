"""Simulated cameras: seasons, day and night, weather, visitors; many cameras at once.

What a moment shows is not drawn from a formula: it is the facts and answers of real photos in
the light, weather and fault of that moment (`tests.bench.drift.cached`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from device.contract.statistics import LIMIT
from device.drift.day import HOURS, LIGHTS, Counts
from device.drift.place import is_clear
from device.drift.sample import BINS, CELLS, LEAST, LEAST_CONTRAST, LEAST_LIGHT, STATISTICS
from tests.bench.drift.cached import Cached
from tests.bench.drift.conditions import HALF, LEVELS, Condition

STEPS = 6
"""States of light an hour."""
MOMENTS = 60
"""Moments of the service in one such state."""
MOST_EVENTS = 240
ANSWERS = 3
"""Most moments with an answer in one event."""
INDIVIDUALS = 12
"""Visitors that come again and again on one day."""
YEAR_DAYS = 365
NEW_SHARE = 0.2
NEW_CLASS, FOREIGN = "new class", "strangers alone"
FAULTS = ("none", "blur", "dimmed by half", "moved", NEW_CLASS, FOREIGN)
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Cameras:
    """What stays the same of each camera; arrays of (cameras,)."""

    place: Array
    phase: Array
    """Day of the year on which it begins."""
    latitude: Array
    """How far day length swings around 12 hours, h."""
    is_infrared: Array
    offset: Array
    """Of exposure, in steps of brightness."""
    wet: Array
    """How long bad weather stays: the chance that tomorrow's is today's."""
    events: Array
    """Mean number a day."""
    mix: Array
    """(cameras, classes): shares of classes."""
    shadows: Array
    """(cameras, `HOURS`, cells): of sunny hours."""

    @classmethod
    def drawn(cls, number: int, cached: Cached, chance: np.random.Generator) -> "Cameras":
        """Draw so many cameras."""
        smooth = chance.normal(0, 1, (number, HOURS, 4, 4)).astype(np.float32)
        return cls(
            place=chance.integers(cached.place_facts.shape[1], size=number),
            phase=chance.integers(YEAR_DAYS, size=number),
            latitude=chance.uniform(0, 4.5, number).astype(np.float32),
            is_infrared=chance.random(number) < 0.5,
            offset=chance.uniform(-0.5, 1.5, number).astype(np.float32),
            wet=chance.uniform(0.3, 0.8, number).astype(np.float32),
            events=np.exp(chance.normal(np.log(80), 0.5, number)).astype(np.float32),
            mix=chance.dirichlet(np.full(len(cached.labels), 2.0), number).astype(np.float32),
            shadows=np.kron(smooth, np.ones((2, 2), np.float32)).reshape(number, HOURS, CELLS),
        )


@dataclass(frozen=True)
class Days:
    """One day of each camera."""

    counts: Counts
    layouts: Array
    accepted: Array
    """(cameras,): accepted answers ..."""
    right: Array
    """... that were right ..."""
    score_sum: Array
    """... and the sum of their scores."""
    clear: Array
    """(cameras,): answers in good light ..."""
    beyond: Array
    """... and how many of them were beyond the bundle's limit on distances."""


class World:
    """Makes the days of some cameras, one after the other."""

    def __init__(self, cameras: Cameras, cached: Cached, seed: int) -> None:
        """Begin; the same seed gives the same days."""
        self._cameras, self._cached = cameras, cached
        self._chance = np.random.default_rng(seed)
        self._number = len(cameras.place)
        self._bad = self._chance.random(self._number).astype(np.float32)
        self._of_class = [np.flatnonzero(cached.truth == i) for i in range(len(cached.labels))]
        self._strangers = np.flatnonzero(cached.truth < 0)

    def day(self, number: int, fault: str = "none", from_hour: int = 0) -> Days:
        """The next day.

        Args:
            number: of the day since the cameras began.
            fault: one of `FAULTS`.
            from_hour: at which the fault begins.
        """
        season = 2 * np.pi * (self._cameras.phase + number) / YEAR_DAYS
        self._change_weather()
        level, dark = self._light(season)
        faulty = np.arange(HOURS - 1).repeat(STEPS) >= from_hour
        condition = self._condition(level, dark, fault, faulty)
        counts = np.zeros((self._number, HOURS, len(STATISTICS), BINS), np.float32)
        moved = (fault == "moved") & faulty
        self._count_places(counts, condition, moved.astype(int), season)
        layouts = self._layouts(condition, moved.astype(int), dark)
        told = self._count_answers(counts, condition, season, fault, from_hour)
        return Days(counts, layouts, *told)

    # --- light and weather --------------------------------------------------------------------

    def _change_weather(self) -> None:
        """0 is a clear day, 1 a dark one."""
        fresh = self._chance.beta(0.7, 0.9, self._number)
        stays = self._chance.random(self._number) < self._cameras.wet
        self._bad = np.where(stays, 0.8 * self._bad + 0.2 * fresh, fresh).astype(np.float32)

    def _light(self, season: Array) -> tuple[Array, Array]:
        """Level of brightness (cameras, states of a day), and whether it is night."""
        cameras, shape = self._cameras, (self._number, (HOURS - 1) * STEPS)
        hour = np.arange(shape[1]) / STEPS
        length_h = 12 + cameras.latitude * np.sin(season)
        height = np.cos((hour - 12)[None] / length_h[:, None] * np.pi)
        # Exposure of a camera evens out most of what the sun does.
        sun = 2.0 - 0.35 * np.sin(season)[:, None] * cameras.latitude[:, None] / 4.5
        level = sun - 1.4 * np.clip(height, -1, 1) + 1.0 * self._bad[:, None]
        passing = self._chance.normal(0, 1, (self._number, HOURS - 1)).repeat(STEPS, axis=1)
        level = level + cameras.offset[:, None] + 0.35 * passing
        level += self._chance.normal(0, 0.25, shape)
        return level.astype(np.float32), height < 0

    def _condition(self, level: Array, dark: Array, fault: str, faulty: Array) -> Array:
        """Number of the condition, (cameras, states)."""
        dimmed = HALF * ((fault == "dimmed by half") & faulty)
        blurred = (fault == "blur") & faulty
        by_day = np.clip(np.rint(level + dimmed), 0, LEVELS - 1).astype(int)
        by_day = np.where(dark, LEVELS - 1, by_day)
        showers = self._chance.random((self._number, HOURS - 1)).repeat(STEPS, axis=1) < 0.4
        veiled = (self._bad[:, None] > 0.6) & showers & ~dark
        found = _DAY[by_day, veiled.astype(int), blurred.astype(int)[None]]
        night = _NIGHT[(dimmed > 0).astype(int), blurred.astype(int)][None]
        chosen: Array = np.where(dark & self._cameras.is_infrared[:, None], night, found)
        return chosen

    # --- the place ----------------------------------------------------------------------------

    def _count_places(self, counts: Counts, condition: Array, moved: Array, season: Array) -> None:
        cameras, cached = self._cameras, self._cached
        facts = cached.place_facts[moved[None], cameras.place[:, None], condition]
        facts = facts * np.exp(self._chance.normal(0, 0.05, facts.shape)).astype(np.float32)
        # Leaves come and go: contrast, sharpness and colour change with the season.
        leaves = np.sin(season)[:, None].astype(np.float32)
        facts[..., 1:3] *= 1 + 0.1 * leaves[..., None]
        facts[..., 3] += 0.02 * leaves + self._chance.normal(0, 0.01, facts.shape[:2])
        light, contrast, sharpness, cast = np.moveaxis(facts, -1, 0)
        is_light = light >= LEAST_LIGHT
        is_clear = is_light & (contrast >= LEAST_CONTRAST)
        self._add(counts, 0, light, np.ones_like(is_light))
        self._add(counts, 1, contrast / np.maximum(light, 1), is_light)
        edges = np.log(np.maximum(sharpness, LEAST) / np.maximum(contrast, 1))
        self._add(counts, 2, edges, is_clear)
        self._add(counts, 3, cast, is_light)

    def _add(self, counts: Counts, number: int, values: Array, is_there: Array) -> None:
        hours = np.arange(HOURS - 1).repeat(STEPS)
        self._count(counts, number, hours, values, MOMENTS * is_there)

    def _count(
        self, counts: Counts, number: int, rows: Array, values: Array, weight: Array
    ) -> None:
        lower, share = STATISTICS[number].places(values)
        index = (np.arange(self._number)[:, None] * HOURS + rows) * BINS + lower
        for shift, part in ((0, 1 - share), (1, share)):
            total = (weight * part).ravel()
            found = np.bincount((index + shift).ravel(), total, self._number * HOURS * BINS)
            counts[:, :, number] += found.reshape(self._number, HOURS, BINS)

    def _layouts(self, condition: Array, moved: Array, dark: Array) -> Array:
        cameras = self._cameras
        views = self._cached.place_layouts[moved[None], cameras.place[:, None], condition]
        by_hour = views.reshape(self._number, HOURS - 1, STEPS, CELLS).sum(axis=2)
        sunny = np.where(dark[:, ::STEPS], 0, (1 - self._bad)[:, None])[..., None]
        shade = 0.4 * STEPS * sunny * cameras.shadows[:, : HOURS - 1]
        layouts = np.zeros((self._number, HOURS, CELLS), np.float32)
        layouts[:, : HOURS - 1] = MOMENTS * (by_hour + shade)
        return layouts

    # --- visitors -----------------------------------------------------------------------------

    def _count_answers(
        self, counts: Counts, condition: Array, season: Array, fault: str, from_hour: int
    ) -> tuple[Array, ...]:
        """Count the answers of a day; returns the last fields of `Days`."""
        chance, cached = self._chance, self._cached
        shape = (self._number, MOST_EVENTS)
        busy = np.exp(chance.normal(0, 0.25, self._number)) * (1 + 0.3 * np.sin(season))
        many = np.minimum(chance.poisson(self._cameras.events * busy), MOST_EVENTS)
        drawn = np.clip(chance.normal(12, 3.5, shape) * STEPS, 0, (HOURS - 1) * STEPS - 1)
        state: Array = drawn.astype(int)
        hours = state // STEPS
        photo = self._visitors(season, shape)
        share = {NEW_CLASS: NEW_SHARE, FOREIGN: 1.0}.get(fault, 0.0)
        new = (hours >= from_hour) & (chance.random(shape) < share)
        photo = np.where(new, chance.choice(self._strangers, shape), photo)
        there = np.arange(MOST_EVENTS) < many[:, None]
        lasts = there * chance.integers(1, ANSWERS + 1, shape)
        seen = np.take_along_axis(condition, state, axis=1)
        scores = np.sort(cached.scores[photo, seen], axis=-1)
        top, second = scores[..., -1], scores[..., -2]
        is_known = cached.accepted[photo, seen]
        accepted = is_known * lasts
        right = (cached.scores[photo, seen].argmax(axis=-1) == cached.truth[photo]) * accepted
        odds = np.log(np.maximum(top, LEAST) / np.maximum(1 - top, LEAST))
        lead = np.log(np.maximum(top, LEAST) / np.maximum(second, LEAST))
        away = cached.distance[photo, seen]
        values = [away, ~is_known, odds, lead]
        facts = cached.place_facts[0, self._cameras.place[:, None], seen]
        lights = np.minimum(np.sqrt(facts[..., 0]), LIGHTS - 1).astype(int)
        for number, value in enumerate(values, start=4):
            self._add_answers(counts, lights, number, value.astype(np.float32), lasts)
        clear = lasts * is_clear(facts[..., 0], facts[..., 3])
        counted = (accepted, right, top * accepted, clear, clear * (away > LIMIT))
        return tuple(each.sum(axis=1) for each in counted)

    def _visitors(self, season: Array, shape: tuple[int, int]) -> Array:
        """Photos of a day's visitors: half of them are the same few individuals."""
        chance = self._chance
        swing = np.sin(season[:, None] + np.arange(len(self._of_class)))
        shares = self._cameras.mix * (1 + 0.5 * swing)
        shares = (shares / shares.sum(axis=1, keepdims=True)).cumsum(axis=1)
        kind = (chance.random(shape)[..., None] > shares[:, None]).sum(axis=-1)
        kind = np.minimum(kind, len(self._of_class) - 1)
        photo = np.zeros(shape, np.intp)
        for index, photos in enumerate(self._of_class):
            photo = np.where(kind == index, chance.choice(photos, shape), photo)
        again = photo[:, :INDIVIDUALS][
            np.arange(shape[0])[:, None], chance.integers(INDIVIDUALS, size=shape)
        ]
        return np.where(chance.random(shape) < 0.5, again, photo)

    def _add_answers(
        self, counts: Counts, lights: Array, number: int, values: Array, lasts: Array
    ) -> None:
        if not np.isnan(values).all():
            self._count(counts, number, lights, values, lasts)


_DAY = np.array(
    [
        [
            [Condition(level, veiled, False, blurred).number for blurred in (False, True)]
            for veiled in (False, True)
        ]
        for level in range(LEVELS)
    ]
)
_NIGHT = np.array(
    [
        [Condition(level, False, True, blurred).number for blurred in (False, True)]
        for level in (0, HALF)
    ]
)
