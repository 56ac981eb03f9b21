"""Work on a Ray cluster, where its environment is installed: the quick tests of tests/scale."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.places import ROOT

RAY_PYTHON = ROOT / ".venv-ray" / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / ".venv-ray" / "ready").exists(),
    reason="no .venv-ray: `make test-scale` installs it and runs tests/scale",
)
def test_work_on_a_cluster_gives_the_same_and_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            RAY_PYTHON,
            "-m",
            "pytest",
            "-q",
            "tests/scale",
            "-m",
            "not slow",
            f"--basetemp={tmp_path}/t",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
