"""The gate under faults: it stops what is broken, names it, and lets chance be chance."""

import numpy as np
import pytest

from convert.config import Gate
from convert.verify.faults.answers import Answers
from convert.verify.faults.gate import Ruling, rule
from device.workstation.faults.catalogue import FAULTS, Strength
from device.workstation.faults.figures import Told
from tests.support.builds.spoiled_answers import N, losing, nothing_lost, spoiled

MOTION = 1
"""Index of motion blur among the faults."""


def ruled(*arguments: object, **named: object) -> list[Ruling]:
    return rule(spoiled(*arguments, **named), Gate())  # type: ignore[arg-type]


def test_equal_models_are_as_good_under_every_fault() -> None:
    found = ruled({})
    assert len(found) == 12
    assert {each.told for each in found} == {Told.SAME}
    assert all(each.loss_bound_points < 1 for each in found)


def test_a_model_that_breaks_under_one_fault_fails_by_its_name() -> None:
    found = ruled({MOTION: losing(np.arange(25))})
    assert [each.told is Told.WORSE for each in found] == [i == MOTION for i in range(12)]
    (failure,) = found[MOTION].failures
    assert failure == "under motion blur int8 loses 5.12 points of top-1 on 488 photos"


def test_a_class_that_breaks_is_named_though_the_others_hide_it() -> None:
    of_one_class = np.arange(1, N, 3)[:40]
    failures = ruled({MOTION: losing(of_one_class)})[MOTION].failures
    assert failures[1] == 'under motion blur int8 loses 40 of the 163 photos of class "b"'


def test_a_weak_or_strong_fault_judges_nothing() -> None:
    answers = spoiled({})
    unknown = np.zeros(N, bool)
    for strength in (Strength.WEAK, Strength.STRONG):
        answers.int8[FAULTS[0], strength] = Answers(losing(np.arange(200)), unknown)
    assert {each.told for each in rule(answers, Gate())} == {Told.SAME}


def test_few_photos_prove_nothing_though_none_is_lost() -> None:
    assert {each.told for each in ruled({}, n=60)} == {Told.TOO_FEW}
    assert {each.told for each in ruled({}, n=120)} == {Told.SAME}


def test_a_loss_that_may_be_chance_is_no_failure_and_a_larger_one_no_proof() -> None:
    assert ruled({0: losing(np.arange(4))})[0].told is Told.SAME
    for lost in (10, 12):
        doubtful = ruled({0: losing(np.arange(lost))})[0]
        assert doubtful.told is Told.TOO_FEW and doubtful.loss_bound_points > 3


def test_photos_of_one_event_are_lost_once() -> None:
    """Twenty-five lost photos of single events are too many; of one event they are one accident."""
    events = [f"event {max(0, i - 24)}" for i in range(N)]
    one = ruled({0: losing(np.arange(25))}, events=events)[0]
    assert one.failures == () and one.told is Told.TOO_FEW


@pytest.mark.parametrize(("true_loss", "least", "most"), [(0.0, 0, 3), (0.05, 35, 40)])
def test_chance_stops_few_good_models_and_saves_few_bad_ones(
    true_loss: float, least: int, most: int
) -> None:
    """Of 40 models that toss coins on 6% of the photos, under twelve faults each."""
    rng = np.random.default_rng(3)
    truth, unknown = nothing_lost(N), np.zeros(N, bool)
    stopped = 0
    for _ in range(40):
        answers = spoiled({})
        for fault in FAULTS:
            case = (fault, Strength.MEDIUM)
            chance, wrong = rng.random(N), (truth + 1) % 3
            only_float = chance < 0.03 + true_loss
            only_int8 = (chance >= 0.5) & (chance < 0.53)
            answers.int8[case] = Answers(np.where(only_float, wrong, truth), unknown)
            answers.float32[case] = Answers(np.where(only_int8, wrong, truth), unknown)
        stopped += any(each.failures for each in rule(answers, Gate()))
    assert least <= stopped <= most
