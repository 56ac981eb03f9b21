"""Verification by event: what changes with photos of one event, and that nothing does without."""

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from convert.config import Gate
from convert.verify import comparison
from convert.verify.comparison import Outputs
from convert.verify.gate import Judgement
from convert.verify.statistics import Labels, Probabilities
from device.workstation.conversion import Verdict, VerificationRecord
from device.workstation.expected import NewPlaces, SamePlaces
from tests.support.builds.model_answers import answers, saying
from tests.support.builds.training_records import data_set_of
from tests.support.builds.verified import evidence_of, record_of
from tests.support.single_photos import singles

ABC, ABCD = ("a", "b", "c"), ("a", "b", "c", "d")


# --- single photos --------------------------------------------------------------------------------


def drawn() -> VerificationRecord:
    """What two models say about 150 photos of four classes, at random; each is its own event."""
    rng = np.random.default_rng(18)
    truth = rng.integers(0, 4, 150)
    float32 = _unsure(rng, truth)
    int8 = float32.copy()
    flipped = rng.random(150) < 0.05
    int8[flipped] = int8[flipped][:, ::-1]
    outputs = Outputs(truth, float32, float32, int8, 0.01, singles(150))
    return record_of(ABCD, outputs, evidence_of(outputs, 0.6))


def _unsure(rng: np.random.Generator, truth: Labels) -> Probabilities:
    named = np.where(rng.random(150) < 0.9, truth, rng.integers(0, 4, 150))
    logits = rng.normal(0, 1, (150, 4))
    logits[np.arange(150), named] += 3
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def test_single_photos_have_the_figures_of_before_events() -> None:
    """As commit 7658472 gave them, which knew no events."""
    v = drawn()
    assert (v.verdict, v.gate_n, v.gate_events, v.n, v.events) == ("failed", *[150] * 4)
    assert v.gate_note == "judged by 150 photos of the validation and test part"
    assert v.failures == (
        "int8 loses 4.67 points of top-1 on 150 photos (allowed: 1.00; McNemar p = 0.016)",
        "int8 agrees with float on 95.33% of photos (at least 97.0%)",
    )
    assert v.float_accuracy_interval == (0.818291645158672, 0.9227309691215898)
    assert v.int8_accuracy_interval == (0.7655341358309921, 0.884485701256957)
    assert v.agreement_interval == (0.9068135276008725, 0.9772134508387381)
    assert v.loss_interval_points == (1.0323855679940146, 8.17814074779546)
    assert (v.loss_points, v.mcnemar_p) == (4.666666666666667, 0.015625)
    bounds = (v.loss_bound_points, v.detectable_loss_points)
    assert bounds == pytest.approx((8.586337953909064, 1.977343816450844), rel=1e-12)


def test_single_photos_have_the_evidence_of_before_events() -> None:
    v = drawn()
    assert v.threshold.coverage_interval == (0.7729603179581628, 0.890059915871545)
    assert v.threshold.precision_interval == (0.7854668219109349, 0.9076862034589233)
    int8 = v.evidence.calibration.int8
    assert (int8.expected_calibration_error, *int8.interval) == pytest.approx(
        (0.09997520546624857, 0.009719636032470917, 0.19579905351010704), rel=1e-9
    )


# --- the gate -------------------------------------------------------------------------------------


def of_events(sizes: Any, lost_events: int = 0) -> Outputs:
    """Photos of three classes in events of these sizes; int8 loses the first events whole."""
    events = np.repeat(np.arange(len(sizes)), sizes)
    truth = events % 3
    other = np.where(events < lost_events, (truth + 1) % 3, truth)
    says, drifts = saying(truth, score=0.6), saying(other, score=0.6)
    return Outputs(truth, says, says, drifts, 0.0, tuple(f"event {k}" for k in events))


def judgement(outputs: Outputs, **gate: Any) -> Judgement:
    return comparison.compare_models(ABC, outputs, Gate(**gate)).judgement


def test_many_photos_of_few_events_without_a_mistake_are_no_proof() -> None:
    found = judgement(of_events([50] * 12))
    assert found.verdict is Verdict.NOT_ENOUGH_EVENTS and found.verdict.undecided
    assert (found.n, found.events, found.failures) == (600, 12, ())
    assert found.note.startswith("with 600 photos in 12 events (validation and test part) int8 may")
    assert found.loss_bound_points > 10
    assert judgement(of_events([1] * 600)).verdict is Verdict.PASSED


def test_few_photos_are_few_photos_whatever_their_events() -> None:
    assert judgement(of_events([2] * 10)).verdict is Verdict.NOT_ENOUGH


def test_strict_stops_what_few_events_cannot_tell() -> None:
    (failure,) = judgement(of_events([50] * 12), strict=True).failures
    assert failure.startswith("not enough events to tell: with 600 photos in 12 events")


def test_the_events_that_are_asked_for_are_about_enough() -> None:
    note = judgement(of_events([10] * 30)).note
    asked = int(note.split("that takes about ")[1].split(" ")[0])
    assert 60 < asked <= 110
    assert judgement(of_events([10] * (asked + 15))).verdict is Verdict.PASSED


