"""What a manifest allows a runtime is what was measured; ai-edge-litert, what was promised."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import convert.__main__ as conversion
from convert.errors import ConversionError
from convert.targets.tolerance import (
    Measured,
    merged,
    read_tolerances,
    tolerance_by_runtime,
    tolerances_text,
)
from device.contract import bundle as contract
from tests.support.cli import only_error

OURS, THEIRS = "a" * 64, "b" * 64
ROW = Measured("tflite-runtime", "2.14.0", "cortex-a53", OURS, 60, 5, 7, 1)

counts = st.integers(0, 300)
rows = st.builds(
    Measured,
    runtime=st.sampled_from(["ai-edge-litert", "tflite-runtime", "other"]),
    version=st.sampled_from(["1", "2"]),
    core=st.sampled_from(["cortex-a53", "cortex-a72", "x86_64"]),
    model_sha256=st.sampled_from([OURS, THEIRS]),
    photos=st.integers(1, 300),
    max_steps=counts,
    max_feature_steps=st.none() | counts,
    other_top1=counts,
)
tables = st.lists(rows, max_size=12).map(lambda some: merged([], some))


@given(tables)
def test_nothing_measured_loosens_what_ai_edge_litert_promises(table: tuple[Measured, ...]) -> None:
    allowed = tolerance_by_runtime(OURS, table)["ai-edge-litert"]
    assert allowed == {"max_steps": 1, "max_other_top1": 0, "exact": ["class_map", "features"]}


@given(tables)
def test_every_measured_case_of_a_model_is_allowed_and_no_more(table: tuple[Measured, ...]) -> None:
    for runtime, allowed in tolerance_by_runtime(OURS, table).items():
        if runtime == "ai-edge-litert":
            continue
        cases = [row for row in table if row.runtime == runtime]
        if allowed["measured_on"] == "this model":
            cases = [row for row in cases if row.model_sha256 == OURS]
        assert allowed["max_steps"] == max(row.max_steps for row in cases)
        assert allowed["max_other_top1"] == max(row.other_top1 for row in cases)
        features = [row.max_feature_steps for row in cases]
        if None in features:
            assert allowed["max_feature_steps"] is None
        else:
            assert allowed["max_feature_steps"] in features
            assert all((steps or 0) <= allowed["max_feature_steps"] for steps in features)
        assert {row.core for row in cases} == set(allowed["cores"])


def test_a_model_measured_on_some_cores_only_gets_the_worst_of_all_models() -> None:
    other = replace(ROW, model_sha256=THEIRS, max_steps=3)
    far = replace(other, core="cortex-a76", max_steps=9)
    assert tolerance_by_runtime(OURS, [ROW, other])["tflite-runtime"]["max_steps"] == 5
    found = tolerance_by_runtime(OURS, [ROW, other, far])["tflite-runtime"]
    assert found["max_steps"] == 9 and found["measured_on"] == "other models"


@given(tables, tables)
def test_measuring_again_replaces_what_was_measured(
    old: tuple[Measured, ...], new: tuple[Measured, ...]
) -> None:
    both = merged(old, new)
    assert set(new) <= set(both) <= {*old, *new}
    assert len({row.case for row in both}) == len(both)
    assert set(merged(both, new)) == set(both)


@given(tables)
def test_a_table_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: tuple[Measured, ...]
) -> None:
    path = tmp_path_factory.getbasetemp() / "table.json"
    path.write_text(tolerances_text(table))
    assert read_tolerances(path) == tuple(sorted(table))


def test_our_own_table_has_both_kernels_that_differ_on_every_board() -> None:
    cores = {"cortex-a53", "cortex-a72", "cortex-a76", "x86_64"}
    assert read_tolerances()
    for name in ("tflite-runtime", "ai-edge-litert without XNNPACK"):
        assert {row.core for row in read_tolerances() if row.runtime == name} == cores
    assert min(row.photos for row in read_tolerances()) >= 50


def test_the_manifest_has_the_table_s_record(tiny_bundle: Path) -> None:
    manifest = contract.load(tiny_bundle).manifest
    model = manifest["files"][contract.MODEL]["sha256"]
    assert manifest["tolerance"] == tolerance_by_runtime(model, read_tolerances())


@pytest.mark.parametrize("text", ["", "[{}]", "{", '[{"runtime": 1}]', "[1]"])
def test_a_damaged_table_is_one_line_that_says_what_makes_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tolerances.json"
    path.write_text(text)
    with pytest.raises(ConversionError, match="make test-arm"):
        read_tolerances(path)


def test_what_was_measured_joins_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured, table = tmp_path / "measured.json", tmp_path / "table.json"
    old = replace(ROW, model_sha256=THEIRS)
    measured.write_text(tolerances_text([ROW]))
    table.write_text(tolerances_text([old, replace(ROW, max_steps=1)]))
    arguments = ["tolerances", "--measured", str(measured), "--out", str(table)]
    assert conversion.main(arguments) == 0
    assert set(read_tolerances(table)) == {ROW, old}
    measured.unlink()
    before = table.read_bytes()
    assert conversion.main(arguments) == 2
    assert "make test-arm" in only_error(capsys.readouterr().err)
    assert table.read_bytes() == before
