"""Promises of what follows an installation: confirmed, or back, and remembered."""

from dataclasses import replace
from typing import Any

import pytest

from device.contract import bundle as contract
from device.errors import UpdateError
from device.telemetry.updates import UpdateStatus, read
from device.update import slots, watch
from device.update.command import lines
from tests.device.update.releases.conftest import Scene
from tests.support.device.board import Files, offer, roll_out

CALM = {"answers": 100, "unknown": 5, "served_s": 86400.0, "running_s": 86400.0}
"""The service before the release."""


def on_trial(scene: Scene, files: Files) -> None:
    scene.board.serve(**CALM)
    offer(scene.fleet, files, 2)
    assert scene.board.turn().stage == "trial"


def watched(scene: Scene, files: Files) -> None:
    on_trial(scene, files)
    scene.board.confirm()
    scene.board.serve(served_s=CALM["served_s"])
    assert scene.board.install().stage == "watch"


def went_back(scene: Scene, why: str) -> UpdateStatus:
    """The release before runs, confirmed, and this one is not taken again."""
    status = scene.board.install()
    assert scene.board.running() == scene.honest and status.installed == 1
    assert slots.named(scene.board.slots, slots.CONFIRMED) == slots.named(
        scene.board.slots, slots.CURRENT
    )
    assert status.failed[-1].startswith("2: ") and why in status.failed[-1]
    for _ in range(3):
        scene.board.clock.pass_by(hours=1)
        scene.board.serve(**CALM)
        scene.board.turn()
        assert scene.board.running() == scene.honest and scene.board.progress.stage == ""
    return status


def test_a_release_is_installed_once_the_service_has_confirmed_it(
    scene: Scene, second: Files
) -> None:
    on_trial(scene, second)
    assert scene.board.install().installed == 1
    scene.board.confirm()
    status = scene.board.install()
    assert (status.installed, status.stage) == (2, "watch")
    scene.board.clock.pass_by(hours=10.5)
    scene.board.install()
    assert "release 2 is confirmed, and watched for another 14 h" in watch.note(
        scene.board.progress
    )
    scene.board.clock.pass_by(seconds=watch.WATCH_S + 1)
    assert scene.board.install().stage == "" and scene.board.running() == second
    assert watch.note(scene.board.progress) == ""


def test_before_anything_was_asked_or_installed_no_line_pretends_it_was() -> None:
    told = lines(UpdateStatus(source="https://fleet.example", name="birds", stage="trial"))
    assert "installed: none yet (trial)" in told and "last check: never" in told


def test_a_board_on_trial_takes_nothing(scene: Scene, second: Files, plain: Files) -> None:
    on_trial(scene, second)
    offer(scene.fleet, plain, 3)
    scene.board.turn()
    assert scene.board.running() == second
    scene.board.confirm()
    scene.board.install()
    scene.board.turn()
    assert scene.board.running() == second, "it is watched for a day first"


def test_a_board_with_somebody_else_s_bundle_on_trial_takes_nothing(
    scene: Scene, second: Files, plain: Files
) -> None:
    slots.install_files(plain, scene.board.slots, trial=True)
    offer(scene.fleet, second, 2)
    status = scene.board.turn()
    assert "not confirmed" in status.waits and scene.board.running() == plain
    scene.board.confirm()
    scene.board.install()
    assert scene.board.running() == second


def test_what_a_person_installs_during_a_trial_stays(
    scene: Scene, second: Files, plain: Files
) -> None:
    on_trial(scene, second)
    slots.install_files(plain, scene.board.slots)
    scene.board.serve(crashes=9)
    for _ in range(3):
        scene.board.turn()
        assert scene.board.running() == plain


def test_a_release_that_crashes_the_service_on_trial_goes_back(scene: Scene, second: Files) -> None:
    on_trial(scene, second)
    scene.board.serve(served_s=CALM["served_s"] + 60, crashes=2)
    scene.board.install()
    assert scene.board.running() == second
    scene.board.serve(served_s=CALM["served_s"] + 90, crashes=3)
    went_back(scene, "crashed 3 times")


def test_a_release_that_the_service_refuses_goes_back(scene: Scene, second: Files) -> None:
    on_trial(scene, second)
    scene.board.serve(model_sha256="0" * 64, problem="self-test failed")
    for _ in range(2):
        scene.board.clock.pass_by(minutes=35)
        scene.board.install()
    went_back(scene, "self-test failed")


def test_a_release_without_labels_goes_back_after_a_day_of_pictures(
    scene: Scene, second: Files
) -> None:
    on_trial(scene, second)
    scene.board.serve()
    for _ in range(5):
        scene.board.clock.pass_by(hours=5)
        scene.board.install()
    went_back(scene, "no labels")


