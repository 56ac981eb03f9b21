"""What a probability is worth, and which are too low to believe."""

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
    choose_threshold,
    measure_threshold,
    separation,
    threshold_curve,
)
from convert.verify.evidence import DISAGREEMENTS_KEPT, disagreements
from device.workstation.weights import event_weights
from tests.support.single_photos import singles

SCORES = st.lists(st.integers(0, 255), min_size=1, max_size=300).map(lambda v: np.array(v) / 256)


def two_classes(scores: Any) -> npt.NDArray[np.float32]:
    """Probabilities whose highest are these scores, always of class 0."""
    high = np.asarray(scores, np.float32)
    return np.stack([high, np.minimum(1 - high, 0.9 * high)], axis=1)


# --- the threshold --------------------------------------------------------------------------------


@given(SCORES)
def test_the_threshold_turns_away_at_most_one_known_photo_in_twenty(scores: Any) -> None:
    threshold = choose_threshold(scores, singles(len(scores)))
    assert (scores < threshold).sum() <= REJECTED_SHARE * len(scores)
    assert threshold in (0, *scores)


def test_too_few_photos_choose_no_threshold_and_nineteen_the_lowest_score() -> None:
    scores = np.linspace(0.5, 0.99, MIN_EVENTS)
    assert choose_threshold(scores[1:], singles(MIN_EVENTS - 1)) == 0
    assert choose_threshold(scores, singles(len(scores))) == 0.5


def test_new_photos_like_the_known_are_turned_away_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = [
        (rng.beta(5, 1, 500) < choose_threshold(rng.beta(5, 1, 99), singles(99))).mean()
        for _ in range(400)
    ]
    assert np.mean(shares) == pytest.approx(REJECTED_SHARE, abs=0.005)


def scores_of_events(
    rng: np.random.Generator, count: int
) -> tuple[npt.NDArray[np.float64], list[int]]:
    """Scores of events of 1 to 30 photos, alike within an event; long ones score lower."""
    sizes = rng.integers(1, 31, count)
    middles = rng.beta(5, 1, count) * (1 - sizes / 100)
    events = np.repeat(np.arange(count), sizes)
    return middles[events] * rng.uniform(0.9, 1, len(events)), events.tolist()


def test_photos_of_new_events_are_turned_away_as_promised() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        threshold = choose_threshold(*_named(scores_of_events(rng, 39)))
        scores, events = scores_of_events(rng, 60)
        shares.append(np.average(scores < threshold, weights=event_weights(list(map(str, events)))))
    assert 0.02 <= np.mean(shares) <= REJECTED_SHARE + 0.005


def _named(scored: tuple[npt.NDArray[np.float64], list[int]]) -> tuple[Any, list[str]]:
    return scored[0], [str(event) for event in scored[1]]


def test_a_film_chooses_no_threshold_however_long_it_is() -> None:
    scores = np.linspace(0.2, 0.9, 500)
    assert choose_threshold(scores, ["film"] * 500) == 0
    eighteen = [f"film {number % 18}" for number in range(500)]
    assert choose_threshold(scores, eighteen) == 0


def test_a_film_of_low_scores_counts_once_for_the_threshold() -> None:
    scores = np.concatenate([np.full(400, 0.3), np.linspace(0.5, 0.9, 99)])
    assert choose_threshold(scores, singles(499)) == 0.3
    assert choose_threshold(scores, ("film",) * 400 + singles(99)) == pytest.approx(0.5, abs=0.02)


def test_coverage_and_precision_are_those_of_the_accepted() -> None:
    probabilities = two_classes([0.99, 0.9, 0.7, 0.6])
    found = measure_threshold(0.7, np.array([0, 1, 0, 1]), probabilities, singles(4))
    # float32 0.7 is less than 0.7: what counts is the comparison that the device makes.
    assert (found.coverage.count, found.coverage.n) == (2, 4)
    assert found.precision is not None
    assert (found.precision.count, found.precision.n) == (1, 2)


def test_a_threshold_that_nothing_reaches_has_no_precision() -> None:
    measured = measure_threshold(1.0, np.array([0]), two_classes([0.9]), singles(1))
    found = measured.threshold_figures()
    assert found.coverage == 0
    assert found.precision is None and found.precision_interval is None


def test_coverage_only_falls_along_the_curve() -> None:
    rng = np.random.default_rng(0)
    curve = threshold_curve(np.zeros(200, np.int64), two_classes(rng.uniform(0.5, 1, 200)))
    coverage = [row[1] for row in curve]
    assert coverage[0] == 1 and coverage == sorted(coverage, reverse=True)


@given(SCORES, SCORES)
def test_separation_is_the_area_under_the_roc(known: Any, unknown: Any) -> None:
    truth = np.repeat([1, 0], [len(known), len(unknown)])
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
