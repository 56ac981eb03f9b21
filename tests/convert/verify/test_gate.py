"""What the gate lets pass, what it stops, and where it says that photos are too few to tell."""

from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.config import Gate
from convert.verify import comparison
from convert.verify.gate import photos_needed
from convert.verify.statistics import Labels, upper_bound
from device.errors import UsageError
from device.workstation.conversion import Verdict
from device.workstation.measures import wilson
from tests.support.builds.model_answers import answers, saying
from tests.support.builds.verified import evidence_of, record_of
from tests.support.single_photos import singles

ABC = ("a", "b", "c")


def judged(
    n: int,
    lost: int = 0,
    won: int = 0,
    changed: int = 0,
    *,
    score: float = 0.6,
    keras: Labels | None = None,
    **gate: Any,
) -> comparison.Verification:
    outputs = outputs_of(n, lost, won, changed, score=score, keras=keras)
    return comparison.compare_models(ABC, outputs, Gate(**gate))


def outputs_of(
    n: int,
    lost: int = 0,
    won: int = 0,
    changed: int = 0,
    *,
    score: float = 0.6,
    keras: Labels | None = None,
) -> comparison.Outputs:
    truth, reference, other = answers(n, lost, won, changed)
    keras_says = saying(reference if keras is None else keras, score=score)
    return comparison.Outputs(
        truth,
        keras_says,
        saying(reference, score=score),
        saying(other, score=score),
        0.001,
        singles(n),
    )


def verdict(*arguments: Any, **named: Any) -> Verdict:
    return judged(*arguments, **named).judgement.verdict


def failures(*arguments: Any, **named: Any) -> tuple[str, ...]:
    return judged(*arguments, **named).judgement.failures


# --- enough photos --------------------------------------------------------------------------------


def test_the_gate_passes_equal_models() -> None:
    assert verdict(488) is Verdict.PASSED
    assert verdict(488, won=14) is Verdict.PASSED


def test_the_gate_fails_a_loss_of_more_than_a_point() -> None:
    assert verdict(488, lost=4) is Verdict.PASSED
    assert verdict(488, lost=5) is Verdict.FAILED
    (failure,) = failures(488, lost=5)
    assert "int8 loses 1.02 points" in failure and "1.00" in failure


def test_what_is_won_counts_against_what_is_lost() -> None:
    assert verdict(488, lost=6, won=3) is Verdict.PASSED
    assert verdict(488, lost=7, won=7) is Verdict.PASSED
    assert verdict(488, lost=9, won=4) is Verdict.FAILED


def test_the_gate_fails_models_that_disagree_though_none_is_better() -> None:
    assert verdict(488, changed=14) is Verdict.PASSED
    (failure,) = failures(488, changed=15)
    assert "int8 agrees with float on 96.93%" in failure


def test_the_gate_fails_a_float_model_that_is_not_the_trained_one() -> None:
    truth = np.arange(488, dtype=np.int64) % 3
    keras = truth.copy()
    keras[:2] = (keras[:2] + 1) % 3
    assert verdict(488, keras=keras) is Verdict.PASSED
    keras[2] = (keras[2] + 1) % 3
    (failure,) = failures(488, keras=keras)
    assert "float TFLite agrees with Keras" in failure


def test_the_gate_fails_probabilities_that_drift_though_names_stay() -> None:
    truth = np.arange(488, dtype=np.int64) % 3
    sure, unsure = saying(truth, score=0.99), saying(truth, score=0.4)
    found = comparison.compare_models(
        ABC, comparison.Outputs(truth, sure, sure, unsure, 0.0, singles(len(truth))), Gate()
    )
    (failure,) = found.judgement.failures
    assert "bits from those of float" in failure


@pytest.mark.parametrize(
    ("counts", "gate"),
    [
        ({"lost": 3}, {"max_loss_points": 0.5}),
        ({"changed": 6}, {"min_agreement": 0.99}),
        ({"changed": 1}, {"min_agreement": 1.0}),
        ({"lost": 1}, {"max_loss_points": 0.0}),
        ({"lost": 1}, {"loss_to_rule_out_points": 0.7, "strict": True}),
    ],
)
def test_limits_can_be_tightened(counts: dict[str, int], gate: dict[str, float]) -> None:
    assert not failures(488, **counts)
    assert failures(488, **counts, **gate)


@pytest.mark.parametrize("gate", [{"max_loss_points": -100}, {"min_agreement": 1.01}])
def test_limits_that_mean_nothing_are_refused(gate: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="from 0 to"):
        Gate(**gate)  # type: ignore[arg-type]


