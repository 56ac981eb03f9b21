"""The calibration error: its definition, its estimate and the interval that holds the truth."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.verify import reliability
from convert.verify.reliability import (
    BINS,
    Reliability,
    equal_mass_bins,
    expected_error,
    measure_reliability,
    without_temperature,
)
from tests.support.single_photos import singles

SCORES = st.lists(st.integers(0, 255), min_size=1, max_size=300).map(lambda v: np.array(v) / 256)


def two_classes(scores: Any) -> npt.NDArray[np.float32]:
    """Probabilities whose highest are these scores, always of class 0."""
    high = np.asarray(scores, np.float32)
    return np.stack([high, np.minimum(1 - high, 0.9 * high)], axis=1)


def test_the_calibration_error_of_a_hand_made_case_is_its_definition() -> None:
    scores = np.array([0.6] * 10 + [0.9] * 30)
    right = np.array([True] * 5 + [False] * 5 + [True] * 30)
    bins = equal_mass_bins(scores, right)
    found = [(b.n, round(b.score, 9), b.accuracy) for b in bins]
    assert found == [(10, 0.6, 0.5), (30, 0.9, 1.0)]
    assert expected_error(bins) == pytest.approx((10 * 0.1 + 30 * 0.1) / 40)


@given(SCORES, st.integers(0, 2**32 - 1))
def test_bins_hold_every_photo_once_and_part_no_equal_scores(scores: Any, seed: int) -> None:
    right = np.random.default_rng(seed).random(len(scores)) < 0.7
    bins = equal_mass_bins(scores, right)
    order = np.random.default_rng(seed).permutation(len(scores))
    again = equal_mass_bins(scores[order], right[order])
    assert 1 <= len(bins) <= BINS and sum(b.n for b in bins) == len(scores)
    assert sum(b.n * b.accuracy for b in bins) == pytest.approx(right.sum())
    assert [b.score for b in bins] == sorted({b.score for b in bins})
    assert expected_error(again) == pytest.approx(expected_error(bins)), "the order is no matter"
    assert 0 <= expected_error(bins) <= 1


def test_different_scores_fill_bins_evenly() -> None:
    bins = equal_mass_bins(np.linspace(0.2, 1, 400), np.ones(400, bool))
    assert [b.n for b in bins] == [40] * BINS


def test_honest_scores_have_a_small_error_and_boastful_ones_a_large_one() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.5, 1, 3000)
    truth = (rng.random(3000) > scores).astype(np.int64)
    honest = Reliability.of(truth, two_classes(scores), singles(3000))
    boastful = Reliability.of(truth, two_classes(np.sqrt(scores)), singles(3000))
    assert honest.expected_error < 0.03 < boastful.interval[0]
    assert honest.interval[0] == 0, "nothing speaks against scores that are right"
    assert boastful.interval[0] <= boastful.expected_error <= boastful.interval[1]


# --- the estimate and its interval --------------------------------------------------------------


def like_a_models(n: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Scores as an int8 model gives them: most near 1, in steps of 1/256."""
    quantiles = [0.3, 0.62, 0.8, 0.9, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 1.0]
    drawn = np.interp(rng.random(n), np.linspace(0, 1, len(quantiles)), quantiles)
    return np.asarray(np.round(drawn * 256) / 256)


SCORE_SETS = {
    n: [like_a_models(n, np.random.default_rng([n, k])) for k in range(12)] for n in (30, 150, 488)
}
"""Of each number of photos, what models may say; the answers are drawn for each of them."""


SIMULATE = reliability._simulate


@cache
def simulated(scores: bytes) -> Any:
    """What would be measured of these scores; it follows from them alone, and takes the time."""
    return SIMULATE(np.frombuffer(scores), _chances_of(len(scores) // 8))


def _chances_of(n: int) -> Any:
    return reliability._chances(np.ones(n, bool), singles(n))


def off_by(scores: Any, error: float, kind: str) -> Any:
    """Chances of being right that differ from the scores."""
    if kind == "both":
        return np.clip(scores - error * np.where(scores > np.median(scores), 1, -1), 0, 1)
    return np.clip(scores - error, 0, 1)


@pytest.mark.parametrize("n", SCORE_SETS)
@pytest.mark.parametrize(
    ("error", "kind"), [(0.0, "sure"), (0.02, "sure"), (0.05, "sure"), (0.05, "both"), (-0.02, "")]
)
def test_the_interval_holds_the_true_error_as_often_as_it_says(
    n: int, error: float, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reliability, "_simulate", lambda scores, _: simulated(scores.tobytes()))
    rng = np.random.default_rng(n)
    held, estimates, true_errors = [], [], []
    for scores in SCORE_SETS[n]:
        truth = off_by(scores, error, kind)
        true_errors.append(np.abs(truth - scores).mean())
        for _ in range(60 // len(SCORE_SETS[n])):
            found = measure_reliability(scores, rng.random(n) < truth, singles(n))
            estimates.append(found.expected_error)
            held.append(found.interval[0] <= true_errors[-1] <= found.interval[1])
    # 60 runs of a 95% interval hold the truth fewer than 52 times with a chance of one in 300.
    assert sum(held) >= 52
    assert np.median(estimates) == pytest.approx(np.mean(true_errors), abs=0.6 / np.sqrt(n))


@given(SCORES, st.integers(0, 2**32 - 1))
def test_estimate_and_interval_are_in_order_for_any_scores(scores: Any, seed: int) -> None:
    right = np.random.default_rng(seed).random(len(scores)) < 0.5
    found = measure_reliability(scores, right, singles(len(scores)))
    assert 0 <= found.interval[0] <= found.expected_error <= found.interval[1] <= 1
    assert 0 <= found.measured_error <= 1


def test_a_measurement_repeats_to_the_digit() -> None:
    rng = np.random.default_rng(0)
    scores = like_a_models(100, rng)
    right = rng.random(100) < scores
    events = [f"event {number // 2}" for number in range(100)]
    assert measure_reliability(scores, right, events) == measure_reliability(scores, right, events)


@pytest.mark.parametrize("error", [0.0, 0.08])
def test_the_interval_holds_the_true_error_of_photos_in_events_too(error: float) -> None:
    """30 events of 8 photos that are all right or all wrong: as 30 photos, and not as 240."""
    rng, held = np.random.default_rng(1), 0
    events = np.repeat(np.arange(30), 8)
    for number in range(20):
        scores = like_a_models(30, np.random.default_rng([7, number]))[events]
        right = (rng.random(30)[events]) < np.clip(scores - error, 0, 1)
        found = measure_reliability(scores, right, [str(event) for event in events])
        true = np.abs(np.clip(scores - error, 0, 1) - scores).mean()
        held += found.interval[0] <= true <= found.interval[1]
    # 20 runs of a 95% interval hold the truth fewer than 17 times with a chance of one in 60.
    assert held >= 17


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_the_temperature_is_taken_back(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (20, 4))
    powers = np.exp(logits)
    before = powers / powers.sum(axis=1, keepdims=True)
    tempered = np.exp(logits / temperature)
    tempered /= tempered.sum(axis=1, keepdims=True)
    found = without_temperature(tempered.astype(np.float32), temperature)
    np.testing.assert_allclose(found, before, atol=2e-5)
