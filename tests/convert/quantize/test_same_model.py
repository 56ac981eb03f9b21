"""One network and one calibration set give one int8 model, whatever machine quantizes them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from device.contract import bundle as contract
from tests.support.build_folder import CALIBRATION_PHOTOS, Build
from tests.support.places import ROOT

OTHER_INSTRUCTIONS = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "NEHALEM",
}
"""How TensorFlow, NumPy and its BLAS compute on a processor without the newer vectors."""


def exported(build: Build, out: Path, *before: str, **environment: str) -> bytes:
    """The int8 model as another process makes it, with so many cores and such instructions."""
    command = [
        *before,
        sys.executable,
        *("-m", "convert", "export", "--training", str(build.train), "--out", str(out)),
        *("--calibration-photos", str(CALIBRATION_PHOTOS)),
    ]
    values = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment}
    done = subprocess.run(
        command, cwd=ROOT, env=values, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return (out / contract.MODEL).read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
def test_any_number_of_cores_makes_the_same_model(build: Build, tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core here")
    core = str(min(os.sched_getaffinity(0)))
    whole = (build.folder / "convert" / contract.MODEL).read_bytes()
    assert exported(build, tmp_path, "taskset", "-c", core) == whole


@pytest.mark.slow
def test_older_vector_instructions_make_the_same_model(build: Build, tmp_path: Path) -> None:
    whole = (build.folder / "convert" / contract.MODEL).read_bytes()
    assert exported(build, tmp_path, **OTHER_INSTRUCTIONS) == whole
