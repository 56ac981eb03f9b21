"""Promises of `doctor` about packages and runtimes."""

from dataclasses import replace
from pathlib import Path

import pytest

from device.contract.bundle import load
from device.doctor import software
from device.doctor.finding import FAILED, OK, WARNING
from device.errors import SelfTestError
from device.inference.threads import Workload
from device.inference.trial import Check
from device.settings.sections import (
    Config,
    InferenceConfig,
    OutputConfig,
    PrometheusConfig,
    WebConfig,
)
from tests.support.cli import assert_one_error_line, device
from tests.support.device.fake_host import states, the

# --- outputs --------------------------------------------------------------------------------------


def test_a_server_without_its_packages_fails_with_the_way_to_them() -> None:
    on = OutputConfig(web=WebConfig(enabled=True), prometheus=PrometheusConfig(enabled=True))
    settings = Config(output=on)
    found = list(software.servers(settings, lambda name: {"h11": "0.16.0"}.get(name, "")))
    assert states(found) == {"packages of web": OK, "packages of prometheus": FAILED}
    finding = the(found, "packages of prometheus")
    assert finding.found == "prometheus-client not installed"
    assert finding.fix == "pip install 'fieldguide-device[outputs]'"
    assert the(found, "packages of web").found == "h11 0.16.0"
    assert list(software.servers(Config(), software.installed)) == []
    assert {f.state for f in software.servers(settings, software.installed)} == {OK}


# --- picamera2 ------------------------------------------------------------------------------------


def venv(tmp_path: Path, system: str) -> Path:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr\ninclude-system-site-packages = {system}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("installed", "system", "problem", "state", "words"),
    [
        (False, "true", "", FAILED, "apt install python3-picamera2"),
        (True, "false", "", FAILED, "--system-site-packages"),
        (True, "true", "ValueError: numpy.dtype size changed", FAILED, "pip uninstall numpy"),
        (True, "true", "ImportError: libcamera.so", FAILED, "--reinstall"),
        (True, "true", software.NO_CAMERA, FAILED, "ribbon cable"),
        (True, "true", "", OK, ""),
    ],
)
def test_what_hides_csi_cameras_is_named(
    installed: bool, system: str, problem: str, state: str, words: str, tmp_path: Path
) -> None:
    packages = tmp_path / "dist-packages"
    (packages / "picamera2" if installed else packages).mkdir(parents=True)
    finding = software.picamera2(
        lambda _: problem, needed=True, system=packages, venv=venv(tmp_path, system)
    )
    assert finding.state == state and words in finding.fix
    optional = software.picamera2(
        lambda _: problem, needed=False, system=packages, venv=venv(tmp_path, system)
    )
    assert optional.state == (OK if state == OK else WARNING)


def test_the_question_for_a_csi_camera_can_be_answered(tmp_path: Path) -> None:
    module = tmp_path / "picamera2.py"
    text = "class Picamera2:\n    global_camera_info = staticmethod(lambda: {})\n"
    for answer, problem in (("[]", software.NO_CAMERA), ("[1]", "")):
        module.write_text(text.replace("{}", answer))
        statement = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        assert software.in_child(statement + software.CSI_CAMERA) == problem


# --- software -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), FAILED), ((3, 13), OK), ((3, 14), FAILED)]
)
def test_a_python_without_runtimes_is_told(version: tuple[int, ...], state: str) -> None:
    assert software.python(version).state == state


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ({"numpy": "2.1.0", "tflite-runtime": "2.14.0"}, FAILED),
        ({"numpy": "1.26.4", "tflite-runtime": "2.14.0"}, OK),
        ({"numpy": "2.1.0", "ai-edge-litert": "2.3.0"}, OK),
        ({"numpy": "2.1.0", "ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0"}, OK),
    ],
)
def test_a_numpy_that_the_runtime_was_not_built_for_is_told(
    versions: dict[str, str], state: str
) -> None:
    found = software.numpy_abi(lambda name: versions.get(name, ""), versions["numpy"])
    assert found.state == state


def test_a_numpy_that_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text(
        "raise ImportError('Importing the numpy C-extensions failed.\\n\\nlibopenblas.so.0')"
    )
    run = device("doctor", environment={"PYTHONPATH": str(tmp_path)})
    words = "NumPy cannot be imported (libopenblas.so.0)"
    assert_one_error_line((run.returncode, run.stdout, run.stderr), words)


def test_without_a_runtime_the_reasons_are_told() -> None:
    finding = software.runtime(lambda statement: f"no {statement.split()[-1]}")
    assert finding.state == FAILED and "no tflite_runtime.interpreter" in finding.found
    assert software.runtime(lambda _: "").state == OK


def test_a_runtime_that_rounds_otherwise_is_told() -> None:
    finding = software.runtime(lambda statement: "missing" if "litert" in statement else "")
    assert finding.state == OK and finding.found.startswith("tflite-runtime")
    assert "ai-edge-litert gives the same" in finding.found
    assert "rounds" not in software.runtime(lambda _: "").found


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("pass", ""),
        ("raise ValueError('numpy.dtype')", "ValueError: numpy.dtype"),
        ("import os; os.kill(os.getpid(), 11)", "it crashed (signal 11)"),
        ("import sys; sys.exit(3)", "status 3"),
    ],
)
def test_what_crashes_a_child_leaves_the_doctor_alive(statement: str, problem: str) -> None:
    assert software.in_child(statement) == problem


def test_a_model_newer_than_the_runtime_is_told(tiny_bundle: Path) -> None:
    loaded = load(tiny_bundle)
    newer = replace(loaded, manifest={**loaded.manifest, "oldest_runtime": "TFLite 2.16.1"})

    def old(name: str) -> str:
        return "2.14.0" if name == "tflite-runtime" else ""

    assert software.operators(loaded, old).state == OK
    finding = software.operators(newer, old)
    assert finding.state == FAILED and "ai-edge-litert" in finding.fix
    both = {"tflite-runtime": "2.14.0", "ai-edge-litert": "2.3.0"}
    assert software.operators(newer, lambda name: both.get(name, "")).state == OK


class Guarded:
    """A guard whose runtimes fail as told."""

    def __init__(self, **problems: str) -> None:
        self.problems = problems

    def check(
        self, bundle: object, name: str, config: InferenceConfig, workload: Workload
    ) -> Check:
        if name in self.problems:
            raise SelfTestError(self.problems[name])
        return Check(2, ahead=True, invoke_s=0.003, frame_s=0.004)


def test_a_failing_edge_tpu_is_a_warning_while_the_cpu_passes(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ("edgetpu", "ai-edge-litert")
    monkeypatch.setattr(software, "candidates", lambda *_: both)
    loaded, crashed = load(tiny_bundle), "the interpreter crashed in its self-test (SIGSEGV)"
    found = software.self_tests(loaded, Config(), Guarded(edgetpu=crashed))  # type: ignore[arg-type]
    assert states(found) == {"self-test on ai-edge-litert": OK, "self-test on edgetpu": WARNING}
    guard = Guarded(
        **{name: "Didn't find op for builtin opcode 'CONV_2D' version '5'" for name in both}
    )
    failed = list(software.self_tests(loaded, Config(), guard))  # type: ignore[arg-type]
    assert set(states(failed).values()) == {FAILED}
    assert "newer than the runtime" in the(failed, "self-test on ai-edge-litert").fix