# --- one class ------------------------------------------------------------------------------------


def one_class_lost(n: int, members: int, lost: int) -> comparison.Verification:
    """Two common classes, and a rare one of which int8 names `lost` photos wrong."""
    truth = np.concatenate([np.arange(n - members) % 2, np.full(members, 2)]).astype(np.int64)
    other = truth.copy()
    other[n - members :][:lost] = 0
    says, drifts = saying(truth, score=0.6), saying(other, score=0.6)
    return comparison.compare_models(
        ABC, comparison.Outputs(truth, says, says, drifts, 0.0, singles(len(truth))), Gate()
    )


def test_a_class_that_int8_never_names_fails_the_gate_however_rare_it_is() -> None:
    found = one_class_lost(488, 4, 4)
    assert found.judgement.verdict is Verdict.FAILED
    assert any('int8 loses 4 of the 4 photos of class "c"' in f for f in found.judgement.failures)
    assert one_class_lost(488, 4, 1).judgement.verdict is Verdict.PASSED


def test_a_constant_model_never_ships() -> None:
    for n in (2, 3, 6, 15, 30, 300):
        truth = np.arange(n, dtype=np.int64) % 2
        says, constant = saying(truth, 2), saying(np.zeros(n, np.int64), 2)
        found = comparison.compare_models(
            ("a", "b"),
            comparison.Outputs(truth, says, says, constant, 0.0, singles(len(truth))),
            Gate(),
        )
        assert found.judgement.verdict is Verdict.FAILED, n


# --- few photos -----------------------------------------------------------------------------------


def test_few_photos_without_a_mistake_are_no_proof() -> None:
    found = judged(30).judgement
    assert found.verdict is Verdict.NOT_ENOUGH and not found.failures
    assert found.loss_bound_points == pytest.approx(100 * (1 - 0.05 ** (1 / 30)))
    assert "9.5 points" in found.note and "30 photos" in found.note


def test_the_gate_forgives_one_photo_of_a_small_part_but_calls_it_no_proof() -> None:
    assert verdict(20, lost=1) is Verdict.NOT_ENOUGH
    assert verdict(20, lost=2) is Verdict.FAILED
    assert verdict(20, lost=1, always_allowed_losses=0) is Verdict.FAILED
    assert verdict(20, changed=2) is Verdict.NOT_ENOUGH
    assert verdict(20, changed=3) is Verdict.FAILED


def test_a_photo_lost_of_so_few_that_it_would_be_a_rare_accident_fails() -> None:
    assert verdict(3, lost=1) is Verdict.FAILED
    assert verdict(4, changed=2) is Verdict.FAILED


def test_the_photos_that_are_needed_are_just_enough() -> None:
    n = photos_needed(Gate())
    assert n == 99
    assert verdict(n) is Verdict.PASSED
    assert verdict(n - 1) is Verdict.NOT_ENOUGH
    assert f"takes {n} photos" in judged(n - 1).judgement.note


def test_strict_stops_what_cannot_be_told() -> None:
    found = judged(30, strict=True)
    assert not found.ships and judged(30).ships
    assert found.judgement.verdict is Verdict.NOT_ENOUGH
    (failure,) = found.judgement.failures
    assert failure.startswith("not enough photos to tell")
    assert judged(488, strict=True).ships


def test_the_validation_part_adds_its_photos_to_the_verdict_and_not_to_the_figures() -> None:
    def outputs(n: int, lost: int) -> comparison.Outputs:
        truth, reference, other = answers(n, lost)
        says = saying(reference, score=0.6)
        return comparison.Outputs(
            truth, says, says, saying(other, score=0.6), 0.0, singles(len(truth))
        )

    found = comparison.compare_models(ABC, outputs(90, 0), Gate(), outputs(110, 0))
    assert (found.int8.n, found.judgement.n) == (90, 200)
    assert found.judgement.verdict is Verdict.PASSED
    failed = comparison.compare_models(ABC, outputs(90, 0), Gate(), outputs(110, 30))
    assert failed.quantization.loss_points == 0
    assert failed.judgement.verdict is Verdict.FAILED


# --- how often it errs ----------------------------------------------------------------------------


