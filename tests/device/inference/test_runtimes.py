"""The same bundle on every runtime, and the device package where nothing else is installed.

The environments and the wheel are made by `make test`.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.contract import bundle as contract
from device.contract.photos import load_photo
from device.inference.classifier import Classifier
from tests.support.cli import PROCESS_LIMIT_S, device, lines
from tests.support.device.bundle_files import with_other_answers
from tests.support.pictures import LABELS, RULES
from tests.support.places import BUILD, ROOT

MAX_WHEEL_BYTES = 441_500
"""Just above what it has, so that nothing large slips in."""
STEPS = 256
TFLITE = "tflite-runtime"


def environment(name: str, otherwise: str) -> Path:
    """The Python of an environment that the Makefile made."""
    python = BUILD / name / "bin" / "python"
    if not (BUILD / name).is_dir():
        pytest.skip(f"{BUILD / name} is not there: run these tests with `make test`")
    if not python.exists():
        pytest.skip(otherwise)
    return python


@pytest.fixture(scope="module")
def tflite_python() -> Path:
    """Python 3.11 with tflite-runtime 2.14, NumPy 1 and Pillow, and nothing else."""
    return environment("venv-tflite", "no Python 3.11 here, the newest that tflite-runtime knows")


@pytest.fixture(scope="module")
def device_python() -> Path:
    """A Python with device/locks/device.txt and nothing else."""
    return environment("venv-device", "the device's environment was not made whole")


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel of the device package."""
    wheels = sorted((BUILD / "wheel").glob("*.whl"))
    if not wheels:
        pytest.skip(f"no wheel in {BUILD / 'wheel'}: run these tests with `make test`")
    assert len(wheels) == 1
    return wheels[0]


def check(python: Path, code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(python), "-c", code],
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
        **options,
    )


# --- tflite-runtime 2.14 ----------------------------------------------------------------------


def test_the_environment_has_the_runtime_that_ended_and_no_other(tflite_python: Path) -> None:
    code = (
        "import importlib.metadata as m, importlib.util as u, numpy;"
        "assert m.version('tflite-runtime') == '2.14.0';"
        "assert numpy.__version__.startswith('1.');"
        "assert not u.find_spec('ai_edge_litert') and not u.find_spec('tensorflow')"
    )
    run = check(tflite_python, code)
    assert run.returncode == 0, run.stderr


def test_a_bundle_made_by_today_s_converter_says_the_same_on_tflite_runtime(
    tflite_python: Path, tiny_bundle: Path, tiny_photos: Sequence[Path]
) -> None:
    run = device("classify", "--bundle", tiny_bundle, "--json", *tiny_photos, python=tflite_python)
    assert run.returncode == 0 and run.stderr == ""
    there = lines(run.stdout)
    here = lines(device("classify", "--bundle", tiny_bundle, "--json", *tiny_photos).stdout)
    assert [record["label"] for record in there] == [record["label"] for record in here]
    assert {record["label"] for record in there} == set(LABELS)
    steps = contract.load(tiny_bundle).manifest["tolerance"][TFLITE]["max_steps"]
    assert difference(there, here) <= steps / STEPS