def test_a_camera_that_is_off_is_no_release_s_fault(scene: Scene, second: Files) -> None:
    on_trial(scene, second)
    for told in ({"streaming": False}, {"open": False}):
        scene.board.serve(**told)
        for _ in range(10):
            scene.board.clock.pass_by(days=1)
            scene.board.install()
        assert scene.board.running() == second and scene.board.progress.stage == "trial"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"crashes": 3}, "crashed 3 times"),
        ({"running_s": 7200.0, "slowed_s": 5000.0}, "slowed by heat"),
        ({"answers": 60, "unknown": 30}, "unknown 50% of answers, 5% before"),
        # The same answer again is not counted again.
        ({"answers": 1, "unknown": 1, "running_s": 80_000.0}, "nothing but unknown in 22 hours"),
    ],
)
def test_what_gets_worse_within_a_day_leads_back(
    told: dict[str, float], why: str, scene: Scene, second: Files
) -> None:
    watched(scene, second)
    scene.board.clock.pass_by(hours=3)
    scene.board.serve(served_s=CALM["served_s"] + 10_800, **told)
    went_back(scene, why)


@pytest.mark.parametrize(
    "told",
    [
        {"crashes": 2},
        {"running_s": 7200.0, "slowed_s": 3000.0},
        {"running_s": 600.0, "slowed_s": 600.0},
        {"answers": 60, "unknown": 9},
        {"answers": 10, "unknown": 10},
        {"answers": 2, "unknown": 1, "running_s": 80_000.0},
        {"answers": 0, "unknown": 0, "running_s": 80_000.0},
        {"answers": 1, "unknown": 1, "running_s": 50_000.0},
    ],
)
def test_what_is_as_usual_stays(told: dict[str, float], scene: Scene, second: Files) -> None:
    watched(scene, second)
    scene.board.clock.pass_by(hours=3)
    scene.board.serve(served_s=CALM["served_s"] + 10_800, **told)
    assert scene.board.install().stage == "watch" and scene.board.running() == second


def test_a_board_that_crashed_before_does_not_blame_the_release() -> None:
    from device.telemetry.updates import Health
    from device.update.state import Progress

    before = Health(crashes=40, served_s=86400.0 * 4)
    now = replace(before, crashes=44, served_s=86400.0 * 4.4)
    assert watch.watch_fault(Progress(before=before), now) == ""
    assert watch.watch_fault(Progress(before=before), replace(now, crashes=60))


def test_after_a_day_a_release_is_no_longer_watched(scene: Scene, second: Files) -> None:
    watched(scene, second)
    scene.board.clock.pass_by(hours=25)
    scene.board.install()
    scene.board.serve(crashes=50)
    scene.board.turn()
    assert scene.board.running() == second


