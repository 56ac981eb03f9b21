"""The model card claims what was measured, and names what the network was made from."""

from dataclasses import replace

import pytest

from convert.artifacts.training import Training
from convert.pack.model_card import model_card
from convert.report.summary import gate_line, strangers_line, threshold_line
from convert.verify.comparison import Outputs
from device.contract.look.rules import Region
from device.workstation.conversion import (
    Verdict,
    VerificationRecord,
)
from device.workstation.training import Metrics, Teacher
from device.workstation.unknown.strangers import LeftOutClass, OwnFigures, TurnedFigures
from tests.support.builds.model_answers import answers, saying
from tests.support.builds.training_records import metrics_of, pupil_metrics_of
from tests.support.builds.verified import evidence_of, record_of
from tests.support.single_photos import singles

NOTE = "with 30 photos int8 may lose up to 9.5 points unseen"


@pytest.fixture(scope="module")
def verified() -> VerificationRecord:
    """Of 15 photos, which choose no limit."""
    truth, reference, other = answers(15, lost=1)
    outputs = Outputs(
        truth, saying(reference), saying(reference), saying(other), 0.0, singles(len(truth))
    )
    record = record_of(("red", "green", "blue"), outputs, evidence_of(outputs, threshold=None))
    return replace(record, verdict=Verdict.NOT_ENOUGH, gate_note=NOTE, failures=())


@pytest.fixture
def model(tiny_models: dict[str, bytes]) -> bytes:
    return tiny_models["model_int8.tflite"]


