"""How far a day is from the reference: strangers show in the tail of distances, light by light."""

import numpy as np
import pytest

from device.drift.compare import UNKNOWN, Distances, distances
from device.drift.day import HOURS, Counts, Day, add, light_of
from device.drift.sample import (
    BINS,
    CELLS,
    NAMES,
    STATISTICS,
    AnswerFacts,
    Floats,
    PictureFacts,
    Sample,
)

DISTANCE = NAMES.index("distance")
USUAL = np.exp(-(np.linspace(-3, 3, BINS) ** 2) / 2).astype(np.float32)


def counts(distance: Floats) -> Counts:
    """Of a day on which all was seen in one light, with this histogram of distances."""
    found = np.zeros((HOURS, len(STATISTICS), BINS), np.float32)
    found[12, DISTANCE] = distance
    return found


def found(now: Floats, usual: Floats = USUAL) -> Distances:
    layouts = np.zeros((HOURS, CELLS), np.float32)
    return distances(counts(now), layouts, counts(7 * usual), layouts)


def with_strangers(share: float, answers: float) -> Floats:
    """A day on which so many lie where hardly any known photo does."""
    now = USUAL / USUAL.sum() * (1 - share)
    now[-1] += share
    found: Floats = (answers * now).astype(np.float32)
    return found


def far(now: Floats) -> float:
    return float(found(now).far[DISTANCE])


def test_a_day_like_the_reference_is_not_far() -> None:
    assert far(with_strangers(0.0, 100)) == pytest.approx(0, abs=1e-3)


def test_strangers_are_the_further_the_more_there_are() -> None:
    by_share = [far(with_strangers(share, 100)) for share in (0.0, 0.05, 0.1, 0.2)]
    assert by_share == sorted(by_share) and by_share[-1] > 5


def test_four_times_as_many_answers_tell_twice_as_much() -> None:
    assert far(with_strangers(0.1, 400)) == pytest.approx(
        2 * far(with_strangers(0.1, 100)), rel=1e-3
    )


def test_a_day_that_looks_more_like_the_training_photos_is_not_worse() -> None:
    shifted = np.roll(USUAL, -2) * 10
    assert far(shifted) < 0 and float(found(shifted).shift[DISTANCE]) < 0


def test_too_few_answers_say_nothing() -> None:
    assert np.isnan(far(with_strangers(0.2, 5)))


def test_a_reference_without_a_tail_is_no_division_by_zero() -> None:
    alone = np.zeros(BINS, np.float32)
    alone[3] = 100
    now = np.zeros(BINS, np.float32)
    now[-1] = 100
    assert np.isfinite(found(now, alone).far[DISTANCE]) and found(now, alone).far[DISTANCE] > 10
    assert found(alone, alone).far[DISTANCE] == pytest.approx(0, abs=1e-3)


# --- answers are counted by light -----------------------------------------------------------------

BRIGHT, DARK = 120.0, 20.0


def day(*parts: tuple[int, float, float]) -> Day:
    """A day of 100 answers at each of some hours, in some light, at some distance."""
    whole, chance = Day(), np.random.default_rng(len(parts))
    for hour, light, distance in parts:
        picture = PictureFacts(light, 40.0, 12.0, 0.0, np.zeros(CELLS, np.float32))
        for away in chance.normal(distance, 0.2, 100):
            seen = AnswerFacts(0, bool(away <= 1), 0.9, 2.0, 3.0, distance=float(away))
            whole = add(whole, hour, Sample(picture, seen), 1)
    return whole


def beyond(now: Day, usual: Day) -> Floats:
    """How far each statistic is."""
    return distances(now.counts, now.layouts, usual.counts, usual.layouts).far


def test_what_is_strange_in_the_dark_is_usual_there_at_any_hour() -> None:
    usual = day((12, BRIGHT, 0.0), (22, DARK, 1.3))
    dark, bright = (beyond(day((12, light, 1.3)), usual)[DISTANCE] for light in (DARK, BRIGHT))
    assert abs(float(dark)) < 2 and float(bright) > 20


def test_strangers_are_told_from_known_things_that_are_far_beyond_the_limit_in_the_dark() -> None:
    usual = day((22, DARK, 2.4))
    assert float(beyond(day((22, DARK, 3.1)), usual)[DISTANCE]) > 20


def test_light_that_the_reference_does_not_know_is_not_compared() -> None:
    assert np.isnan(beyond(day((12, DARK, 1.3)), day((12, BRIGHT, 0.0)))[DISTANCE])


def test_how_much_is_unknown_is_asked_only_without_distances() -> None:
    known = day((12, BRIGHT, 0.0))
    assert np.isnan(beyond(known, known)[UNKNOWN])
    known.counts[:, DISTANCE] = 0
    assert np.isfinite(beyond(known, known)[UNKNOWN])


@pytest.mark.parametrize(("brightness", "row"), [(-1, 0), (0, 0), (1, 1), (255, 15), (1e9, 15)])
def test_every_brightness_has_a_row(brightness: float, row: int) -> None:
    assert light_of(brightness) == row < HOURS
