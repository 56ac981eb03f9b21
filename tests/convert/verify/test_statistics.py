"""Promises of verification's arithmetic, against closed forms, enumeration and plain sense."""

from fractions import Fraction
from math import comb, log2, sqrt

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convert.verify.statistics import (
    Share,
    compare,
    jensen_shannon_bits,
    mcnemar_p,
    paired_interval_points,
    recall_by_class,
)
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
    share = Share.of(hits(count, n))
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
    share = Share.of(hits(count, n))
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


# --- two models on the same photos ----------------------------------------------------------------


def exact_p(a: int, b: int) -> Fraction:
    """How often heads fall at least as unevenly as a to b, by counting all outcomes."""
    n = a + b
    uneven = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b))
    return Fraction(uneven, 2**n)


@pytest.mark.parametrize("a", range(0, 16))
def test_mcnemar_is_the_exact_binomial_test(a: int) -> None:
    for b in range(0, 16):
        assert mcnemar_p(a, b) == pytest.approx(float(exact_p(a, b)), abs=1e-9)
        assert mcnemar_p(a, b) == mcnemar_p(b, a)


def test_mcnemar_of_equal_models_is_one() -> None:
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(0, 6) == pytest.approx(2 / 64)


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
    found = compare(truth, saying(reference), saying(other))
    assert (found.only_reference_right, found.only_other_right) == (lost, won)
    assert found.agreement.count == same
    assert found.loss_points == pytest.approx(100 * (lost - won) / n)
    assert found.mcnemar_p == mcnemar_p(lost, won)
    difference = found.max_difference
    assert difference == pytest.approx(0.85 if same < n else 0, abs=1e-6)
    assert 0 <= found.mean_divergence <= found.max_divergence <= 1


def test_recall_is_by_class_and_unknown_where_there_are_no_photos() -> None:
    truth = np.array([0, 0, 0, 0, 1])
    found = recall_by_class(truth, saying(np.array([0, 0, 0, 1, 1])))
    assert found[:2] == [(4, 0.75), (1, 1.0)]
    assert found[2][0] == 0 and np.isnan(found[2][1])