def difference(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> float:
    """The largest difference of a probability."""
    rows = [[list(record["scores"].values()) for record in records] for records in (some, others)]
    return float(np.abs(np.array(rows[0]) - rows[1]).max())


def test_the_self_test_passes_on_tflite_runtime(tflite_python: Path, tiny_bundle: Path) -> None:
    run = device("selftest", "--bundle", tiny_bundle.with_name("bundle.tar"), python=tflite_python)
    assert run.returncode == 0 and run.stderr == ""
    assert "4 golden photos on tflite-runtime 2.14.0" in run.stdout
    assert run.stdout.endswith("top-1 equal on 4\n")


def test_the_self_test_on_tflite_runtime_still_fails_on_other_outputs(
    tflite_python: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    forged = with_other_answers(tiny_bundle, tmp_path / "b")
    run = device("selftest", "--bundle", forged, python=tflite_python)
    assert run.returncode == 1 and run.stdout == ""
    assert "probabilities differs by" in run.stderr and run.stderr.count("\n") == 1


def test_forcing_the_runtime_that_is_missing_there_is_one_line(
    tflite_python: Path, tiny_bundle: Path
) -> None:
    run = device(
        "selftest", "--bundle", tiny_bundle, "--runtime", "ai-edge-litert", python=tflite_python
    )
    assert run.returncode == 1 and run.stderr.startswith("error: no TFLite runtime here")
    assert run.stderr.count("\n") == 1


def test_pictures_are_prepared_to_the_same_bytes_on_numpy_1(
    tflite_python: Path, tiny_photos: Sequence[Path]
) -> None:
    code = (
        "import sys, hashlib; from pathlib import Path;"
        "from device.contract.photos import load_photo;"
        "from device.contract.preprocess import Preprocessing;"
        f"rules = Preprocessing(height_px={RULES.height_px}, width_px={RULES.width_px});"
        "print(hashlib.sha256(b''.join(load_photo(Path(line.strip()), rules).tobytes()"
        " for line in sys.stdin)).hexdigest())"
    )
    names = "\n".join(map(str, tiny_photos))
    there, here = (
        check(python, code, input=names, cwd=ROOT)
        for python in (tflite_python, Path(sys.executable))
    )
    assert there.returncode == 0, there.stderr
    assert len(there.stdout.strip()) == 64 and there.stdout == here.stdout


# --- the device package alone -----------------------------------------------------------------


def test_the_wheel_is_small_and_holds_the_device_package_alone(wheel: Path) -> None:
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    (information,) = tops - {"device"}
    assert information.endswith(".dist-info")
    modules = {name for name in names if name.startswith("device/")}
    there = [
        path
        for kind in ("*.py", "*.toml", "*.html", "*.css", "*.js", "py.typed")
        for path in ROOT.glob(f"device/**/{kind}")
    ]
    expected = {path.relative_to(ROOT).as_posix() for path in there}
    stays = ("device/image/", "device/deploy/", "device/fleet/", "device/workstation/")
    assert modules == {name for name in expected if not name.startswith(stays)}


@pytest.fixture(scope="module")
def installed(
    device_python: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment variables under which the installed device package alone is found."""
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    run = subprocess.run(
        [str(device_python), "-m", "pip", "install", *options, "--target", str(target), str(wheel)],
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return {"PYTHONPATH": str(target)}


def test_nothing_of_the_workstation_is_there(
    device_python: Path, installed: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import importlib.util as u, sys, device;"
        "print(device.__file__);"
        "found = [n for n in sys.argv[1:] if u.find_spec(n)];"
        "print(found)"
    )
    heavy = ["tensorflow", "keras", "train", "convert", "matplotlib", "scipy", "sklearn", "rich"]
    run = subprocess.run(
        [str(device_python), "-c", code, *heavy],
        cwd=tmp_path,
        env=installed,
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )
    where, found = run.stdout.splitlines()
    assert where.startswith(installed["PYTHONPATH"]) and found == "[]"


def test_the_installed_package_alone_classifies_a_photo(
    device_python: Path,
    installed: dict[str, str],
    tiny_bundle: Path,
    tiny_photos: Sequence[Path],
    tiny_classifier: Classifier,
    tmp_path: Path,
) -> None:
    run = device(
        "classify",
        "--bundle",
        tiny_bundle,
        "--json",
        *tiny_photos,
        python=device_python,
        cwd=tmp_path,
        environment=installed,
    )
    assert run.returncode == 0 and run.stderr == ""
    for record, path in zip(lines(run.stdout), tiny_photos, strict=True):
        expected = tiny_classifier.classify(load_photo(path, RULES)).record()
        assert record == {"path": str(path), "seen": None, "box": None, **expected}


def test_the_installed_package_alone_serves_a_folder(
    device_python: Path,
    installed: dict[str, str],
    tiny_bundle: Path,
    tiny_photos: Sequence[Path],
    tmp_path: Path,
) -> None:
    config = tmp_path / "fieldguide.toml"
    source = tiny_photos[0].parent
    config.write_text(f'bundle.path = "{tiny_bundle}"\ncamera.source = "{source}"\n')
    there: dict[str, Any] = {"python": device_python, "cwd": tmp_path, "environment": installed}
    run = device("serve", "--config", config, **there)
    assert run.returncode == 0 and run.stderr.startswith("INFO: model: tiny (ai-edge-litert")
    assert lines(run.stdout)[-1]["source"].startswith(str(source))


def test_the_installed_package_alone_tells_whether_the_service_can_work(
    device_python: Path, installed: dict[str, str], tiny_bundle: Path, tmp_path: Path
) -> None:
    config = tmp_path / "fieldguide.toml"
    config.write_text(f'bundle.path = "{tiny_bundle}"\ncamera.source = "{tmp_path}"\n')
    there: dict[str, Any] = {"python": device_python, "cwd": tmp_path, "environment": installed}
    run = device("doctor", "--json", "--config", config, **there)
    assert run.returncode == 0 and run.stderr == "", run.stdout
    states = {found["check"]: found["state"] for found in json.loads(run.stdout)["findings"]}
    assert states["self-test on ai-edge-litert"] == "ok" and states["settings"] == "ok"


def test_the_installed_package_alone_passes_its_self_test_and_measures_itself(
    device_python: Path, installed: dict[str, str], tiny_bundle: Path, tmp_path: Path
) -> None:
    there: dict[str, Any] = {
        "python": device_python,
        "cwd": tmp_path,
        "environment": installed,
    }
    run = device("selftest", "--bundle", tiny_bundle, **there)
    assert run.returncode == 0 and "0 steps" in run.stdout
    run = device("benchmark", "--bundle", tiny_bundle, "--frames", "3", "--json", **there)
    assert run.returncode == 0 and lines(run.stdout)[0]["frames"] == 3
