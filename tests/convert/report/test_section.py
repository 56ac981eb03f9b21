"""The section on quantization: what verification found, in training's page."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from convert.artifacts.training import Training
from convert.config import Gate
from convert.errors import InputError
from convert.report import section as report
from convert.targets import edgetpu
from convert.targets.edgetpu import Placement
from convert.verify.comparison import Outputs
from convert.verify.faults.gate import rule
from convert.verify.faults.measure import figures_of
from convert.verify.layer_noise import LayerError
from device.contract.look.rules import Region
from device.workstation.conversion import (
    Disagreement,
    Verdict,
    VerificationRecord,
)
from device.workstation.training import REPORT_PLACE, Calibration, LogLoss
from device.workstation.unknown.strangers import (
    LeftOutClass,
    NamedStranger,
    OwnFigures,
    TurnedFigures,
)
from tests.support.builds.spoiled_answers import losing, spoiled
from tests.support.builds.verified import evidence_of, record_of
from tests.support.single_photos import singles

LABELS = ("daisy", "<b>rose</b>")
DISAGREEMENT = Disagreement("daisy/a.jpg", "daisy", "daisy", 0.6, LABELS[1], 0.55)
CALIBRATION = Calibration(0.5, LogLoss(90, 90, 0.5, 0.4), LogLoss(90, 90, 0.4, 0.3))


@pytest.fixture(scope="module")
def verification() -> VerificationRecord:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    sure = np.clip(rng.normal(0.85, 0.2, 60), 0.02, 0.98)
    rows = np.where(truth[:, None] == np.arange(2), sure[:, None], 1 - sure[:, None])
    float32 = rows.astype(np.float32)
    int8 = float32.copy()
    int8[0] = int8[0, ::-1]
    outputs = Outputs(truth, float32, float32, int8, 0.0, singles(60))
    layers = [
        LayerError("conv0", 43.0, 43.0, 0.9999, 0.5, 0.0),
        LayerError("block_1_expand", 7.3, 9.4, 0.92, 0.3, 0.002),
        LayerError("class_map", None, None, 1.0, 0.0, 0.0),
    ]
    placements = [
        Placement("CONV_2D", "map", ""),
        Placement("CONV_2D", "odd", "its dilation differs between x and y"),
        Placement("MEAN", "pooled", ""),
    ]
    evidence = evidence_of(outputs, 0.6, layers, [DISAGREEMENT])
    edge_tpu = edgetpu.edge_tpu_figures(placements, None, allowed=True)
    return record_of(LABELS, outputs, evidence, edge_tpu)


@pytest.fixture(scope="module")
def section(verification: VerificationRecord) -> str:
    return report.section(verification, CALIBRATION, picture)


def picture(path: str) -> Any:
    assert path == "daisy/a.jpg"
    return np.full((32, 32, 3), 120, np.uint8)


def text(html: str) -> str:
    return " ".join(re.sub(r"<svg.*?</svg>|<[^>]*>", " ", html, flags=re.DOTALL).split())


def test_the_section_tells_what_was_measured(
    verification: VerificationRecord, section: str
) -> None:
    said = text(section)
    assert f"loses {verification.loss_points:+.2f} points" in said
    assert f"p = {verification.mcnemar_p:.3f}" in said
    assert "beyond 1 the device says unknown" in said
    assert f"Of the test part {verification.threshold.coverage:.1%}" in said
    assert (
        "clouds, shapes 200 73.0% 66.5 to 78.7 0.957 0.940 to 0.970 55.0% 0.912 0.890 to 0.930"
        in said
    )
    assert "red 20 95.0%" in said, "by class"
    assert 'alt="rendered picture 7, called red"' in section and "temperature 0.50" in said
    errors = verification.evidence.calibration
    for measured in (errors.untempered, errors.float, errors.int8):
        assert f"{measured.expected_calibration_error:.1%}" in said


OWN = OwnFigures(
    taught=44,
    int8=TurnedFigures(20, 12, 0.75, (0.53, 0.89), 0.9, (0.8, 0.95), 0.5, 0.8, (0.7, 0.88)),
    float=TurnedFigures(20, 12, 0.8, (0.58, 0.92), 0.91, (0.81, 0.96), 0.5, 0.8, (0.7, 0.88)),
    named=(NamedStranger("_other/<cat>.jpg", "red", 0.93, 0.31),),
)


def test_the_users_own_strangers_are_shown_with_both_models_and_the_worst_as_pictures(
    verification: VerificationRecord, section: str
) -> None:
    assert "_other" not in section
    record = replace(verification, evidence=replace(verification.evidence, own=OWN))
    loaded: list[str] = []

    def load(path: str) -> Any:
        loaded.append(path)
        return np.full((32, 32, 3), 120, np.uint8)

    html = report.section(record, CALIBRATION, load)
    said = text(html)
    assert "your own, from _other 20 12 events 75.0% 53.0 to 89.0 0.900 0.800 to 0.950" in said
    assert "by the float network 20 12 events 80.0%" in said
    assert "20 photos in 12 events judge. 44 others, of other events, taught" in said
    assert "_other/<cat>.jpg" in loaded and "called red 93.0% distance 0.31" in said
    assert "<cat>" not in html
    untaught = replace(record.evidence, own=replace(OWN, taught=0))
    plain = text(report.section(replace(record, evidence=untaught), CALIBRATION, load))
    assert "None taught what is unknown: that takes more of them." in plain


def test_each_class_as_the_stranger_is_shown_with_what_it_means(
    verification: VerificationRecord, section: str
) -> None:
    assert "as the stranger" not in section
    turned = TurnedFigures(60, 60, 0.8, (0.68, 0.88), 0.97, (0.94, 0.99), 0.7, 0.95, (0.9, 0.98))
    rows = (LeftOutClass("<b>rose</b>", 0.95, turned),)
    record = replace(verification, evidence=replace(verification.evidence, left_out=rows))
    html = report.section(record, CALIBRATION, picture)
    said = text(html)
    assert f"the 1 of {len(LABELS)} with the most photos" in said
    assert "rose&lt;/b&gt; 60 95.0% 80.0% 68.0 to 88.0 0.970 0.940 to 0.990 70.0% 0.950" in said
    assert "(by at most 1,000 training photos)" in said
    assert "A kind that it was never shown is turned away less often." in said
    assert "<b>rose</b>" not in html
    every = replace(record.evidence, left_out=rows * len(LABELS))
    whole = text(report.section(replace(record, evidence=every), CALIBRATION, picture))
    assert "with the most photos" not in whole


def test_few_photos_are_said_to_be_no_proof_and_no_threshold(
    verification: VerificationRecord,
) -> None:
    assert "The gate: not enough photos to tell." in text(
        report.section(verification, CALIBRATION, picture)
    )
    few = replace(verification, threshold=replace(verification.threshold, value=None))
    said = text(report.section(few, CALIBRATION, picture))
    assert "It never does: fewer than 19 validation pictures of different events" in said
    assert "The limits are set" not in said


def test_events_and_new_places_are_told_where_there_are_any(
    verification: VerificationRecord, section: str
) -> None:
    assert "event" not in text(section) and "new place" not in text(section)
    events = replace(verification, events=12, new_places_accuracy=0.66)
    said = text(
        report.section(replace(events, new_places_interval=(0.55, 0.76)), CALIBRATION, picture)
    )
    assert "classified all 60 photos in 12 events of the test part" in said
    assert "McNemar's test by event: p" in said and "class n events float32" in said
    assert "At a new place expect 66% (55% to 76%)." in said


def test_single_photos_that_were_held_out_are_called_photos(
    verification: VerificationRecord,
) -> None:
    n = verification.n
    known = replace(verification, events=n, same_places_accuracy=0.87, same_places_n=90)
    known = replace(known, same_places_interval=(0.81, 0.92), same_places_events=90)
    said = text(report.section(known, CALIBRATION, picture))
    assert "Int8, photos held out in turn: 87% (95% 81% to 92%, 90 photos)" in said
    assert f"rely on this figure rather than on {n} test photos" in said


def test_what_was_cut_and_boxes_of_background_are_told_where_there_are_any(
    verification: VerificationRecord, section: str
) -> None:
    assert "cut to" not in text(section) and "boxes of background" not in text(section)
    empty = TurnedFigures(48, 48, 0.5, (0.36, 0.64), 0.81, (0.7, 0.9), 0.25, 0.7, (0.6, 0.8))
    evidence = replace(verification.evidence, backgrounds=empty)
    cut = replace(verification, region=Region.CHANGE, cut=0, evidence=evidence)
    said = text(report.section(cut, CALIBRATION, picture))
    assert "0 of 60 test photos cut to what differs from their place, the other 60 whole." in said
    row = "boxes of background from the test photos 48 50.0% 36.0 to 64.0 0.810 0.700 to 0.900"
    assert f"{row} 25.0% 0.700 0.600 to 0.800" in said


def test_each_operator_has_its_verdict_for_the_edge_tpu(section: str) -> None:
    told = text(section)
    assert "CONV_2D 2 1 MEAN 1 1" in told
    assert "CONV_2D (odd): its dilation differs between x and y" in told
    assert "edgetpu_compiler can tell what it really maps; it is not installed here" in told


def test_every_part_of_the_section_has_a_link_at_its_top(
    section: str, under_faults: VerificationRecord
) -> None:
    for html in (section, report.section(under_faults, CALIBRATION, picture)):
        parts = re.findall(r'<h2 id="([a-z]+)">([^<]+)</h2>', html)
        assert re.findall(r'<a href="#([a-z]+)">([^<]+)</a>', html) == parts[1:]


def test_the_worst_layer_stands_first(section: str) -> None:
    rows = re.findall(r'<th scope="row">(conv0|block_1_expand|class_map)</th>', section)
    assert rows == ["block_1_expand", "conv0", "class_map", "conv0", "block_1_expand", "class_map"]


def test_three_plots_and_the_pictures_of_disagreement_and_strangers_are_in_the_page(
    section: str,
) -> None:
    assert section.count("<svg") == 3
    assert section.count('src="data:image/jpeg;base64,') == 2
    assert not re.search(r'(src|href)="(?!data:|#)', section), "nothing is fetched"
    assert "#0a0b0" not in section, "every colour is the page's own"


@pytest.fixture(scope="module")
def under_faults(verification: VerificationRecord) -> VerificationRecord:
    """Of two faults int8 is wrong on 25 photos under motion blur, and a third is missing."""
    answers = spoiled({1: losing(np.arange(25))}, faults=2)
    figures = figures_of(answers, rule(answers, Gate()), {"hail": "there is no ice"})
    return replace(verification, faults=figures.claim(), under_faults=figures)


def test_without_faults_the_section_says_that_they_were_left_out(section: str) -> None:
    assert "Not measured: it was left out ( FAULTS=none )." in text(section)


def test_faults_stand_worst_first_with_both_models_and_a_picture(
    under_faults: VerificationRecord,
) -> None:
    shown = {name: picture("daisy/a.jpg") for name in ("defocus", "motion-blur")}
    html = report.section(under_faults, CALIBRATION, picture, shown)
    said = text(html)
    blurred = said.index("motion blur 100.0% 94.9% 92.5 to 96.5 -5.1")
    assert blurred < said.index("defocus 100.0% 100.0% 99.2 to 100.0 +0.0")
    # Weak and strong have their intervals, too: nobody can hover over a figure on a telephone.
    assert said.count("100.0% 99.2 to 100.0") == 5 and 'title="95%' not in html
    assert "int8's best class is right for 100.0% of them as they are" in said
    # The two differ where the device says unknown, and readers compare them.
    assert "The table counts this class also where the device says unknown" in said
    assert "Not measured: hail, because there is no ice." in said
    assert html.count("<svg") == 4 and html.count('alt="motion blur, 5% of a side"') == 1
    assert "#0a0b0" not in html


def test_faults_with_too_few_photos_are_named(under_faults: VerificationRecord) -> None:
    few = spoiled({}, n=60, faults=2)
    figures = figures_of(few, rule(few, Gate()), {})
    record = replace(under_faults, under_faults=figures)
    said = text(report.section(record, CALIBRATION, picture))
    assert "it cannot tell about defocus, motion blur: the loss may be more than 3 points" in said


def test_names_are_escaped(section: str) -> None:
    assert "<b>rose</b>" not in section and "&lt;b&gt;rose&lt;/b&gt;" in section


def test_the_same_verification_gives_the_same_section(
    verification: VerificationRecord, section: str, tmp_path: Path
) -> None:
    verification.write(tmp_path / "verification.json")
    back = VerificationRecord.read(tmp_path / "verification.json")
    assert report.section(back, CALIBRATION, picture) == section


def test_a_failed_gate_and_a_whole_agreement_are_said(verification: VerificationRecord) -> None:
    evidence = replace(verification.evidence, disagreements=())
    failed = replace(
        verification, verdict=Verdict.FAILED, failures=("too much",), evidence=evidence
    )
    said = text(report.section(failed, CALIBRATION, picture))
    assert "The gate failed: too much." in said and "Nowhere" in said


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html></html>",
        2 * "".join(REPORT_PLACE).encode(),
        "".join(REPORT_PLACE[::-1]).encode(),
        REPORT_PLACE[0].encode(),
        b"\xff",
    ],
)
def test_a_training_report_without_one_place_for_the_section_is_refused(
    page: bytes, tmp_path: Path, tiny_training: Training
) -> None:
    training = replace(tiny_training, folder=tmp_path)
    with pytest.raises(InputError, match="make train"):
        training.page()
    (tmp_path / "report.html").write_bytes(page)
    with pytest.raises(InputError, match="make train"):
        training.page()


def test_training_s_report_has_a_place_for_the_section(
    tmp_path: Path, tiny_training: Training
) -> None:
    template = Path(train.__file__).parent / "report" / "report.html.j2"
    (tmp_path / "report.html").write_bytes(template.read_bytes())
    before, behind = replace(tiny_training, folder=tmp_path).page()
    assert before.startswith("<!doctype html>") and behind.rstrip().endswith("</html>")
    assert "Not available yet" in template.read_text()
    assert "Not available yet" not in before + behind
