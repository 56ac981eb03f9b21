"""`verification.json` comes back as it was written, or says in one line what to do."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.errors import GateError, InputError
from convert.pack.bundle import read_verification
from convert.verify.comparison import Outputs
from convert.verify.layer_noise import LayerError
from device.contract import bundle as contract
from device.errors import BundleError
from device.workstation.conversion import (
    Disagreement,
    VerificationRecord,
    claims_of,
    threshold_of,
)
from device.workstation.records import RecordError
from tests.support.builds.model_answers import answers, saying
from tests.support.builds.verified import evidence_of, record_of
from tests.support.single_photos import singles

MODEL = b"int8"
LAYERS = [LayerError("conv0", None, 43.0, 0.99, 0.5, 0.0)]
DISAGREEMENT = Disagreement("red/a.jpg", "red", "red", 0.6, "blue", 0.55)


@pytest.fixture(scope="module")
def record() -> VerificationRecord:
    truth, reference, other = answers(120, lost=1)
    outputs = Outputs(
        truth, saying(reference), saying(reference), saying(other), 0.01, singles(len(truth))
    )
    evidence = evidence_of(outputs, 0.5, LAYERS, [DISAGREEMENT])
    labels, models = ("red", "green", "blue"), {contract.MODEL: MODEL}
    return record_of(labels, outputs, evidence, models=models)


@pytest.fixture
def path(record: VerificationRecord, tmp_path: Path) -> Path:
    record.write(tmp_path / "verification.json")
    return tmp_path / "verification.json"


def edited(path: Path, change: Callable[[Any], object]) -> None:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def test_a_verification_comes_back_as_it_was(record: VerificationRecord, path: Path) -> None:
    assert VerificationRecord.read(path) == record
    assert read_verification(path, MODEL) == record


def test_the_accuracy_on_photos_that_are_cut_stands_beside_that_on_all(
    record: VerificationRecord,
) -> None:
    truth, reference, other = answers(120, lost=1)
    events = singles(len(truth))
    outputs = Outputs(truth, saying(reference), saying(reference), saying(other), 0.01, events)
    lost = np.flatnonzero(other != truth)[:1].tolist()
    (of_lost, of_cut) = (outputs.int8_accuracy_of(rows) for rows in (lost, [*range(40)]))
    assert of_lost is not None and (of_lost.n, of_lost.value) == (1, 0)
    assert of_cut is not None and of_cut.n == of_cut.events == 40
    assert of_cut.value == (other[:40] == truth[:40]).mean()
    assert outputs.int8_accuracy_of([]) is None
    labels = ("red", "green", "blue")
    cut = record_of(labels, outputs, evidence_of(outputs, 0.5), of_cut=of_cut)
    assert (cut.cut, cut.cut_accuracy) == (40, of_cut.value)
    assert cut.cut_accuracy_interval == of_cut.interval
    assert (record.cut, record.cut_accuracy, record.cut_accuracy_interval) == (0, None, None)
    assert record.shown == cut.shown == "", "the models are for whole pictures"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.pop("schema"), "made by another version (no schema"),
        (lambda table: table.update(schema=99), "made by another version (schema 99"),
        (lambda table: table.pop("threshold"), "threshold is missing"),
        (lambda table: table["edge_tpu"].pop("failures"), "edge_tpu.failures is missing"),
        (lambda table: table["evidence"]["layers"][0].pop("cosine"), "layers[0].cosine is missing"),
        (lambda table: table["per_class"][1].update(n="40"), 'per_class[1].n="40"'),
        (lambda table: table.update(verdict="perhaps"), 'verdict="perhaps" is not known'),
        (lambda table: table.update(failures="none"), 'failures="none" is not a list'),
        (lambda table: table.update(note=""), "note is not known"),
    ],
)
def test_one_that_is_old_or_damaged_names_the_field_and_what_makes_it_again(
    path: Path, change: Callable[[Any], object], said: str
) -> None:
    edited(path, change)
    with pytest.raises(RecordError) as caught:
        read_verification(path, MODEL)
    (line,) = str(caught.value).splitlines()
    assert str(path) in line and said in line and line.endswith("run `make verify`")


def test_one_of_another_model_lets_nothing_ship(path: Path) -> None:
    with pytest.raises(InputError, match="is about another model; remove it and run `make verify`"):
        read_verification(path, b"another")


@pytest.mark.parametrize("allowed", [True, False])
def test_a_failed_one_ships_only_on_request(
    record: VerificationRecord, path: Path, allowed: bool
) -> None:
    failed = replace(record, failures=("int8 loses 9 points",), allow_regression=allowed)
    failed.write(path)
    if allowed:
        assert read_verification(path, MODEL) == failed
    else:
        with pytest.raises(GateError, match="int8 loses 9 points"):
            read_verification(path, MODEL)


@pytest.mark.parametrize("allowed", [True, False])
def test_one_that_leaves_operators_to_the_cpu_ships_only_on_request(
    record: VerificationRecord, path: Path, allowed: bool
) -> None:
    edge_tpu = replace(record.edge_tpu, failures=("1 SOFTMAX",), cpu_operators_allowed=allowed)
    left = replace(record, edge_tpu=edge_tpu)
    left.write(path)
    if allowed:
        assert read_verification(path, MODEL) == left
    else:
        with pytest.raises(GateError, match="1 SOFTMAX"):
            read_verification(path, MODEL)


def test_the_manifest_has_the_claims_without_evidence_and_gives_them_back(
    record: VerificationRecord,
) -> None:
    claims = record.claims()
    assert not {"schema", "evidence", "threshold", "usual", "score_offset"} & set(claims)
    manifest = json.loads(
        json.dumps({"verification": claims, "threshold": asdict(record.threshold)})
    )
    assert asdict(claims_of(manifest)) == claims
    assert threshold_of(manifest) == record.threshold


def test_a_manifest_of_another_version_is_one_line() -> None:
    for read in (claims_of, threshold_of):
        with pytest.raises(BundleError, match=r"of another version .*run `make bundle` again"):
            read({})
