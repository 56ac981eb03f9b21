"""Promises of verification's arithmetic, against closed forms, enumeration and plain sense."""

from fractions import Fraction
from itertools import product
from math import comb, log2, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convert.verify.statistics import (
    compare,
    jensen_shannon_bits,
    paired_interval_points,
    recall_by_class,
    sign_flip_p,
    sums_by_event,
)
from device.workstation.shares import share_by_event
from tests.support.builds.model_answers import answers, saying
from tests.support.single_photos import singles
from train.recipe.evaluate import accuracy

Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

SEEDS = st.integers(0, 2**31 - 1)
Z = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


def hits(count: int, n: int) -> npt.NDArray[np.bool_]:
    return np.arange(n) < count


# --- the interval of one accuracy -----------------------------------------------------------------


def wilson(count: int, n: int) -> tuple[float, float]:
    """Wilson 1927, in closed form."""
    p = count / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return centre - half, centre + half


@settings(max_examples=200)
@given(st.integers(1, 3000), st.data())
def test_the_interval_is_wilsons(n: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, n))
    share = share_by_event(hits(count, n), range(n))
    assert (share.count, share.n, share.value) == (count, n, count / n)
    assert (share.low, share.high) == pytest.approx(wilson(count, n), abs=1e-9)
    assert -1e-9 <= share.low <= share.value <= share.high <= 1 + 1e-9
    assert accuracy(hits(count, n), singles(n)).interval == pytest.approx(
        [share.low, share.high], abs=1e-12
    )


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_has_published_values(count: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I."""
    share = share_by_event(hits(count, n), range(n))
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


# --- two models on the same photos ----------------------------------------------------------------


def exact_p(a: int, b: int) -> Fraction:
    """How often heads fall at least as unevenly as a to b, by counting all outcomes."""
    n = a + b
    uneven = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b))
    return Fraction(uneven, 2**n)


def of_events(lost: int, won: int) -> Labels:
    """Single photos that only the one or the other is right on, among 5 that both are."""
    return np.array([1] * lost + [-1] * won + [0] * 5)


@pytest.mark.parametrize("a", range(0, 16))
def test_of_single_photos_flipped_signs_are_mcnemars_exact_test(a: int) -> None:
    for b in range(0, 16):
        found = sign_flip_p(of_events(a, b))
        assert found == pytest.approx(float(exact_p(a, b)), abs=1e-9)
        assert found == sign_flip_p(of_events(b, a))


def test_equal_models_have_a_p_value_of_one() -> None:
    assert sign_flip_p(of_events(0, 0)) == 1
    assert sign_flip_p(of_events(0, 6)) == pytest.approx(2 / 64)


@given(st.lists(st.integers(-6, 6), max_size=9))
def test_the_p_value_is_the_share_of_all_ways_to_flip_events(sums: list[int]) -> None:
    flips = product((1, -1), repeat=len(sums))
    totals = [abs(sum(sign * d for sign, d in zip(signs, sums, strict=True))) for signs in flips]
    share = sum(total >= abs(sum(sums)) for total in totals) / len(totals)
    assert sign_flip_p(np.array(sums, np.int64)) == pytest.approx(share, abs=1e-12)


def test_a_film_that_int8_loses_is_one_event_against_it_and_no_proof() -> None:
    truth, reference, other = answers(90, lost=30)
    apart = compare(truth, saying(reference), saying(other), singles(90))
    film = ("film",) * 30 + singles(60)
    together = compare(truth, saying(reference), saying(other), film)
    assert apart.mcnemar_p < 1e-6 and together.mcnemar_p == 1
    assert together.loss_points == apart.loss_points
    assert together.effective_n < 10 < apart.effective_n == 90
    for found in (apart, together):
        low, high = found.loss_interval_points
        assert low < found.loss_points < high
    assert together.loss_interval_points[0] < 0 < apart.loss_interval_points[0]


def simulated_losses(rng: np.random.Generator, together: float) -> tuple[Labels, tuple[str, ...]]:
    """What int8 changes, 1 lost and -1 won, in 40 events of 1 to 20 photos; it truly loses none."""
    sizes = rng.integers(1, 21, 40)
    events = np.repeat(np.arange(40), sizes)
    own = rng.choice([-1, 0, 1], len(events), p=[0.06, 0.88, 0.06])
    shared = rng.choice([-1, 0, 1], 40, p=[0.06, 0.88, 0.06])[events]
    change = np.where(rng.random(len(events)) < together, shared, own)
    return change, tuple(map(str, events))


@pytest.mark.parametrize("together", [0, 0.6, 1])
def test_equal_models_seem_different_one_time_in_twenty_however_alike_events_are(
    together: float,
) -> None:
    rng, runs = np.random.default_rng(int(10 * together)), 200
    refused = held = 0
    for _ in range(runs):
        change, events = simulated_losses(rng, together)
        reference, other = (change > 0).astype(np.int64), (change < 0).astype(np.int64)
        truth = np.ones(len(change), np.int64)
        found = compare(truth, saying(reference, 2), saying(other, 2), events)
        refused += found.mcnemar_p < 0.05
        held += found.loss_interval_points[0] <= 0 <= found.loss_interval_points[1]
    assert refused / runs <= 0.05 + 0.03
    assert held / runs >= 0.95 - 0.03


@settings(max_examples=200)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 2000))
def test_the_paired_interval_contains_the_point(lost: int, won: int, both: int) -> None:
    n = lost + won + both
    assume(n > 0)
    low, high = paired_interval_points(lost, won, n)
    assert low <= 100 * (lost - won) / n <= high
    assert paired_interval_points(won, lost, n) == pytest.approx((-high, -low))
    wider = paired_interval_points(lost, won, n + 1000)
    assert wider[1] - wider[0] < high - low


def test_the_paired_interval_is_agresti_and_mins() -> None:
    """Agresti and Min 2005 on their own example, 1,600 Britons asked twice: 150 against 86."""
    low, high = paired_interval_points(150, 86, 1600)
    b, c, n = 150.5, 86.5, 1602
    half = Z * sqrt(b + c - (b - c) ** 2 / n) / n
    assert (low, high) == pytest.approx((100 * ((b - c) / n - half), 100 * ((b - c) / n + half)))
    assert (low, high) == pytest.approx((2.1, 5.9), abs=0.05)


# --- divergence -----------------------------------------------------------------------------------


def rows(seed: int, n: int, classes: int, sharpness: float) -> Probabilities:
    rng = np.random.default_rng(seed)
    values = np.exp(sharpness * rng.standard_normal((n, classes)))
    values[rng.random(values.shape) < 0.2] = 0
    values[:, 0] += 1e-3
    return np.asarray(values / values.sum(axis=1, keepdims=True), np.float32)


@settings(max_examples=100)
@given(SEEDS, st.integers(2, 8), st.floats(0.1, 20))
def test_divergence_is_symmetric_bounded_and_finite(
    seed: int, classes: int, sharpness: float
) -> None:
    p, q = rows(seed, 20, classes, sharpness), rows(seed + 1, 20, classes, sharpness)
    found = jensen_shannon_bits(p, q)
    assert found.shape == (20,)
    assert np.isfinite(found).all()
    assert (found >= 0).all() and (found <= 1 + 1e-9).all()
    assert found == pytest.approx(jensen_shannon_bits(q, p), abs=1e-12)
    assert jensen_shannon_bits(p, p) == pytest.approx(np.zeros(20), abs=1e-12)


@settings(max_examples=50)
@given(SEEDS, st.integers(2, 6))
def test_divergence_is_its_definition(seed: int, classes: int) -> None:
    p, q = rows(seed, 1, classes, 2)[0], rows(seed + 1, 1, classes, 2)[0]
    p, q = p.astype(np.float64) / p.sum(dtype=np.float64), q / q.sum(dtype=np.float64)
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist(), strict=True):
        total += a / 2 * log2(2 * a / (a + b)) if a else 0
        total += b / 2 * log2(2 * b / (a + b)) if b else 0
    assert jensen_shannon_bits(p[None], q[None])[0] == pytest.approx(total, abs=1e-6)


def test_divergence_of_disjoint_rows_is_one_bit() -> None:
    p = np.eye(4, dtype=np.float32)
    q = p[[1, 0, 3, 2]]
    assert jensen_shannon_bits(p, q) == pytest.approx(np.ones(4))
    half = np.array([[0.5, 0.5, 0, 0]], np.float32)
    assert jensen_shannon_bits(half, half[:, ::-1]) == pytest.approx(1)


def test_rows_in_steps_of_a_256th_count_as_whole() -> None:
    """Quantized probabilities that add up to 254/256 are not further away for that."""
    p = np.array([[200 / 256, 54 / 256]], np.float32)
    whole = np.asarray(p / p.sum(), np.float32)
    assert jensen_shannon_bits(p, whole) == pytest.approx(0, abs=1e-7)
    nothing = jensen_shannon_bits(np.zeros((1, 2), np.float32), p)
    assert np.isfinite(nothing).all()


# --- the comparison ------------------------------------------------------------------


@settings(max_examples=100)
@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(1, 50))
def test_a_comparison_counts_photos(lost: int, won: int, changed: int, same: int) -> None:
    n = lost + won + changed + same
    truth, reference, other = answers(n, lost, won, changed)
    found = compare(truth, saying(reference), saying(other), singles(n))
    assert (found.only_reference_right, found.only_other_right) == (lost, won)
    assert found.agreement.count == same
    assert found.loss_points == pytest.approx(100 * (lost - won) / n)
    assert found.mcnemar_p == sign_flip_p(of_events(lost, won))
    difference = found.max_difference
    assert difference == pytest.approx(0.85 if same < n else 0, abs=1e-6)
    assert 0 <= found.mean_divergence <= found.max_divergence <= 1


def test_recall_is_by_class_and_unknown_where_there_are_no_photos() -> None:
    truth, events = np.array([0, 0, 0, 0, 1]), ("x", "x", "x", "y", "y")
    first, second, third = recall_by_class(truth, saying(np.array([0, 0, 0, 1, 1])), events)
    assert first and (first.n, first.events, first.value) == (4, 2, 0.75)
    assert second and (second.n, second.events, second.value) == (1, 1, 1.0)
    assert third is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 2)), min_size=1))
def test_sums_are_by_event(photos: list[tuple[str, int]]) -> None:
    names, values = zip(*photos, strict=True)
    expected = [sum(v for name, v in photos if name == one) for one in sorted(set(names))]
    assert sums_by_event(np.array(values, np.int64), names).tolist() == expected
