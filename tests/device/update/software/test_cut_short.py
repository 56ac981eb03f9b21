"""A kill at any step of installing, keeping or taking back software leaves it whole."""

import os

import pytest

from tests.device.update.software.conftest import Scene
from tests.support.device.cutting import ONE_STEP_IN, cuts
from tests.support.device.software import Software, leave_behind

KILLS = int(os.environ.get("FIELDGUIDE_KILLS", "20"))


@pytest.mark.slow
@pytest.mark.parametrize("one_in", ONE_STEP_IN)
def test_an_installation_killed_anywhere_leaves_whole_software_and_comes_to_its_end(
    scene: Scene, one_in: int
) -> None:
    leave_behind(scene.board)
    scene.offer(Software("2.0"), 1)
    module = "tests.support.device.cut_software"
    found = cuts(module, scene.board.folder, scene.server.url, KILLS, one_in)
    print(found)
    assert found["taking"] > 30 and found["going back"] > 10 and found["keeping"] > 5, found
    assert found["cut"] > 0, found
