"""A kill or power cut at any step of fetching or installing leaves a verified bundle."""

import os

import pytest

from tests.device.update.releases.conftest import Medium, Scene
from tests.support.device.board import Files, offer
from tests.support.device.cutting import ONE_STEP_IN, cuts
from tests.support.device.release_server import serving
from tests.support.device.release_stick import ReleaseStick, plugged

KILLS = int(os.environ.get("FIELDGUIDE_KILLS", "20"))


@pytest.fixture(params=[serving, plugged], ids=["server", "stick"])
def medium(request: pytest.FixtureRequest) -> Medium:
    brings: Medium = request.param
    return brings


@pytest.mark.slow
@pytest.mark.parametrize("one_in", ONE_STEP_IN)
def test_an_updater_killed_anywhere_leaves_a_whole_bundle_and_the_next_turn_goes_on(
    scene: Scene, second: Files, one_in: int
) -> None:
    """Before changes of the disk, and at `KILLS` random moments."""
    offer(scene.fleet, second, 2)
    if isinstance(scene.server, ReleaseStick):
        scene.server.fill()
    module = "tests.support.device.cut_releases"
    found = cuts(module, scene.board.folder, scene.server.url, KILLS, one_in)
    print(found)
    assert found["fetching"] > 30 and found["installing"] > 30 and found["cut"] > 0
