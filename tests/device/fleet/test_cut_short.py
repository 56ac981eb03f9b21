"""A power cut or a kill at any step of any command leaves a folder that boards accept."""

from pathlib import Path

import pytest

from tests.device.fleet.cut_fleet import COMMANDS
from tests.support.device.cutting import ONE_STEP_IN, cuts


@pytest.mark.slow
@pytest.mark.parametrize("one_in", ONE_STEP_IN)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_killed_at_any_step_leaves_a_whole_repository_and_can_be_repeated(
    command: str, one_in: int, tmp_path: Path
) -> None:
    found = cuts("tests.device.fleet.cut_fleet", tmp_path, command, one_in)
    # It has 20 at least, of which the last that is asked for is cut.
    assert found["steps"] > 20 - one_in
