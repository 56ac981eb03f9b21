"""`make figures`: tables from builds, where a photo of several seeds counts once."""

from dataclasses import replace
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.artifacts.training import Training
from convert.bench.figures import (
    Answers,
    Build,
    accuracy_table,
    header,
    lead_table,
    pooled,
    scores_table,
)
from convert.errors import InputError
from convert.verify.comparison import Outputs
from device.workstation.conversion import (
    CalibrationErrors,
    ReliabilityFigures,
    VerificationRecord,
)
from tests.support.builds.model_answers import answers, saying
from tests.support.builds.training_records import fit_settings, metrics_of
from tests.support.builds.verified import evidence_of, record_of
from tests.support.single_photos import singles

MEASURED = ReliabilityFigures(0.012, (0.0, 0.03), 0.02, ())


def build(training: Training, seed: int, photos: int, lost: int) -> Build:
    truth, reference, other = answers(photos, lost)
    metrics = metrics_of([[5, 0], [0, 5]], ("red", "blue"))
    calibration = replace(metrics.calibration, temperature=0.5)
    metrics = replace(metrics, config=fit_settings(seed=seed), calibration=calibration)
    hashes = tuple(f"photo {number}" for number in range(photos))
    said = Answers(hashes, singles(photos), truth, saying(reference), saying(other))
    return Build("build", replace(training, metrics=metrics), verification(said), said)


def verification(said: Answers) -> VerificationRecord:
    outputs = Outputs(said.truth, said.float32, said.float32, said.int8, 0.0, said.events)
    record = record_of(("a", "b", "c"), outputs, evidence_of(outputs, threshold=0.6))
    return replace(
        record,
        threshold=replace(record.threshold, precision=None, precision_interval=None),
        evidence=replace(
            record.evidence, calibration=CalibrationErrors(MEASURED, MEASURED, MEASURED)
        ),
    )


def test_photos_that_recur_count_once_in_the_intervals(tiny_training: Training) -> None:
    builds = [build(tiny_training, seed, 100, 2) for seed in (0, 1)]
    together = pooled(builds)
    assert len(together.truth) == 200 and len(set(together.events)) == 100
    table = accuracy_table(builds)
    one, two, everything = table.splitlines()[2:5]
    assert one.replace("SEED=0", "SEED=1") == two
    assert "| all | 200 |" in everything and "All 200 answers are about 100 photos;" in table
    once, twice = (_width(row.split("|")[4]) for row in (one, everything))
    assert twice == pytest.approx(once, rel=0.05)


def test_two_sets_of_builds_are_compared_photo_by_photo(tiny_training: Training) -> None:
    ours = [build(tiny_training, seed, 100, 0) for seed in (0, 1)]
    others = [build(tiny_training, seed, 100, 4) for seed in (0, 1)]
    one, two, everything = lead_table(ours, others).splitlines()[2:]
    assert "+4.00 points" in one and "4 photos only these, 0 only the others" in one
    assert one.replace("SEED=0", "SEED=1") == two
    assert "| all | 200 |" in everything and "8 photos only these" in everything
    assert lead_table(ours, ours).count("; 0 photos only these, 0 only the others") == 6


def test_builds_of_other_photos_are_not_compared(tiny_training: Training) -> None:
    ours, others = build(tiny_training, 0, 100, 0), build(tiny_training, 0, 90, 0)
    with pytest.raises(InputError, match="other photos"):
        lead_table([ours], [others])
    with pytest.raises(InputError, match="one for each"):
        lead_table([ours], [ours, ours])


def _width(cell: str) -> float:
    low, high = map(float, cell.split("(")[1].rstrip(") ").split(" to "))
    return high - low


def test_a_table_of_scores_has_a_row_a_build_and_a_dash_for_what_is_not_known(
    tiny_training: Training,
) -> None:
    (row,) = scores_table([build(tiny_training, 7, 10, 0)]).splitlines()[2:]
    assert row.startswith("| 7 | 0.50 | 1.2% (0.0 to 3.0) |") and "| - |" in row


def test_figures_name_day_commit_and_machine() -> None:
    said = header()
    assert "commit" in said and "cores" in said and "Python 3." in said


def test_a_folder_without_build_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["figures", str(tmp_path)]) != 0
    assert "run `make train` first" in capsys.readouterr().err
