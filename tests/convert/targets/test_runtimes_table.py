"""What runtimes are said to load is what they load; what they would refuse does not ship."""

import subprocess
import sys
from pathlib import Path

import pytest

import convert.__main__ as conversion
from convert.artifacts.exported import Export
from convert.artifacts.training import Training
from convert.commands import verify
from convert.commands.verify import VerifyInputs, verify_models
from convert.config import ConvertConfig
from convert.errors import ConversionError, GateError, InputError
from convert.targets import runtimes
from convert.targets.measure_runtimes import measure_runtime, one_operator
from convert.targets.runtimes import Support
from convert.tflite.flatbuffer import operator_name, pack, parse, read_facts
from device.contract import bundle as contract
from device.workstation.conversion import FLOAT_MODEL
from device.workstation.training import Part
from tests.support.cli import PROCESS_LIMIT_S, only_error
from tests.support.device.known import STATISTICS
from tests.support.places import BUILD

OPERATORS = ["ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "QUANTIZE", "SOFTMAX"]
ENVIRONMENTS = {
    "tflite-runtime 2.14.0": BUILD / "venv-tflite" / "bin" / "python",
    "ai-edge-litert 1.0.0": BUILD / "venv-litert-oldest" / "bin" / "python",
    "ai-edge-litert 2.3.0": Path(sys.executable),
}


@pytest.fixture(scope="module")
def model(tiny_models: dict[str, bytes]) -> bytes:
    return tiny_models[contract.MODEL]


@pytest.fixture(scope="module")
def table() -> dict[str, Support]:
    return {support.name: support for support in runtimes.read_runtimes()}


def raised(model: bytes, name: str, version: int) -> bytes:
    """The same model, saying that it needs another version of an operator."""
    tree = parse(model)
    for code in tree.operatorCodes:
        if operator_name(code) == name:
            code.version = version
    return pack(tree)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_table_is_what_the_runtimes_load(
    name: str, model: bytes, table: dict[str, Support]
) -> None:
    python = ENVIRONMENTS[name]
    if not python.exists():
        pytest.skip(f"{python} is not there: run these tests with `make test` and a Python 3.11")
    assert measure_runtime(python, model, OPERATORS) == table[name]


def test_the_table_names_the_runtimes_that_ship_and_no_others(table: dict[str, Support]) -> None:
    assert set(table) == set(ENVIRONMENTS)
    assert {support.package for support in table.values()} == set(runtimes.REQUIRED)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_model_that_the_table_refuses_is_refused_by_the_runtime(
    name: str, model: bytes, table: dict[str, Support]
) -> None:
    highest = table["ai-edge-litert 2.3.0"].operators[name]
    code = (
        "import sys; from ai_edge_litert.interpreter import Interpreter;"
        "Interpreter(model_content=sys.stdin.buffer.read())"
    )
    for version, status in ((highest, 0), (highest + 1, 1)):
        run = subprocess.run(
            [sys.executable, "-c", code],
            input=raised(model, name, version),
            capture_output=True,
            timeout=PROCESS_LIMIT_S,
            check=False,
        )
        assert run.returncode == status
    assert b"Didn't find op for builtin opcode" in run.stderr


def test_the_shipped_operators_run_on_every_measured_runtime(
    model: bytes, table: dict[str, Support]
) -> None:
    operators = read_facts(model).operators
    assert set(operators) == set(OPERATORS)
    assert not any(support.refusals(operators) for support in table.values())
    record = runtimes.runtime_needs(operators, runtimes.read_runtimes())
    assert record["oldest_runtime"] == "tflite-runtime 2.14.0 or ai-edge-litert 1.0.0"
    assert record["operators"] == operators


def test_the_oldest_runtime_is_the_first_that_has_every_version() -> None:
    table = (
        Support("tflite-runtime", "2", {"ADD": 2}),
        Support("ai-edge-litert", "1", {"ADD": 1}),
        Support("ai-edge-litert", "2", {"ADD": 2}),
    )
    found = runtimes.oldest_runtimes({"ADD": 2}, table)
    assert found == {"tflite-runtime": "2", "ai-edge-litert": "2"}


def test_the_refusal_names_operator_version_and_runtime() -> None:
    table = runtimes.read_runtimes()
    with pytest.raises(GateError) as caught:
        runtimes.oldest_runtimes({"CONV_2D": 8}, table)
    assert "tflite-runtime 2.14.0 has CONV_2D up to version 7" in str(caught.value)
    assert "needs version 8" in str(caught.value) and "litert" not in str(caught.value)
    with pytest.raises(GateError, match=r"2\.3\.0 has NEW_OPERATOR up to version 0"):
        runtimes.oldest_runtimes({"NEW_OPERATOR": 1}, table)


def test_verify_stops_a_model_that_a_required_runtime_would_not_load(
    model: bytes,
    tiny_models: dict[str, bytes],
    tiny_training: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = raised(model, "CONV_2D", 9)
    photos = tiny_training.photos[Part.TRAIN]
    Export(tiny_models[FLOAT_MODEL], newer, {}, STATISTICS, 0, photos, "a commit").write(tmp_path)
    monkeypatch.setattr(verify, "read_training", lambda folder: tiny_training)
    config = ConvertConfig(allow_regression=True)
    inputs = VerifyInputs(tiny_training.folder, tmp_path, tmp_path / "report.html", config)
    with pytest.raises(GateError, match=r"CONV_2D up to version 7.*needs version 9"):
        verify_models(inputs)


def test_one_operator_models_keep_shapes_and_types(model: bytes) -> None:
    facts = read_facts(one_operator(model, "CONV_2D", 5))
    assert facts.operators == {"CONV_2D": 5} and facts.operator_counts == {"CONV_2D": 1}
    with pytest.raises(InputError, match="no CUMSUM"):
        one_operator(model, "CUMSUM", 1)


def test_packing_what_was_parsed_gives_the_same_bytes_and_keeps_data_aligned(model: bytes) -> None:
    again = pack(parse(model))
    assert pack(parse(again)) == again
    for buffer in parse(again).buffers:
        if buffer.data is not None and len(buffer.data) >= 64:
            assert again.index(bytes(buffer.data)) % 16 == 0


def test_a_damaged_table_and_a_missing_runtime_are_one_line(
    model: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runtimes.json").write_text("[{}]")
    with pytest.raises(ConversionError, match="make runtimes"):
        runtimes.read_runtimes(tmp_path / "runtimes.json")
    (tmp_path / "model").write_bytes(model)
    arguments = ["runtimes", "--model", str(tmp_path / "model"), "--python", "/nowhere/python"]
    assert conversion.main([*arguments, "--out", str(tmp_path / "out.json")]) == 1
    assert "/nowhere/python" in only_error(capsys.readouterr().err)
    assert not (tmp_path / "out.json").exists()