def test_a_release_that_fails_its_self_test_is_not_taken(
    scene: Scene, second: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from device.errors import BundleError, SlotError

    def fails(*_: object) -> str:
        raise SlotError("self-test failed; nothing was changed") from BundleError("differs")

    monkeypatch.setattr(slots, "_tested", fails)
    offer(scene.fleet, second, 2)
    scene.board.turn()
    went_back(scene, "self-test failed")


def test_the_self_test_of_a_release_may_take_as_long_as_the_service_s(
    scene: Scene, second: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits_s: list[float] = []

    def passes(_bundle: object, load_timeout_s: float) -> str:
        limits_s.append(load_timeout_s)
        return "none"

    monkeypatch.setattr(slots, "_tested", passes)
    scene.board.load_timeout_s = 321.0
    offer(scene.fleet, second, 2)
    assert scene.board.turn().stage == "trial" and limits_s == [321.0]


def test_a_full_disk_is_tried_again(
    scene: Scene, second: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from device.errors import SlotError

    real = slots.install_files

    def full(*_: object, **__: object) -> None:
        raise SlotError("slots/new: No space left on device; what was current still is")

    monkeypatch.setattr(slots, "install_files", full)
    offer(scene.fleet, second, 2)
    status = scene.board.turn()
    assert "No space left" in status.problem and scene.board.running() == scene.honest
    monkeypatch.setattr(slots, "install_files", real)
    scene.board.turn()
    scene.board.turn()
    assert scene.board.running() == second


def test_a_board_that_is_not_in_yet_waits_for_its_turn(scene: Scene, second: Files) -> None:
    offer(scene.fleet, second, 2, percent=0)
    scene.board.turn()
    assert scene.board.running() == scene.honest
    roll_out(scene.fleet, 2, 100)
    scene.fleet.publish("rollout")
    scene.board.turn()
    assert scene.board.running() == second


def test_hours_are_kept_and_a_person_may_have_it_at_once(scene: Scene, second: Files) -> None:
    hour = scene.board.clock.now.astimezone().hour
    scene.board.settings(hours=((hour + 2) % 24, (hour + 3) % 24))
    offer(scene.fleet, second, 2)
    status = scene.board.turn()
    assert "hours" in status.waits and scene.board.running() == scene.honest
    (scene.board.own / "wanted").touch()
    scene.board.turn()
    assert scene.board.running() == second


def test_a_wish_makes_the_other_process_ask_at_once(scene: Scene, second: Files) -> None:
    scene.board.turn()
    offer(scene.fleet, second, 2)
    scene.board.fetch(forced=False)
    assert scene.board.checks.latest == 1, "it is not time yet"
    (scene.board.own / "wanted").touch()
    scene.board.install()
    scene.board.fetch(forced=False)
    assert scene.board.checks.latest == 2


def test_releases_of_another_name_begin_at_their_own_numbers(scene: Scene, second: Files) -> None:
    from tests.support.device.board import release

    release(scene.fleet, second, "cats", 1)
    roll_out(scene.fleet, 1, name="cats")
    scene.fleet.publish("model-cats", "rollout")
    scene.board.settings(name="cats")
    scene.board.turn()
    assert scene.board.running() == second and scene.board.progress.taken == 1


def test_nothing_is_asked_and_nothing_written_while_updates_are_off(
    scene: Scene, second: Files
) -> None:
    scene.board.settings(enabled=False)
    scene.board.install()
    offer(scene.fleet, second, 2)
    asked = len(scene.server.asked)
    scene.board.turn()
    assert len(scene.server.asked) == asked and scene.board.running() == scene.honest


def test_only_the_slots_and_the_two_folders_are_written(scene: Scene, second: Files) -> None:
    scene.accepts(second)
    names = {path.name for path in scene.board.folder.iterdir()}
    assert names == {"fetched", "asked", "state", "software", "root.json"}
    assert not list(scene.board.places.software.iterdir()), "that is another process's"
    assert {path.name for path in scene.board.slots.iterdir()} == {
        *(slots.CURRENT, slots.CONFIRMED, slots.SLOTS),
        "updates",
    }
    fetched = {path.name for path in scene.board.places.fetched.iterdir()}
    assert fetched == {"metadata", "targets", "state.json"}


def test_what_was_fetched_for_older_releases_is_removed(scene: Scene, second: Files) -> None:
    scene.accepts(second)
    scene.board.fetch()
    targets = scene.board.places.fetched / "targets"
    # What is not wanted any more, except who may have what.
    assert len(list(targets.iterdir())) == 1
    assert contract.read_files(scene.board.slots / slots.CURRENT) == second


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"taken": "many"}', bytes(100_000)])
def test_a_damaged_memory_takes_nothing_and_says_so(
    damage: bytes, scene: Scene, second: Files
) -> None:
    """It says which releases failed, so it is not begun again without a person."""
    (scene.board.own / "state.json").write_bytes(damage)
    offer(scene.fleet, second, 2)
    scene.board.fetch()
    with pytest.raises(UpdateError, match="damaged"):
        scene.board.install()
    told = read(UpdateStatus, scene.board.own / "status.json")
    assert "damaged" in told.problem and told.installed == 1
    assert scene.board.running() == scene.honest


@pytest.mark.parametrize("name", ["own/status.json", "own/health.json", "fetched/state.json"])
def test_other_damaged_files_are_written_again(name: str, scene: Scene, second: Files) -> None:
    folder, _, file = name.partition("/")
    place = scene.board.own if folder == "own" else scene.board.places.fetched
    (place / file).write_bytes(b"{")
    scene.accepts(second)
    scene.board.install()
    assert read(UpdateStatus, scene.board.own / "status.json").stage == "trial"


@pytest.mark.parametrize("before", [{"answers": 10, "unknown": 1}, {"answers": 100, "unknown": 50}])
def test_where_little_is_seen_or_known_nothing_but_unknown_is_no_fault(
    before: dict[str, Any],
) -> None:
    from device.telemetry.updates import Health
    from device.update.state import Progress

    progress = Progress(before=Health(running_s=86400.0, served_s=86400.0, **before))
    now = Health(running_s=86400.0, served_s=172_800.0, answers=1, unknown=1)
    assert watch.watch_fault(progress, now) == ""