def test_a_card_says_what_holds_for_one_occasion_only_and_what_to_expect_elsewhere(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    plain = model_card(tiny_training, verified, model)
    assert "occasion" not in plain and "At a new" not in plain
    data = replace(tiny_training.metrics.data, occasion_only={"red": 3})
    training = replace(tiny_training, metrics=replace(tiny_training.metrics, data=data))
    known = replace(verified, new_places_accuracy=0.66, new_places_interval=(0.55, 0.76))
    card = model_card(training, known, model)
    assert "All photos of red are of one or two occasions" in card and "3 more" in card
    assert "At a new place expect 66% (95% 55% to 76%)." in card


def test_a_card_says_which_figure_to_rely_on_where_the_test_part_is_small(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    plain = replace(verified, same_places_accuracy=None)
    assert "held out" not in model_card(tiny_training, plain, model)
    known = replace(verified, n=96, events=12, same_places_accuracy=0.87, same_places_n=720)
    known = replace(known, same_places_interval=(0.81, 0.92), same_places_events=90)
    card = model_card(tiny_training, replace(known, same_places_without=("wren",)), model)
    assert "held out in turn: 87% (95% 81% to 92%, 90 events, without wren)" in card
    assert "rely on this figure rather than on 12 test events" in card


def test_a_card_says_that_the_model_expects_boxes_and_how_many_test_photos_were_cut(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    plain = model_card(tiny_training, verified, model)
    assert "prepared as `manifest.json` records under `preprocess`.\n" in plain
    assert "cut" not in plain and "boxes" not in plain
    empty = TurnedFigures(40, 40, 0.5, (0.35, 0.65), 0.8, (0.7, 0.9), 0.25, 0.7, (0.6, 0.8))
    evidence = replace(verified.evidence, backgrounds=empty)
    shown = replace(verified, cut=12, cut_accuracy=0.75, cut_accuracy_interval=(0.47, 0.91))
    seen = replace(shown, region=Region.CHANGE, evidence=evidence)
    card = model_card(tiny_training, seen, model)
    assert "of a box around what differs from the background" in card
    assert (
        "shown 12 of 15 test photos cut to what differs from their place (int8 top-1 of these "
        "75.0% (95% 47.0% to 91.0%)), the other 3 whole."
    ) in card
    assert "| boxes of background | 40 | 50.0% | 35.0% to 65.0% | 0.800 | 25.0% |" in card
    all_cut = model_card(tiny_training, replace(seen, cut=15), model)
    assert "15 of 15 test photos cut to what differs from their place." in all_cut


def test_a_card_and_the_summary_show_the_users_own_strangers_by_both_models(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    assert "the user's own" not in model_card(tiny_training, verified, model)
    turned = TurnedFigures(20, 12, 0.75, (0.53, 0.89), 0.9, (0.8, 0.95), 0.5, 0.8, (0.7, 0.88))
    own = OwnFigures(44, turned, replace(turned, rejected=0.8), ())
    card = model_card(
        tiny_training, replace(verified, evidence=replace(verified.evidence, own=own)), model
    )
    assert (
        "| the user's own | 20 photos in 12 events | 75.0% | 53.0% to 89.0% | 0.900 | 50.0% |"
    ) in card
    assert "| the user's own, by float32 | 20 photos in 12 events | 80.0% |" in card
    assert strangers_line(own.claim()) == (
        "75.0% (95% 53.0% to 89.0%) of 20 photos in 12 events of _other are called unknown "
        "(float 80.0%); 44 others taught it"
    )


def test_a_card_shows_known_photos_by_class_and_each_class_as_the_stranger(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    plain = model_card(tiny_training, verified, model)
    assert "| red | 20 | 95.0% | 75.0% to 99.0% |" in plain and "as the stranger" not in plain
    turned = TurnedFigures(60, 60, 0.8, (0.68, 0.88), 0.97, (0.94, 0.99), 0.7, 0.95, (0.9, 0.98))
    rows = (LeftOutClass("red | white", 0.95, turned),)
    evidence = replace(verified.evidence, left_out=rows)
    card = model_card(tiny_training, replace(verified, evidence=evidence), model)
    assert "Each class as the stranger to the others" in card
    assert "\n| red \\| white | 60 | 80.0% | 68.0% to 88.0% | 0.970 | 70.0% |\n" in card


def test_a_card_without_limit_says_that_the_device_never_says_unknown(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    card = model_card(tiny_training, verified, model)
    assert 'never says "unknown": fewer than 19 validation photos of different events' in card
    assert "too strange" not in card
    assert "never: fewer than 19 validation photos" in threshold_line(verified.threshold)
    usual = replace(verified, threshold=replace(verified.threshold, value=1.0, coverage=0.94))
    said = model_card(tiny_training, usual, model)
    assert 'too strange the device calls "unknown". That happened to 6.0% (95%' in said
    assert "| rendered pictures of nothing | 200 | 73.0% |" in said


def test_a_card_says_when_photos_were_too_few_to_tell(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    assert "Gate: not enough photos to tell (with 30 photos" in model_card(
        tiny_training, verified, model
    )
    assert gate_line(verified).startswith("not enough photos to tell: with 30")
    shipped = replace(verified, verdict=Verdict.FAILED, failures=("int8 loses 9.00 points",))
    assert "Gate: failed, shipped on request: int8 loses" in model_card(
        tiny_training, shipped, model
    )


def test_the_card_of_a_pupil_names_its_teacher_and_claims_no_weights_of_its_own(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    pupil = pupil_metrics_of(metrics_of([[5, 0], [0, 5]], ("red", "blue")))
    card = model_card(replace(tiny_training, metrics=pupil), verified, model)
    assert "base_model: MobileNetV2 1.0, ImageNet" in card
    assert "MobileNetV2 0.35 at 96x96, distilled from a fine-tuned MobileNetV2 1.0 at 224" in card
    assert "0.35, ImageNet" not in card
    assert "fine-tuned, full-int8" in model_card(tiny_training, verified, model)


def test_a_card_says_that_faults_were_taught(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    own = tiny_training.metrics
    assert isinstance(own, Metrics)
    config = replace(own.config, robust=True)
    card = model_card(replace(tiny_training, metrics=replace(own, config=config)), verified, model)
    assert "fine-tuned with faults of cameras among the views, full-int8" in card


def test_a_card_names_the_teachers(
    tiny_training: Training, verified: VerificationRecord, model: bytes
) -> None:
    own = tiny_training.metrics
    assert isinstance(own, Metrics)
    titles = ("EfficientNet-Lite0", "EfficientNet-Lite2")
    pretrained = [replace(own.pretrained, title=title) for title in titles]
    teachers = tuple(Teacher(0.95, own.config, each) for each in pretrained)
    taught = replace(tiny_training, metrics=replace(own, teachers=teachers))
    card = model_card(taught, verified, model)
    assert "fine-tuned, taught by EfficientNet-Lite0 and EfficientNet-Lite2" in card
