"""The network for microcontrollers: its C array is the verified model, its arena is enough."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import convert.__main__ as conversion
from convert.targets.micro import ARENA_STEP_BYTES, RESOLVERS, Measurement, measure_arena, sources
from device.contract import bundle as contract
from tests.support.cli import only_error
from tests.support.device.bundle_files import with_other_answers

SIZE_LIMIT_BYTES = 1024 * 1024


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> contract.Bundle:
    return contract.load(tiny_bundle)


@pytest.fixture(scope="module")
def measured(bundle: contract.Bundle) -> Measurement:
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
    return measure_arena(bundle)


def test_tflite_micro_gives_the_golden_outputs(
    bundle: contract.Bundle, measured: Measurement
) -> None:
    assert measured.n == len(bundle.golden_arrays()["inputs"]) == 4
    assert measured.agree == measured.n and measured.max_steps <= 12
    assert measured.max_feature_steps <= 32


def test_the_model_is_small_enough_to_be_real(
    bundle: contract.Bundle, measured: Measurement
) -> None:
    assert len(bundle.model) < SIZE_LIMIT_BYTES
    # At least the first convolution's input and output, and not all tensors at once.
    assert 48 * 48 * 16 + 96 * 96 * 3 < measured.arena_bytes < SIZE_LIMIT_BYTES / 2
    assert measured.arena_bytes % ARENA_STEP_BYTES == 0


def test_the_arena_is_the_smallest_that_works(
    bundle: contract.Bundle, measured: Measurement, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(bundle.model)
    code = (
        "import sys; from tflite_micro import runtime; model = open(sys.argv[1], 'rb').read();"
        "runtime.Interpreter.from_bytes(model, arena_size=int(sys.argv[2]))"
    )
    for arena, works in ((measured.arena_bytes, True), (measured.arena_bytes - 1024, False)):
        command = [sys.executable, "-c", code, str(tmp_path / "model"), str(arena)]
        run = subprocess.run(command, capture_output=True, check=False)
        assert (run.returncode == 0) == works


def test_the_c_array_is_the_model(bundle: contract.Bundle) -> None:
    files = sources(bundle, Measurement(1024, 0, 0, 4, 4))
    body = files["model.cc"].split("{", 1)[1]
    numbers = bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2}),", body))
    assert numbers == bundle.model
    assert "alignas(16) const" in files["model.cc"]
    assert f"kModelBytes = {len(bundle.model)}" in files["model.h"]
    assert '{"red", "green", "blue"}' in files["model.h"]


def test_the_readme_lists_each_operator_once(bundle: contract.Bundle) -> None:
    text = sources(bundle, Measurement(1024, 0, 0, 4, 4))["README.md"]
    assert "MicroMutableOpResolver<6>" in text
    assert sorted(re.findall(r"resolver\.(\w+)\(\)", text)) == sorted(RESOLVERS.values())


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_the_sources_compile_and_hold_the_model(bundle: contract.Bundle, tmp_path: Path) -> None:
    for name, text in sources(bundle, Measurement(4096, 0, 0, 4, 4)).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "main.cc").write_text(
        '#include <cstdio>\n#include "model.h"\n'
        "int main() { std::fwrite(kModel, 1, kModelBytes, stdout); "
        "return reinterpret_cast<std::uintptr_t>(kModel) % 16; }\n"
    )
    flags = ["-std=c++17", "-Wall", "-Werror", "-o", "program", "main.cc", "model.cc"]
    subprocess.run(["g++", *flags], cwd=tmp_path, check=True)
    run = subprocess.run([str(tmp_path / "program")], capture_output=True, check=False)
    assert run.returncode == 0 and run.stdout == bundle.model


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_labels_of_any_script_reach_the_firmware_as_utf_8(
    bundle: contract.Bundle, tmp_path: Path
) -> None:
    labels = ("Löwenzahn", "🌻 sun", 'a"b\\c', "x??/y7", "")
    for name, text in sources(
        replace(bundle, labels=labels), Measurement(4096, 0, 0, 4, 4)
    ).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "main.cc").write_text(
        '#include <cstdio>\n#include "model.h"\n'
        "int main() { for (const char* label : kLabels) std::puts(label); }\n"
    )
    flags = ["-std=c++14", "-Wall", "-Werror", "-o", "program", "main.cc"]
    subprocess.run(["g++", *flags], cwd=tmp_path, check=True)
    run = subprocess.run([str(tmp_path / "program")], capture_output=True, check=True)
    assert tuple(run.stdout.decode().removesuffix("\n").split("\n")) == labels


def test_the_command_writes_the_files_and_says_what_it_measured(
    tiny_bundle: Path, measured: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["micro", "--bundle", str(tiny_bundle), "--out", str(tmp_path)]
    assert conversion.main(arguments) == 0
    assert f"arena {measured.arena_bytes:,} bytes" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"model.cc", "model.h", "README.md"}


def test_other_outputs_than_the_golden_ones_are_refused(
    tiny_bundle: Path, measured: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = with_other_answers(tiny_bundle, tmp_path / "b")
    arguments = ["micro", "--bundle", str(forged), "--out", str(tmp_path / "cpp")]
    assert conversion.main(arguments) == 3
    assert "outputs of tflite-micro differ" in only_error(capsys.readouterr().err)
    assert not (tmp_path / "cpp").exists()
