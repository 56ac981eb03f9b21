"""What the Edge TPU compiler says: its log, its failures, and the gate.

The compiler itself cannot be installed everywhere; a script that writes what it writes stands in.
"""

import math
import os
import shutil
import stat
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert.artifacts.exported import Export, read_export
from convert.artifacts.training import Training
from convert.commands import verify as verification
from convert.commands.verify import VerifyInputs, require_shipping, verify_models
from convert.config import ConvertConfig, Gate
from convert.errors import GateError
from convert.pack import bundle
from convert.quantize.known import known_features
from convert.quantize.plan import Plan
from convert.targets import edgetpu
from convert.targets.edgetpu import (
    COMPILER,
    MAPPED,
    STRANDED,
    compile_model,
    failures,
    parse_log,
    place_operators,
)
from device.contract import bundle as contract
from device.workstation.conversion import FLOAT_MODEL, VERIFICATION, VerificationRecord
from device.workstation.training import Part
from tests.support.timing import eventually, slowdown

# As version 16 prints it with -s; the layout of a public log (google-coral/edgetpu#490).
LOG = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 623 ms.

Input model: model.tflite
Input size: 2.58MiB
Output model: model_edgetpu.tflite
Output size: 3.04MiB
On-chip memory used for caching model parameters: 2.81MiB
Number of Edge TPU subgraphs: 1
Total number of operations: {total}
Operation log: model_edgetpu.log
{note}
Operator                       Count      Status

{rows}
Compilation child process completed within timeout period.
Compilation succeeded!
"""
NOTE = """
Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of \
the model will instead run on the CPU, which is slower. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 1
Number of operations that will run on CPU: 2
"""

Install = Callable[[str], None]
Verify = Callable[..., Path]


@pytest.fixture(scope="module")
def model(tiny_models: dict[str, bytes]) -> bytes:
    return tiny_models[contract.MODEL]


def log(rows: list[tuple[str, int, str]], note: str = "") -> str:
    lines = "\n".join(f"{name:<31}{count:<11}{status}" for name, count, status in rows)
    return LOG.format(total=sum(count for _, count, _ in rows), note=note, rows=lines)


def all_mapped(model: bytes) -> list[tuple[str, int, str]]:
    counts = Counter(verdict.operator for verdict in place_operators(model))
    return [(name, count, MAPPED) for name, count in counts.items()]


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a script called `edgetpu_compiler` on the PATH, and nothing else."""

    def install(script: str) -> None:
        path = tmp_path / "bin" / COMPILER
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return install


def writes(text: str) -> str:
    """A compiler that takes `-s -o FOLDER MODEL` and leaves a model and a log there."""
    return f"""\
[ "$1 $2" = "-s -o" ] || exit 9
stem="$3/$(basename "$4" .tflite)_edgetpu"
cat > "$stem.log" <<'END'
{text}
END
cat "$stem.log"
(printf 'compiled '; cat "$4") > "$stem.tflite"
"""


# --- the compiler -----------------------------------------------------------------------------


def test_without_the_compiler_nothing_is_compiled_and_the_summary_says_so(
    model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert compile_model(model) is None
    assert "not installed here" in edgetpu.summary(place_operators(model), None)


def test_a_log_with_everything_mapped_passes(model: bytes, compiler: Install) -> None:
    compiler(writes(log(all_mapped(model))))
    done = compile_model(model)
    assert done is not None and done.version == "16.0.384591198" and not done.failure
    assert done.model == b"compiled " + model
    assert failures(place_operators(model), done) == []


def test_operators_that_the_compiler_left_are_named_with_its_reason(
    model: bytes, compiler: Install
) -> None:
    why = "Operation is otherwise supported, but not mapped due to some unspecified limitation"
    rows = [row for row in all_mapped(model) if row[0] not in ("QUANTIZE", "SOFTMAX")]
    rows += [("QUANTIZE", 3, MAPPED), ("QUANTIZE", 1, why), ("SOFTMAX", 1, STRANDED)]
    compiler(writes(log(rows, NOTE)))
    assert failures(place_operators(model), compile_model(model)) == [
        f"1 QUANTIZE: {why}",
        f"1 SOFTMAX: {STRANDED}",
    ]


def test_a_log_that_does_not_tell_of_every_operator_is_no_proof(
    model: bytes, compiler: Install
) -> None:
    compiler(writes(log([("CONV_2D", 3, MAPPED)])))
    (failure,) = failures(place_operators(model), compile_model(model))
    assert failure == f"{COMPILER}'s log tells of 3 of {len(place_operators(model))} operators"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'Edge TPU Compiler version 16.0'; echo 'Invalid model: x'; exit 1", "Invalid model"),
        ("echo 'Internal compiler error. Aborting!'; exit 0", "without a model"),
        ("exit 3", "status 3"),
    ],
)
def test_a_compiler_that_fails_is_quoted(
    model: bytes, compiler: Install, script: str, reason: str
) -> None:
    compiler(script)
    (failure,) = failures(place_operators(model), compile_model(model))
    assert failure.startswith(COMPILER) and reason in failure


