"""What a probability is worth, and which are too low to believe."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from convert.verify.clutter import clutter
from convert.verify.comparison import Outputs
from convert.verify.confidence import (
    MIN_EVENTS,
    REJECTED_SHARE,
    area,
    choose_limit,
    distances,
    measure_threshold,
    scale,
    score_offset,
    separation,
    threshold_curve,
)
from convert.verify.evidence import DISAGREEMENTS_KEPT, disagreements
from convert.verify.statistics import Labels
from device.contract.statistics import LIMIT, FeatureStatistics
from device.workstation.weights import event_weights
from tests.support.single_photos import singles

STRANGE = st.lists(st.integers(0, 255), min_size=1, max_size=300).map(lambda v: np.array(v) / 256)


def two_classes(scores: Any) -> npt.NDArray[np.float32]:
    """Probabilities whose highest are these scores, always of class 0."""
    high = np.asarray(scores, np.float32)
    return np.stack([high, np.minimum(1 - high, 0.9 * high)], axis=1)


# --- the limits ----------------------------------------------------------------------------------


@given(STRANGE)
def test_the_limit_turns_away_at_most_one_known_photo_in_twenty(strange: Any) -> None:
    limit = choose_limit(strange, singles(len(strange)))
    assert (limit is None) == (len(strange) < MIN_EVENTS)
    if limit is not None:
        assert (strange > limit).sum() <= REJECTED_SHARE * len(strange) and limit in strange


def test_too_few_photos_choose_no_limit_and_nineteen_the_strangest() -> None:
    strange = np.linspace(0.1, 0.5, MIN_EVENTS)
    assert choose_limit(strange[1:], singles(MIN_EVENTS - 1)) is None
    assert choose_limit(strange, singles(len(strange))) == 0.5


def limit_of(strange: Any, events: Sequence[str]) -> float:
    limit = choose_limit(strange, events)
    assert limit is not None
    return limit


def test_new_photos_like_the_known_are_turned_away_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = [
        (rng.beta(1, 5, 500) > limit_of(rng.beta(1, 5, 99), singles(99))).mean() for _ in range(400)
    ]
    assert np.mean(shares) == pytest.approx(REJECTED_SHARE, abs=0.005)


def strange_events(
    rng: np.random.Generator, count: int
) -> tuple[npt.NDArray[np.float64], list[str]]:
    """Photos of events of 1 to 30 photos, alike within an event; long ones are stranger."""
    sizes = rng.integers(1, 31, count)
    middles = rng.beta(1, 5, count) + sizes / 100
    events = np.repeat(np.arange(count), sizes)
    return middles[events] * rng.uniform(0.9, 1, len(events)), [str(event) for event in events]


def test_photos_of_new_events_are_turned_away_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        limit = limit_of(*strange_events(rng, 39))
        strange, events = strange_events(rng, 60)
        shares.append(np.average(strange > limit, weights=event_weights(events)))
    assert 0.02 <= np.mean(shares) <= REJECTED_SHARE + 0.005


def test_a_film_chooses_no_limit_however_long_it_is() -> None:
    strange = np.linspace(0.2, 0.9, 500)
    assert choose_limit(strange, ["film"] * 500) is None
    assert choose_limit(strange, [f"film {number % 18}" for number in range(500)]) is None


def test_a_strange_film_counts_once_for_the_limit() -> None:
    strange = np.concatenate([np.full(400, 0.9), np.linspace(0.1, 0.5, 99)])
    assert choose_limit(strange, singles(499)) == 0.9
    assert choose_limit(strange, ("film",) * 400 + singles(99)) == pytest.approx(0.5, abs=0.02)


# --- what is usual -------------------------------------------------------------------------------

DIRECTIONS = FeatureStatistics.unscaled(np.eye(4, 2, dtype=np.float32), 3)


def known(count: int, seed: int = 0) -> tuple[Labels, npt.NDArray[np.float64]]:
    """Labels of 3 classes, and what was measured; photos that are called 2 are the strangest."""
    rng = np.random.default_rng(seed)
    named = np.arange(count) % 3
    doubt = rng.normal(-6, 1, count) + 2 * (named == 2)
    return named, np.stack([doubt, rng.beta(2, 20, count)], axis=1)


def test_each_label_loses_the_same_share_of_known_photos() -> None:
    scaled = scale(DIRECTIONS, *known(600), singles(600))
    assert scaled.limit == LIMIT
    named, measured = known(30_000, seed=1)
    away = distances(scaled.statistics, named, measured) > LIMIT
    shares = [away[named == label].mean() for label in range(3)]
    assert np.allclose(shares, REJECTED_SHARE, atol=0.025), shares


def test_the_middle_of_known_photos_has_distance_0() -> None:
    named, measured = known(600)
    found = distances(scale(DIRECTIONS, named, measured, singles(600)).statistics, named, measured)
    for label in range(3):
        assert np.median(found[named == label]) == pytest.approx(0, abs=0.02)


def test_two_spreads_of_what_lies_outside_count_as_much_as_five_of_the_logit() -> None:
    named, measured = known(600)
    statistics = scale(DIRECTIONS, named, measured, singles(600)).statistics
    low, middle, high = np.quantile(measured, (0.25, 0.5, 0.75), axis=0)
    doubtful, outside = middle + (high - low) * np.eye(2) * (5, 2)
    assert statistics.strangeness(doubtful) == pytest.approx(5, abs=0.1)
    assert statistics.strangeness(outside) == pytest.approx(5, abs=0.1)


def test_the_device_measures_the_same_distance() -> None:
    named, measured = known(600)
    statistics = scale(DIRECTIONS, named, measured, singles(600)).statistics
    found = distances(statistics, named, measured)
    one_by_one = [
        statistics.distance(int(n), m) for n, m in zip(named[:9], measured[:9], strict=True)
    ]
    assert found[:9] == pytest.approx(one_by_one)


def test_a_label_of_few_photos_has_the_limit_of_all_together() -> None:
    named, measured = known(600)
    rare = np.where((named == 1) & (np.arange(600) > 30), 0, named)
    scaled = scale(DIRECTIONS, rare, measured, singles(600))
    strange = scaled.statistics.strangeness(measured)
    assert scaled.statistics.classes[1, 1] == choose_limit(strange, singles(600))


def test_too_few_photos_give_distances_and_no_limit() -> None:
    named, measured = known(MIN_EVENTS - 1)
    scaled = scale(DIRECTIONS, named, measured, singles(MIN_EVENTS - 1))
    assert scaled.limit is None
    assert np.isfinite(distances(scaled.statistics, named, measured)).all()
    assert FeatureStatistics.read(scaled.statistics.content(), 3).classes.shape == (3, 2)


def test_photos_that_are_all_alike_do_not_make_the_smallest_difference_count() -> None:
    named, measured = np.zeros(60, np.int64), np.tile([-5.0, 0.01], (60, 1))
    statistics = scale(DIRECTIONS, named, measured, singles(60)).statistics
    assert 0 < statistics.distance(0, np.array([-4.999, 0.0101])) < LIMIT
    assert statistics.distance(0, np.array([-2.0, 0.2])) > LIMIT


# --- what they cost ------------------------------------------------------------------------------


def test_coverage_and_precision_are_those_of_the_accepted() -> None:
    probabilities, far = two_classes([0.99, 0.9, 0.7, 0.6]), np.array([0.1, 1.0, 1.1, 2.0])
    truth = np.array([0, 1, 0, 1])
    found = measure_threshold(LIMIT, truth, probabilities, far, singles(4))
    assert (found.coverage.count, found.coverage.n) == (2, 4)
    assert found.precision is not None
    assert (found.precision.count, found.precision.n) == (1, 2)
    assert measure_threshold(None, truth, probabilities, far, singles(4)).coverage.count == 4


def test_a_limit_that_nothing_keeps_has_no_precision() -> None:
    measured = measure_threshold(
        LIMIT, np.array([0]), two_classes([0.9]), np.array([2.0]), singles(1)
    )
    found = measured.threshold_figures()
    assert found.coverage == 0
    assert found.precision is None and found.precision_interval is None


def test_coverage_only_rises_along_the_curve() -> None:
    rng = np.random.default_rng(0)
    probabilities, far = two_classes(rng.uniform(0.5, 1, 200)), rng.uniform(-1, 2, 200)
    coverage = [row[1] for row in threshold_curve(np.zeros(200, np.int64), probabilities, far)]
    assert coverage[-1] == 1 and coverage == sorted(coverage)


@given(STRANGE, STRANGE)
def test_separation_is_the_area_under_the_roc(known: Any, unknown: Any) -> None:
    truth = np.repeat([0, 1], [len(known), len(unknown)])
    expected = roc_auc_score(truth, np.concatenate([known, unknown]))
    assert separation(known, unknown) == pytest.approx(expected)


# --- clutter and disagreements --------------------------------------------------------------------


def test_clutter_repeats_and_differs_from_number_to_number() -> None:
    pictures = [clutter(number, (48, 64)) for number in range(20)]
    assert all(p.shape == (48, 64, 3) and p.dtype == np.uint8 for p in pictures)
    assert len({p.tobytes() for p in pictures}) == 20
    assert all((clutter(n, (48, 64)) == p).all() for n, p in enumerate(pictures))
    assert min(p.std() for p in pictures) > 1, "none is a blank sheet"


def test_disagreements_are_listed_with_the_surest_of_float_first() -> None:
    float32 = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]], np.float32)
    int8 = np.array([[0.4, 0.6], [0.4, 0.5], [0.1, 0.9]], np.float32)
    found = disagreements(("a", "b"), ("x", "y", "z"), saying_two(float32, int8))
    assert [row.path for row in found] == ["y", "x"]
    first = found[0]
    assert (first.path, first.label, first.float, first.int8) == ("y", "b", "a", "b")


def test_disagreements_show_every_event_before_another_photo_of_one() -> None:
    float32 = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]], np.float32)
    outputs = saying_two(float32, float32[:, ::-1], ("film", "film", "single"))
    found = disagreements(("a", "b"), ("first", "second", "third"), outputs)
    assert [row.path for row in found] == ["first", "third", "second"]


def test_disagreements_are_not_too_many_for_a_page() -> None:
    float32 = np.tile(np.array([[0.6, 0.4]], np.float32), (100, 1))
    paths = [str(i) for i in range(100)]
    found = disagreements(("a", "b"), paths, saying_two(float32, float32[:, ::-1]))
    assert len(found) == DISAGREEMENTS_KEPT


def saying_two(float32: Any, int8: Any, events: tuple[str, ...] | None = None) -> Outputs:
    """What two models say about photos of which the first is of class 0 and the others of 1."""
    n = len(float32)
    truth = np.minimum(np.arange(n), 1)
    return Outputs(truth, float32, float32, int8, 0.0, events or singles(n))


# --- the area under the ROC -----------------------------------------------------------------------


def test_the_area_has_the_interval_of_bootstraps() -> None:
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(0, 1, 200), rng.normal(1.5, 1, 120)
    found = area(known, singles(200), unknown, singles(120))
    truth = [0] * 200 + [1] * 120
    assert found.value == pytest.approx(roc_auc_score(truth, [*known, *unknown]))
    drawn = [separation(rng.choice(known, 200), rng.choice(unknown, 120)) for _ in range(2000)]
    np.testing.assert_allclose(found.interval, np.quantile(drawn, [0.025, 0.975]), atol=0.01)


def test_photos_of_one_event_widen_the_interval_of_the_area() -> None:
    rng = np.random.default_rng(1)
    known, single = rng.normal(0, 1, 200), rng.normal(1.5, 1, 20)
    alone = area(known, singles(200), single, singles(20))
    events = np.repeat(np.arange(20), 5)
    together = area(known, singles(200), np.repeat(single, 5), [str(each) for each in events])
    assert together.value == pytest.approx(alone.value)
    np.testing.assert_allclose(together.interval, alone.interval, atol=1e-6)


@pytest.mark.parametrize("count", [1, 5, 50])
def test_few_pictures_prove_no_area_of_1(count: int) -> None:
    found = area(np.zeros(300), singles(300), np.ones(count), singles(count))
    assert found.value == found.high == 1 and found.low < 1 - 0.6 / (count + 1)


# --- what scores are worth -----------------------------------------------------------------------


def answered(count: int, score: float, accuracy: float) -> tuple[npt.NDArray[np.bool_], Any]:
    """Whether answers are right, and their scores."""
    return np.arange(count) < accuracy * count, np.full(count, score)


def test_scores_below_the_accuracy_of_what_is_accepted_have_an_offset_in_its_direction() -> None:
    below = score_offset(*answered(4000, 0.90, 0.95), singles(4000))
    above = score_offset(*answered(4000, 0.95, 0.90), singles(4000))
    assert below is not None and above is not None
    assert below.measured == pytest.approx(0.05) and above.measured == pytest.approx(-0.05)
    assert 0.049 < below.value < 0.05 and -0.05 < above.value < -0.049
    assert (below.n, below.events) == (4000, 4000)


def test_a_difference_that_chance_explains_is_no_offset() -> None:
    found = score_offset(*answered(100, 0.93, 0.94), singles(100))
    assert found is not None and found.value == 0 and found.error > 0.02
    exact = score_offset(*answered(100, 0.5, 0.5), singles(100))
    assert exact is not None and exact.value == exact.measured == 0


def test_few_right_answers_do_not_promise_that_all_are() -> None:
    found = score_offset(np.ones(20, np.bool_), np.full(20, 0.95), singles(20))
    assert found is not None and found.value < 0.1 * found.measured


def test_an_offset_of_few_events_counts_less_than_one_of_as_many_photos() -> None:
    right, scores = answered(400, 0.90, 0.95)
    single = score_offset(right, scores, singles(400))
    films = score_offset(right, scores, [str(number // 20) for number in range(400)])
    assert single is not None and films is not None and films.events == 20
    assert films.error > 2 * single.error and films.value < single.value
    assert score_offset(right, scores, ["one film"] * 400) is None


def test_an_offset_is_closer_to_the_truth_than_scores_are_on_average() -> None:
    chance, off, raw = np.random.default_rng(0), [], []
    for _ in range(300):
        truth = chance.normal(0.01, 0.01)
        scores = chance.uniform(0.88, 0.98, 400)
        right = chance.random(400) < scores + truth
        found = score_offset(right, scores, singles(400))
        assert found is not None
        off.append((found.value - truth) ** 2)
        raw.append(truth**2)
    assert np.mean(off) < 0.75 * np.mean(raw)
