"""One network and one calibration set give one int8 model, whatever machine quantizes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.contract import bundle as contract
from tests.support.builds.build_folder import CALIBRATION_PHOTOS, Build
from tests.support.places import ROOT

OTHER_INSTRUCTIONS = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "NEHALEM",
}
"""How TensorFlow, NumPy and its BLAS compute on a processor without the newer vectors."""


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot limit cores")
def test_one_core_and_older_vector_instructions_make_the_same_model(
    build: Build, tmp_path: Path
) -> None:
    """Both at once: two differences would hardly cancel each other out."""
    cores = os.sched_getaffinity(0)
    places = ("--training", str(build.train), "--out", str(tmp_path))
    count = ("--calibration-photos", str(CALIBRATION_PHOTOS))
    command = [sys.executable, "-m", "convert", "export", *places, *count]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **OTHER_INSTRUCTIONS}
    # A child has the cores of the thread that starts it.
    os.sched_setaffinity(0, {min(cores)})
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    finally:
        os.sched_setaffinity(0, cores)
    assert done.returncode == 0, done.stderr
    whole = (build.folder / "convert" / contract.MODEL).read_bytes()
    assert (tmp_path / contract.MODEL).read_bytes() == whole
