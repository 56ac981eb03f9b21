"""Promises of verification's arithmetic, against closed forms, enumeration and plain sense."""

from fractions import Fraction
from math import comb, log2, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convert import verify
from convert.config import Gate
from convert.statistics import (
    Share,
    compare,
    jensen_shannon_bits,
    mcnemar_p,
    paired_interval_points,
    recall_by_class,
)
from train.fit import accuracy

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
    assert accuracy(count, n)["interval"] == pytest.approx([share.low, share.high], abs=1e-12)


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
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


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
    p, q = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[[1, 0, 3, 2]]
    assert jensen_shannon_bits(p, q) == pytest.approx(np.ones(4))
    half = np.array([[0.5, 0.5, 0, 0]], np.float32)
    assert jensen_shannon_bits(half, half[:, ::-1]) == pytest.approx(1)


def test_rows_in_steps_of_a_256th_count_as_whole() -> None:
    """Quantized probabilities that add up to 254/256 are not further away for that."""
    p = np.array([[200, 54]], np.float32) / 256
    assert jensen_shannon_bits(p, p / p.sum()) == pytest.approx(0, abs=1e-7)
    nothing = jensen_shannon_bits(np.zeros((1, 2), np.float32), p)
    assert np.isfinite(nothing).all()


# --- the comparison and the gate ------------------------------------------------------------------


def saying(named: Labels, classes: int = 3, score: float = 0.9) -> Probabilities:
    """Probabilities whose best class is the named one."""
    rest = (1 - score) / (classes - 1)
    return np.where(np.eye(classes)[named] == 1, score, rest).astype(np.float32)


def answers(n: int, lost: int = 0, won: int = 0, changed: int = 0) -> tuple[Labels, Labels, Labels]:
    """Truth, what the reference names and what the other one does.

    The reference alone is right on `lost` photos, the other alone on `won`; on `changed` they
    name two different wrong classes.
    """
    truth = np.arange(n, dtype=np.int64) % 3
    reference, other = truth.copy(), truth.copy()
    other[:lost] = (truth[:lost] + 1) % 3
    reference[lost : lost + won] = (truth[lost : lost + won] + 1) % 3
    both_wrong = slice(lost + won, lost + won + changed)
    reference[both_wrong] = (truth[both_wrong] + 1) % 3
    other[both_wrong] = (truth[both_wrong] + 2) % 3
    return truth, reference, other


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


def judged(
    n: int,
    lost: int = 0,
    won: int = 0,
    changed: int = 0,
    *,
    keras: Labels | None = None,
    **gate: Any,
) -> verify.Verification:
    truth, reference, other = answers(n, lost, won, changed)
    keras_says = saying(reference if keras is None else keras)
    outputs = verify.Outputs(truth, keras_says, saying(reference), saying(other), 0.001)
    return verify.judge(("a", "b", "c"), outputs, Gate(**gate))


def test_the_gate_passes_equal_models() -> None:
    assert judged(488).passed
    assert judged(1).passed
    assert judged(488, won=14).passed


def test_the_gate_fails_a_loss_of_more_than_a_point() -> None:
    assert judged(488, lost=4).passed
    verification = judged(488, lost=5)
    assert not verification.passed
    (failure,) = verification.failures
    assert "int8 loses 1.02 points" in failure and "1.00" in failure


def test_what_is_won_counts_against_what_is_lost() -> None:
    assert judged(488, lost=6, won=3).passed
    assert judged(488, lost=7, won=7).passed
    assert not judged(488, lost=9, won=4).passed


def test_the_gate_forgives_one_photo_of_a_small_part() -> None:
    """One of 20 photos is 5 points, and proves nothing."""
    assert judged(20, lost=1).passed
    assert not judged(20, lost=2).passed
    assert not judged(20, lost=1, max_loss_points=1, always_allowed_losses=0).passed


def test_the_gate_fails_models_that_disagree_though_none_is_better() -> None:
    assert judged(488, changed=14).passed
    (failure,) = judged(488, changed=15).failures
    assert "int8 agrees with float on 96.93%" in failure
    assert judged(20, changed=2).passed
    assert not judged(20, changed=3).passed


def test_the_gate_fails_a_float_model_that_is_not_the_trained_one() -> None:
    truth = np.arange(488, dtype=np.int64) % 3
    keras = truth.copy()
    keras[:2] = (keras[:2] + 1) % 3
    assert judged(488, keras=keras).passed
    keras[2] = (keras[2] + 1) % 3
    (failure,) = judged(488, keras=keras).failures
    assert "float TFLite agrees with Keras" in failure


@pytest.mark.parametrize(
    ("counts", "gate"),
    [
        ({"lost": 3}, {"max_loss_points": 0.5}),
        ({"changed": 6}, {"min_agreement": 0.99}),
        ({"changed": 1}, {"min_agreement": 1.0, "always_allowed_disagreements": 0}),
        ({"lost": 1}, {"max_loss_points": 0.0, "always_allowed_losses": 0}),
    ],
)
def test_limits_can_be_set(counts: dict[str, int], gate: dict[str, float]) -> None:
    assert judged(488, **counts).passed
    assert not judged(488, **counts, **gate).passed


def test_the_record_says_all_that_was_measured() -> None:
    verification = judged(488, lost=5, won=1, changed=3)
    models = {"model_int8.tflite": b"int8", "model_float32.tflite": b"float"}
    record = verify.record(verification, models, "some photos", allow_regression=True)
    assert record["n"] == 488
    assert record["float_accuracy"] == pytest.approx(484 / 488)
    assert record["int8_accuracy"] == pytest.approx(480 / 488)
    assert record["agreement"] == pytest.approx(479 / 488)
    assert record["mcnemar_p"] == pytest.approx(float(exact_p(5, 1)))
    assert record["float_interval"] == pytest.approx(list(wilson(484, 488)))
    assert record["int8_interval"] == pytest.approx(list(wilson(480, 488)))
    assert record["keras_accuracy"] == record["float_accuracy"]
    assert record["loss_points"] == pytest.approx(100 * 4 / 488)
    assert record["passed"] is verification.passed
    assert record["allow_regression"] is True
    assert record["data"] == "some photos"
    assert [row["n"] for row in record["per_class"]] == [163, 163, 162]
    assert set(record["model_sha256"]) == set(models)


def test_the_table_shows_the_verdict_and_every_class() -> None:
    passed, failed = verify.table(judged(488)), verify.table(judged(488, lost=20))
    assert "gate PASSED" in passed
    assert "gate FAILED: int8 loses 4.10 points" in failed
    for text in (passed, failed):
        assert all(f"\n{label} " in text for label in "abc")
        assert "95%" in text and "McNemar" in text
