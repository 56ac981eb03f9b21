"""A power cut or a kill at any step of any command leaves a folder that boards accept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.fleet.cut_fleet import COMMANDS
from tests.support.places import ROOT

LIMIT_S = 1200


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_at_any_step_leaves_a_whole_repository_and_can_be_repeated(
    command: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.device.fleet.cut_fleet", str(tmp_path), command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout)[command] >= 20
