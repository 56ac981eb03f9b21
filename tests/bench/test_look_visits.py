"""What the benchmark of visits promises: its visitors are found, and its figures count them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Scores
from device.contract.bundle import load
from device.inference.classifier import Classifier
from tests.bench.look import visits
from tests.bench.look.visits import Camera, Rates, rates
from tests.support.pictures import LABELS, picture


def of(best: int) -> Scores:
    scores = np.full(3, 0.1, np.float32)
    scores[best] = 0.8
    return scores


def test_each_visitor_of_its_films_is_one_visit(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "GAP_S", visits.END_S + 1)
    camera = Camera(Classifier.from_bundle(load(tiny_bundle)), seed=1)
    for true in range(len(LABELS)):
        photo = Image.fromarray(picture(true, 1, 120, 120))
        visited = camera.visit([photo], true)
        assert visited.true == true and len(visited.said) == 1
        assert len(visited.frames) > visits.STAYS_S * visits.FPS / 2


def test_a_missed_visit_is_wrong_and_frames_of_a_visit_count_together() -> None:
    sure, unsure = of(0), np.array([0.5, 0.4, 0.1], np.float32)
    answers = [((sure, sure, sure, sure), 0), ((sure, unsure), 1), ((), 2), ((unsure,), 0)]
    found = rates(answers, threshold=0.7)
    assert found == Rates(wrong=0.5, told_wrong=0.125, unknown=(0 + 0.5 + 1 + 1) / 4)