def test_a_compiler_that_hangs_is_killed_with_its_children(
    model: bytes, compiler: Install, tmp_path: Path
) -> None:
    compiler(f"(sleep 600; touch {tmp_path / 'survived'}) & echo $! > {tmp_path / 'child'}; wait")
    # On a busy machine it takes longer until the child is there.
    limit_s, started = math.ceil(slowdown()), time.monotonic()
    done = compile_model(model, time_limit_s=limit_s)
    assert done is not None and f"did not end within {limit_s} s" in done.failure
    assert time.monotonic() - started < limit_s + 30, "it did not wait for the child"
    child = int((tmp_path / "child").read_text())
    eventually(lambda: _ended(child))


def _ended(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True
    return state.rsplit(")", 1)[1].split()[0] == "Z"


def test_rows_of_the_log_count_once_though_it_is_printed_twice() -> None:
    text = log([("CONV_2D", 35, MAPPED), ("ADD", 10, MAPPED)])
    assert parse_log(text + text) == parse_log(text)
    assert parse_log(text)[1] == (("CONV_2D", 35, MAPPED), ("ADD", 10, MAPPED))
    assert parse_log("nothing of the kind") == ("unknown", ())


# --- the gate ---------------------------------------------------------------------------------


@pytest.fixture
def verify(
    tiny_models: dict[str, bytes],
    tiny_training: Training,
    tiny_network: Any,
    tmp_path: Path,
    tiny_plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Path]:
    """`convert verify` on the tiny models; gives the folder of models and record."""

    def run(**settings: Any) -> Path:
        photos = tiny_training.photos[Part.TRAIN]
        float32, int8 = (tiny_models[name] for name in (FLOAT_MODEL, contract.MODEL))
        statistics = known_features(tiny_training, int8)
        Export(float32, int8, tiny_plan.scales, statistics, 0, photos, "tested").write(tmp_path)
        monkeypatch.setattr(verification, "read_training", lambda folder: tiny_training)
        monkeypatch.setattr(verification, "load_network", lambda path: tiny_network)
        config, report = ConvertConfig(**settings), tmp_path / "report.html"
        inputs = VerifyInputs(tiny_training.folder, tmp_path, report, config)
        require_shipping(verify_models(inputs))
        return tmp_path

    return run


def leaves_the_softmax(model: bytes) -> str:
    rows = [row for row in all_mapped(model) if row[0] != "SOFTMAX"]
    return writes(log([*rows, ("SOFTMAX", 1, "Operation version not supported")], NOTE))


def test_operators_left_on_the_cpu_stop_the_build_unless_allowed(
    model: bytes, verify: Verify, compiler: Install, tmp_path: Path
) -> None:
    compiler(leaves_the_softmax(model))
    with pytest.raises(GateError, match=r"1 SOFTMAX: .*ALLOW_CPU_OPERATORS=1") as caught:
        verify()
    assert caught.value.exit_status != 0
    path = tmp_path / VERIFICATION
    with pytest.raises(GateError, match="SOFTMAX"):
        bundle.read_verification(path, model)
    out = verify(allow_cpu_operators=True)
    record = VerificationRecord.read(out / VERIFICATION)
    assert record.edge_tpu.cpu_operators_allowed and record.edge_tpu.failures
    assert bundle.read_verification(path, model) == record


@pytest.mark.slow
@pytest.mark.long
def test_a_failed_gate_and_operators_left_on_the_cpu_are_told_at_once(
    model: bytes, verify: Verify, compiler: Install
) -> None:
    compiler(leaves_the_softmax(model))
    with pytest.raises(GateError, match=r"Most noise comes from .*1 SOFTMAX: "):
        verify(gate=Gate(max_mean_divergence_bits=-1.0))


def test_the_compiled_model_is_in_the_bundle_under_its_hash(
    model: bytes,
    verify: Verify,
    compiler: Install,
    tiny_training: Training,
    tmp_path: Path,
) -> None:
    compiler(writes(log(all_mapped(model))))
    record = VerificationRecord.read(verify() / VERIFICATION)
    assert record.edge_tpu.compiler is not None
    assert record.edge_tpu.compiler.version == "16.0.384591198"
    compiled = (tmp_path / contract.EDGETPU_MODEL).read_bytes()
    exported = read_export(tmp_path, tiny_training)
    files = bundle.build(bundle.Inputs(tiny_training, exported, record, compiled, golden_photos=1))
    bundle.write_folder(tmp_path / "packed", files)
    loaded = contract.load(tmp_path / "packed")
    assert loaded.manifest["files"][contract.EDGETPU_MODEL] == contract.file_record(compiled)
    assert loaded.manifest["verification"]["edge_tpu"]["failures"] == []


def test_a_compiled_model_of_another_day_does_not_stay(
    verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / contract.EDGETPU_MODEL).write_bytes(b"old")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    record = VerificationRecord.read(verify() / VERIFICATION)
    assert record.edge_tpu.compiler is None and record.edge_tpu.failures == ()
    assert not (tmp_path / contract.EDGETPU_MODEL).exists()