def simulated(n: int, loss: float, runs: int = 300) -> dict[Verdict, float]:
    """How often each verdict falls on models that truly lose `loss` of their photos.

    Float is right on 95% of five classes; a model that flips a photo does so as int8 models do,
    where two classes were nearly alike.
    """
    rng = np.random.default_rng(n)
    counts = dict.fromkeys(Verdict, 0)
    labels = tuple("abcde")
    for _ in range(runs):
        truth = rng.integers(0, 5, n)
        named = np.where(rng.random(n) < 0.95, truth, (truth + 1) % 5)
        flips = (named == truth) & (rng.random(n) < loss / 0.95)
        other = np.where(flips, (truth + 2) % 5, named)
        says, drifts = saying(named, 5, 0.4), saying(other, 5, 0.4)
        outputs = comparison.Outputs(truth, says, says, drifts, 0.0, singles(len(truth)))
        counts[comparison.compare_models(labels, outputs, Gate()).judgement.verdict] += 1
    return {one: count / runs for one, count in counts.items()}


@pytest.mark.parametrize("n", [6, 15, 30, 60, 98])
@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_no_model_passes_by_too_few_photos(n: int, loss: float) -> None:
    assert simulated(n, loss, runs=50)[Verdict.PASSED] == 0


@pytest.mark.parametrize("n", [99, 150, 300, 488, 976])
def test_a_model_that_loses_what_must_be_ruled_out_passes_at_most_one_time_in_twenty(
    n: int,
) -> None:
    assert simulated(n, Gate().loss_to_rule_out_points / 100)[Verdict.PASSED] <= 0.05 + 0.03


@pytest.mark.parametrize(("n", "loss", "least"), [(30, 0.2, 0.9), (150, 0.05, 0.95)])
def test_a_great_loss_is_not_called_a_lack_of_photos(n: int, loss: float, least: float) -> None:
    assert simulated(n, loss)[Verdict.FAILED] >= least


@pytest.mark.parametrize("n", [30, 150, 488, 976])
def test_a_model_that_loses_a_photo_in_five_hundred_seldom_fails(n: int) -> None:
    assert simulated(n, 0.002)[Verdict.FAILED] <= 0.05


def test_the_power_that_the_verdict_names_is_the_one_it_has() -> None:
    named = judged(976).judgement.detectable_loss_points
    assert named == pytest.approx(1.6, abs=0.05)
    assert simulated(976, named / 100, runs=600)[Verdict.PASSED] == pytest.approx(0.05, abs=0.03)


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers(0, 10))
def test_the_bound_is_exact(n: int, count: int) -> None:
    """With the bound as the true share, so few hits or fewer have a chance of one in twenty."""
    count = min(count, n)
    p = upper_bound(count, n)
    if count == n:
        assert p == 1
    else:
        chance = sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(count + 1))
        assert chance == pytest.approx(0.05, rel=1e-6)


# --- what is written and shown --------------------------------------------------------------------


def test_the_record_says_all_that_was_measured() -> None:
    outputs = outputs_of(488, lost=5, won=1, changed=3)
    models = {"model_int8.tflite": b"int8", "model_float32.tflite": b"float"}
    record = record_of(ABC, outputs, evidence_of(outputs, 0.5), models=models)
    assert record.n == 488
    assert record.float_accuracy == pytest.approx(484 / 488)
    assert record.int8_accuracy == pytest.approx(480 / 488)
    assert record.agreement == pytest.approx(479 / 488)
    assert record.mcnemar_p == pytest.approx(_exact_p(5, 1))
    assert record.float_accuracy_interval == pytest.approx(_interval(484, 488))
    assert record.int8_accuracy_interval == pytest.approx(_interval(480, 488))
    assert record.keras_accuracy == record.float_accuracy
    assert record.loss_points == pytest.approx(100 * 4 / 488)
    assert (record.verdict, record.passed) == ("passed", True)
    assert record.gate_n == 488 and "1 time in 20" in record.gate_note
    assert record.allow_regression is False
    assert (record.data, record.region) == ("4,380 photos in 3 classes, folder 'garden'", "whole")
    assert [row.n for row in record.per_class] == [163, 163, 162]
    assert set(record.model_sha256) == set(models)


def test_the_table_shows_the_verdict_and_every_class() -> None:
    passed, failed = comparison.table(judged(488)), comparison.table(judged(488, lost=20))
    few = comparison.table(judged(30))
    assert "gate PASSED" in passed and "gate NOT ENOUGH PHOTOS TO TELL\n" in few
    assert "gate FAILED: int8 loses 4.10 points" in failed
    for text in (passed, failed, few):
        assert all(f"\n{label} " in text for label in "abc")
        assert "95%" in text and "McNemar" in text


def _exact_p(a: int, b: int) -> float:
    n = a + b
    uneven = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= abs(a - b))
    return float(Fraction(uneven, 2**n))


def _interval(count: int, n: int) -> list[float]:
    return list(wilson(count / n, n))
