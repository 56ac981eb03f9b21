"""Golden photos are ones that a sound board cannot take for another class."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from convert.artifacts.training import Training
from convert.pack.bundle import CLEAR_STEPS, LOOKED_AT, golden_file
from convert.targets.tolerance import PROMISED
from device.contract.arrays import Pixels


class Answers:
    """In place of a classifier: probabilities of three classes, one answer after the other."""

    def __init__(self, leads: Sequence[int]) -> None:
        self.leads, self.asked = list(leads), 0

    def set_input(self, pixels: Pixels) -> None:
        assert pixels.dtype == np.uint8

    def invoke(self) -> None:
        self.asked += 1

    def raw_outputs(self) -> dict[str, Any]:
        best = 100 + self.leads[(self.asked - 1) % len(self.leads)]
        return {"probabilities": np.array([10, best, 100], np.uint8)}


def golden_leads(training: Training, classifier: Any, count: int) -> list[int]:
    """By how many steps the best class of each golden photo leads."""
    with np.load(io.BytesIO(golden_file(training, classifier, count))) as arrays:
        assert len(arrays["inputs"]) == len(arrays["probabilities"]) == count
        ordered = np.sort(arrays["probabilities"].astype(int), axis=1)
    return [int(lead) for lead in ordered[:, -1] - ordered[:, -2]]


def test_a_photo_between_two_classes_is_no_golden_one(tiny_training: Training) -> None:
    answers = Answers([0, 50, CLEAR_STEPS, 40, CLEAR_STEPS + 1])
    assert golden_leads(tiny_training, answers, 3) == [50, 40, CLEAR_STEPS + 1]
    assert answers.asked == 5


def test_where_every_photo_is_between_classes_there_are_as_many_all_the_same(
    tiny_training: Training,
) -> None:
    answers = Answers([0, 1])
    assert golden_leads(tiny_training, answers, 2) == [0, 1]
    assert answers.asked <= LOOKED_AT * 2


def test_a_clear_lead_outlasts_two_classes_that_a_board_rounds_towards_each_other() -> None:
    assert PROMISED["ai-edge-litert"]["max_steps"] == CLEAR_STEPS // 2
