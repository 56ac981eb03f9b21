"""Promises of groups: a board takes the stage of its own, and says so if there is none."""

import pytest

from device.contract.release.naming import ROLLOUT_ROLE, ROLLOUT_TARGET
from device.contract.release.rollout import Rollout, Stage
from device.doctor.finding import WARNING
from device.doctor.releases import releases
from device.update.command import lines
from tests.device.update.releases.conftest import Scene
from tests.support.device.board import Files, release


def offer_to(scene: Scene, *groups: str, name: str = "birds", number: int = 2) -> None:
    rollout = Rollout()
    for group in groups:
        rollout = rollout.with_stage(group, name, Stage(number, 100))
    scene.fleet.add(ROLLOUT_ROLE, ROLLOUT_TARGET, rollout.to_json())
    scene.fleet.publish("model-birds", "rollout")


@pytest.fixture(autouse=True)
def signed(scene: Scene, second: Files) -> None:
    release(scene.fleet, second, number=2)


def test_a_misspelt_group_takes_the_stage_of_all_and_says_so(scene: Scene, second: Files) -> None:
    offer_to(scene, "all", "garden")
    scene.board.settings(group="gardn")
    status = scene.board.turn()
    assert scene.board.running() == second and status.unknown_group == "gardn"
    assert sum("group gardn: the stage of all counts" in line for line in lines(status)) == 1
    # It is what may be wanted: no problem, and the updater goes on.
    assert not status.problem
    found = [each for each in releases(scene.board.config) if "gardn" in each.found]
    assert [each.state for each in found] == [WARNING] and "update.group" in found[0].fix


def test_a_corrected_group_is_silent_at_once(scene: Scene) -> None:
    offer_to(scene, "all", "garden")
    scene.board.settings(group="gardn")
    scene.board.turn()
    scene.board.settings(group="garden")
    assert not scene.board.install().unknown_group
    assert not scene.board.turn().unknown_group


@pytest.mark.parametrize(
    ("group", "offered"), [("all", ("garden",)), ("garden", ("garden", "all"))]
)
def test_a_group_that_is_known_and_that_of_all_say_nothing(
    group: str, offered: tuple[str, ...], scene: Scene
) -> None:
    offer_to(scene, *offered)
    scene.board.settings(group=group)
    assert not scene.board.turn().unknown_group


def test_a_group_to_which_only_another_name_was_rolled_out_is_known(scene: Scene) -> None:
    """So its model goes on with all, as the page says."""
    offer_to(scene, "garden", name="software")
    scene.board.settings(group="garden")
    assert not scene.board.turn().unknown_group