def test_a_film_that_int8_loses_is_one_accident_and_forgiven_as_one_photo_is() -> None:
    film = [10] + [1] * 190
    assert judgement(of_events(film, 1)).verdict.undecided
    alone = Outputs(*answers_of(200, 10), singles(200))
    assert judgement(alone).verdict is Verdict.FAILED


def answers_of(n: int, lost: int) -> tuple[Labels, Probabilities, Probabilities, Any, float]:
    truth, reference, other = answers(n, lost)
    says = saying(reference, score=0.6)
    return truth, says, says, saying(other, score=0.6), 0.0


def test_a_model_that_loses_many_events_fails() -> None:
    found = judgement(of_events([5] * 100, 20))
    assert found.verdict is Verdict.FAILED
    assert found.failures[0].startswith("int8 loses 20.00 points of top-1 on 500 photos in 100 ev")
    assert "McNemar by event p = 0.000" in found.failures[0]


@pytest.mark.parametrize(("events", "longest"), [(60, 30), (150, 8)])
def test_a_model_that_loses_whole_events_passes_at_most_one_time_in_twenty(
    events: int, longest: int
) -> None:
    rng, runs, passed = np.random.default_rng(events), 100, 0
    for _ in range(runs):
        sizes = rng.integers(1, longest + 1, events)
        losses = rng.binomial(events, Gate().loss_to_rule_out_points / 100)
        passed += judgement(of_events(sizes, losses)).verdict is Verdict.PASSED
    assert passed / runs <= 0.05 + 0.05


def test_the_note_names_classes_that_are_known_from_one_occasion_only() -> None:
    outputs = of_events([1] * 200)
    found = comparison.compare_models(ABC, outputs, Gate(), occasion_only={"a": 3, "c": 2})
    assert found.judgement.note.endswith(
        '; of "a", "c" this holds for the occasions of their photos only'
    )


# --- what is written and shown --------------------------------------------------------------------


def test_events_stand_beside_all_numbers_of_photos() -> None:
    outputs = of_events([4] * 50, 1)
    record = record_of(ABC, outputs, evidence_of(outputs, 0.5))
    assert (record.n, record.events) == (200, 50) == (record.gate_n, record.gate_events)
    assert [(row.n, row.events) for row in record.per_class] == [(68, 17), (68, 17), (64, 16)]
    low, high = record.int8_accuracy_interval
    assert high - low > 0.06, "as of 50 photos, and not of 200"
    shown = comparison.table(comparison.compare_models(ABC, outputs, Gate()))
    assert "n = 200 photos in 50 events" in shown and "McNemar by event p" in shown
    assert "class                       n  events    float" in shown


def test_single_photos_have_no_word_of_events() -> None:
    shown = comparison.table(comparison.compare_models(ABC, of_events([1] * 200), Gate()))
    assert "event" not in shown and "n = 200\n" in shown


@pytest.mark.parametrize(
    ("lost", "low", "value", "high"), [(0, 0.55, 0.66, 0.98), (4, 0.53, 0.64, 0.96)]
)
def test_new_places_are_expected_to_lose_what_the_test_part_loses(
    lost: int, low: float, value: float, high: float
) -> None:
    outputs = Outputs(*answers_of(200, lost), singles(200))
    evidence = evidence_of(outputs, 0.5)
    expected = NewPlaces(5, 40, 0.66, (0.55, 0.98), (), 0.7, None)
    record = record_of(ABC, outputs, evidence, new_places=expected)
    assert record.new_places_accuracy == pytest.approx(value)
    assert record.new_places_interval == pytest.approx((low, high))
    nothing = record_of(ABC, outputs, evidence)
    assert nothing.new_places_accuracy is None and nothing.new_places_interval is None


def test_other_events_are_expected_to_lose_what_the_test_part_loses() -> None:
    outputs = Outputs(*answers_of(200, 4), singles(200))
    evidence = evidence_of(outputs, 0.5)
    expected, data = SamePlaces(90, 0.87, (0.81, 0.92), (ABC[2],)), data_set_of(ABC)
    record = record_of(ABC, outputs, evidence, data=data, same_places=expected)
    assert record.same_places_accuracy == pytest.approx(0.85)
    assert record.same_places_interval == pytest.approx((0.79, 0.9))
    others = sum(sum(data.counts[label].values()) for label in ABC[:2])
    assert (record.same_places_n, record.same_places_events) == (others, 90)
    assert record.same_places_without == (ABC[2],)
    nothing = record_of(ABC, outputs, evidence)
    assert nothing.same_places_accuracy is None and nothing.held_out == ""


def test_a_class_has_intervals_by_event() -> None:
    outputs = of_events([10] * 30, 3)
    row = record_of(ABC, outputs, evidence_of(outputs, 0.5)).per_class[0]
    alone = Outputs(**{**vars(outputs), "events": singles(300)})
    single = record_of(ABC, alone, evidence_of(alone, 0.5)).per_class[0]
    assert row.int8 == single.int8 and row.int8_interval and single.int8_interval
    assert row.int8_interval[0] < single.int8_interval[0] - 0.05
    assert asdict(row).keys() == asdict(single).keys()
