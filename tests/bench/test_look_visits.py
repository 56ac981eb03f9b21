"""What the benchmark of visits promises: its visitors are found, and its figures count them."""

from pathlib import Path

import pytest
from PIL import Image

from device.contract.bundle import load
from device.inference.classifier import Classifier
from device.telemetry.unknown import UnknownRule
from tests.bench.look import visits
from tests.bench.look.visits import Answer, Camera, Rates, rates
from tests.support.pictures import LABELS, picture


def test_each_visitor_of_its_films_is_one_visit(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "GAP_S", visits.END_S + 1)
    camera = Camera(Classifier.from_bundle(load(tiny_bundle)), UnknownRule(), seed=1)
    for true in range(len(LABELS)):
        photo = Image.fromarray(picture(true, 1, 120, 120))
        visited = camera.visit([photo], true)
        assert visited.true == true and len(visited.said) == 1
        assert not visited.said[0].is_unknown
        assert len(visited.frames) > visits.STAYS_S * visits.FPS / 2


def test_a_missed_visit_is_wrong_and_frames_of_a_visit_count_together() -> None:
    sure, unsure = Answer(0, is_unknown=False), Answer(0, is_unknown=True)
    answers = [((sure, sure, sure, sure), 0), ((sure, unsure), 1), ((), 2), ((unsure,), 0)]
    found = rates(answers)
    assert found == Rates(wrong=0.5, told_wrong=0.125, unknown=(0 + 0.5 + 1 + 1) / 4)
