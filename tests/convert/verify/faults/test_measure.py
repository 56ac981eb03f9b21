"""Both models of a real small network under faults: figures, verdict, and what is missing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifacts.training import Training
from convert.config import Gate
from convert.verify.confidence import Scaled
from convert.verify.faults.answers import photos_spoiled
from convert.verify.faults.measure import UnderFaults, example, measure, steps
from convert.verify.gate import Judgement
from convert.verify.models import Models
from device.contract.statistics import LIMIT
from device.workstation.conversion import Verdict
from device.workstation.faults.catalogue import Strength, chosen
from device.workstation.faults.figures import Told, faults_line
from device.workstation.training import Part
from tests.support.builds import tiny_network

FEW = chosen("over-exposure,rotation")
PASSED = Judgement(Verdict.PASSED, (), 24, 24, 1.0, 2.0, "as good")


@pytest.fixture(scope="module")
def models(base: Path, tiny_training: Training, tiny_network: Any) -> Models:
    return Models.of(tiny_training, exported(base), tiny_network)


def exported(base: Path) -> Any:
    return tiny_network._exported(base)


def known(models: Models) -> Scaled:
    return Scaled(models.exported.statistics, LIMIT)


@pytest.fixture(scope="module")
def measured(models: Models) -> UnderFaults:
    found = measure(models, FEW, known(models), Gate())
    assert found is not None
    return found


def test_every_fault_and_strength_has_its_figures(measured: UnderFaults, models: Models) -> None:
    figures = measured.figures
    photos = models.training.photos[Part.TEST]
    assert (figures.n, figures.events) == (len(photos), len(photos))
    assert [(row.fault, row.strength) for row in figures.rows] == [
        (fault.name, strength) for fault in FEW for strength in Strength
    ]
    for row in figures.rows:
        assert row.float_accuracy - row.int8_accuracy == pytest.approx(row.loss_points / 100)
        assert row.unknown + row.right_and_told + row.wrong_and_told == pytest.approx(1)
        per_class = [of.n * (of.int8 or 0) for of in row.per_class]
        assert sum(per_class) == pytest.approx(figures.n * row.int8_accuracy)


def test_photos_as_they_are_have_the_answers_of_the_device(
    measured: UnderFaults, models: Models
) -> None:
    photos = models.training.photos[Part.TEST]
    said = [models.int8.classify(models.training.pixels(photo)) for photo in photos]
    right = [seen.best == photo.label for seen, photo in zip(said, photos, strict=True)]
    without = measured.figures.without
    assert without.accuracy == np.mean(right)
    assert without.unknown == np.mean([seen.score < 0.5 for seen in said])


def test_they_come_out_the_same_again(measured: UnderFaults, models: Models) -> None:
    assert measure(models, FEW, known(models), Gate()) == measured


def test_it_counts_photos_as_it_goes(models: Models) -> None:
    seen: list[int] = []
    measure(models, FEW[:1], known(models), Gate(), lambda: seen.append(1))
    assert len(seen) == steps(models) == len(models.training.photos[Part.TEST])


def test_few_photos_are_said_to_be_no_proof(measured: UnderFaults) -> None:
    assert {each.told for each in measured.figures.rulings} == {Told.TOO_FEW}
    judged = measured.judge(PASSED, strict=False)
    assert judged.verdict is Verdict.PASSED and judged.failures == ()
    said = "not enough photos to tell if int8 is as good as float under any fault of the camera"
    assert judged.note == f"as good; {said}"
    assert measured.judge(PASSED, strict=True).failures == (said,)


def test_a_model_that_a_fault_breaks_fails_with_fault_and_layers(
    base: Path, models: Models, tiny_network: Any
) -> None:
    """Its ranges were measured on dark pictures alone, so light pictures leave them."""
    broken = replace(models, exported=calibrated_in_the_dark(base, models, tiny_network))
    found = measure(broken, FEW[:1], known(broken), Gate())
    assert found is not None and found.figures.rulings[0].told is Told.WORSE
    assert found.failures[0].startswith("under over-exposure int8 loses ")
    assert "(most noise there from " in found.failures[0] and " dB" in found.failures[0]
    judged = found.judge(PASSED, strict=False)
    assert judged.verdict is Verdict.FAILED and judged.failures == found.failures


def calibrated_in_the_dark(base: Path, models: Models, network: Any) -> Any:
    from convert.quantize.export import int8_model
    from convert.quantize.plan import make_plan

    training = models.training
    pixels = np.stack([training.pixels(photo) for photo in training.photos[Part.TRAIN]])
    model = int8_model(network, make_plan(network, pixels // 8))
    return replace(models.exported, int8_model=model)


def test_a_fault_that_cannot_be_rendered_is_named_and_the_others_are_measured(
    models: Models,
) -> None:
    without = replace(FEW[1], missing=lambda: "there is no wind")
    found = measure(models, [FEW[0], without], known(models), Gate())
    assert found is not None
    assert found.figures.missing == {"rotation": "there is no wind"}
    assert found.figures.claim().missing == ("rotation",)
    assert {row.fault for row in found.figures.rows} == {"over-exposure"}
    assert measure(models, [without], known(models), Gate()) is None


def test_the_example_is_one_photo_under_each_fault(models: Models, measured: UnderFaults) -> None:
    shown = example(models.training, measured.figures)
    assert set(shown) == {fault.name for fault in FEW}
    assert {pixels.shape for pixels in shown.values()} == {models.training.preprocessing.shape}
    assert example(models.training, None) == {}


def test_of_many_photos_some_are_taken_of_each_class_and_event(tiny_training: Training) -> None:
    photos = tiny_training.photos[Part.TEST]
    some = photos_spoiled(tiny_training, 6)
    assert len(some) == 6 and [photo for photo in photos if photo in some] == some
    assert {photo.label for photo in some} == {photo.label for photo in photos}
    burst = replace(
        tiny_training,
        photos={
            Part.TEST: tuple(replace(photo, event=f"{i // 6}") for i, photo in enumerate(photos))
        },
    )
    assert len({photo.event for photo in photos_spoiled(burst, 2)}) == 2


def test_the_line_names_the_worst(measured: UnderFaults) -> None:
    worst = measured.figures.at(Strength.MEDIUM)[0]
    line = faults_line(measured.figures.claim())
    assert f"worst is {worst.title} with {worst.int8_accuracy:.1%}" in line
    assert "under 2 faults of the camera" in line and f"n = {measured.figures.n}" in line
    assert faults_line(None) == "faults of the camera were left out (FAULTS=none)"
