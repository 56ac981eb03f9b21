"""Promises of releases of the software: on trial, watched, kept or taken back, and remembered."""

import threading
import time
from dataclasses import replace

import pytest

from device.contract import bundle as contract
from device.errors import UpdateError
from device.telemetry.updates import UpdateStatus, read
from device.update import lock, slots
from device.update.command import lines
from device.update.software.place import RESTART
from device.update.software.releases import OURS
from tests.device.update.software.conftest import Scene
from tests.support.device.board import offer, release, roll_out
from tests.support.device.bundle_files import read_folder, resealed
from tests.support.device.software import SHARED, Software, leave_behind, start_service


def failed(scene: Scene) -> str:
    """Why the last release led back."""
    return scene.board.software.failed[-1] if scene.board.software.failed else ""


def test_a_release_is_live_at_once_kept_after_a_day_and_told(scene: Scene) -> None:
    before = scene.on_trial()
    live = scene.board.live()
    assert live.startswith(OURS) and scene.board.live("confirmed") == before == "deployed"
    assert (scene.board.places.run / RESTART).exists()
    scene.works()
    assert scene.board.software.stage == "watch" and scene.board.live("confirmed") == before
    scene.watched()
    assert scene.board.software.stage == "" and scene.board.live("confirmed") == live
    told = scene.board.install().software
    assert (told.installed, told.latest, told.runs, told.failed) == (1, 1, live, ())
    scene.stays(live)


def test_status_says_of_a_trial_since_when_what_ends_it_and_what_if_it_fails(
    scene: Scene,
) -> None:
    scene.on_trial()
    told = scene.board.install()
    assert told.software.doing == (
        "release 1 is on trial, for 0 min of uptime so far, until service and updater have run it "
        "for ten minutes with pictures; it goes back if it does not start or stay up, or if within "
        "an hour pictures stay away or its updater stands"
    )
    assert told.software.doing in lines(told)
    scene.board.clock.pass_by(hours=3.5)
    assert ", for 3 h of uptime so far," in scene.board.install().software.doing
    scene.works()
    doing = scene.board.install().software.doing
    assert "release 1 is confirmed, and watched for another 24 h" in doing and "stay up" in doing
    scene.watched()
    assert not scene.board.install().software.doing


def test_wheels_that_are_there_are_not_fetched_again(scene: Scene) -> None:
    numpy, h11 = SHARED
    brought = scene.board.places.installed / "wheels"
    brought.mkdir()
    (brought / numpy).write_bytes(SHARED[numpy])
    (brought / h11).write_bytes(b"damaged")
    scene.on_trial()
    asked = [path.rpartition("/")[2] for path in scene.server.asked]
    assert not any(path.endswith(numpy) for path in asked)
    assert sum(path.endswith(h11) for path in asked) == 1
    scene.works()
    scene.watched()
    scene.server.asked.clear()
    scene.on_trial("3.0", 2)
    asked = [path.rpartition("/")[2].partition(".")[2] for path in scene.server.asked]
    assert [name for name in asked if name.endswith(".whl")] == [
        "fieldguide_device-3.0-py3-none-any.whl"
    ]


def test_wheels_that_a_deployment_brought_outlive_its_release(scene: Scene) -> None:
    root = scene.board.places.installed
    leave_behind(scene.board)
    for number in range(1, 5):
        scene.on_trial(f"{number}.0", number)
        scene.works()
        scene.watched()
        assert not scene.board.software.problem
    left = {path.name for path in root.glob("releases/*")}
    assert len(left) == 2 and not left & {"older", "deployed"}
    asked = [path.rpartition("/")[2].partition(".")[2] for path in scene.server.asked]
    assert not {*asked} & {*SHARED}


def test_what_was_fetched_is_removed_once_no_release_needs_it(scene: Scene) -> None:
    scene.on_trial()
    scene.works()
    scene.watched()
    kept = dict(list(SHARED.items())[1:])
    scene.offer(Software("3.0", shared=kept), 2)
    scene.turn()
    names = {path.name for path in (scene.board.places.fetched / "targets").iterdir()}
    # The rollout, the release's list, its lock, its wheel and the other one.
    assert len(names) == 5


def test_only_what_runs_and_what_one_goes_back_to_stays_on_the_disk(scene: Scene) -> None:
    for number in (1, 2, 3):
        scene.on_trial(f"{number}.0", number)
        scene.works()
        scene.watched()
    releases = scene.board.places.installed / "releases"
    assert {path.name for path in releases.iterdir()} == {
        scene.board.live(),
        *(path.name for path in releases.iterdir() if (path / "venv/bin/python").exists()),
    }
    assert len(list(releases.iterdir())) == 2


@pytest.mark.parametrize(
    ("told", "minutes", "why"),
    [
        ({"software": "deployed"}, 7, "does not start"),
        ({"boot": "another"}, 7, "does not start"),
        ({"crashes": 3}, 1, "crashed 3 times"),
        ({"streaming": False}, 61, "no pictures"),
        ({"problem": "self-test failed"}, 61, "self-test failed"),
    ],
)
def test_software_that_does_not_work_is_taken_back_and_never_taken_again(
    told: dict[str, object], minutes: int, why: str, scene: Scene
) -> None:
    before = scene.on_trial()
    health = start_service(scene.board)
    scene.board.serve(**{"software": health.software, "boot": health.boot, **told})
    scene.board.install_software()
    (scene.board.places.run / RESTART).unlink(missing_ok=True)
    scene.board.clock.pass_by(minutes=minutes)
    scene.board.install_software()
    assert why in failed(scene) and scene.board.live() == before
    assert (scene.board.places.run / RESTART).exists()
    start_service(scene.board)
    scene.stays(before)
    # The same under a higher number is the same.
    scene.offer(Software("2.0"), 2)
    scene.turn()
    assert "led back before" in failed(scene)
    scene.stays(before)
    # Another one is another.
    scene.on_trial("3.0", 3)


def test_what_gets_worse_within_a_day_leads_back(scene: Scene) -> None:
    before = scene.on_trial()
    scene.works()
    assert scene.board.software.applied == 1
    scene.board.clock.pass_by(hours=3)
    start_service(scene.board, crashes=3)
    scene.board.install_software()
    assert "crashed" in failed(scene) and scene.board.live() == before
    assert scene.board.software.applied == 0


@pytest.mark.parametrize("part", ["fetch", "install"])
def test_software_whose_updater_does_not_run_is_taken_back(part: str, scene: Scene) -> None:
    before = scene.on_trial()
    for _ in range(20):
        # The other one of the two runs.
        if part == "fetch":
            scene.board.install()
        else:
            scene.board.fetch()
        scene.board.clock.pass_by(minutes=5)
        scene.board.install_software()
    assert "updater does not run" in failed(scene) and scene.board.live() == before


def test_software_with_which_the_board_does_not_stay_up_is_taken_back(scene: Scene) -> None:
    before = scene.on_trial()
    live = scene.board.live()
    for _ in range(3):
        scene.board.boots()
        assert scene.board.live() == live
    scene.board.boots()
    assert scene.board.live() == before and "did not stay up" in failed(scene)
    start_service(scene.board)
    scene.stays(before)


def test_power_cuts_after_the_first_minute_are_no_release_s_fault(scene: Scene) -> None:
    scene.on_trial()
    live = scene.board.live()
    for _ in range(10):
        scene.board.boots()
        scene.board.clock.pass_by(minutes=1)
        start_service(scene.board)
        scene.board.install_software()
    assert scene.board.live() == live and scene.board.software.stage == "trial"


def test_a_start_of_a_board_that_has_nothing_on_trial_counts_nothing(scene: Scene) -> None:
    live = scene.board.live()
    for _ in range(9):
        scene.board.boots()
    assert scene.board.live() == live and not scene.board.software.failed


def test_a_camera_that_was_off_before_is_no_release_s_fault(scene: Scene) -> None:
    start_service(scene.board, streaming=False)
    scene.on_trial()
    live = scene.board.live()
    start_service(scene.board, streaming=False)
    for _ in range(20):
        scene.board.fetch()
        scene.board.install()
        scene.board.clock.pass_by(hours=1)
        scene.board.install_software()
    assert scene.board.live() == live and scene.board.software.stage == "trial"


def test_no_software_is_taken_while_a_bundle_is_not_confirmed(scene: Scene) -> None:
    files = read_folder(scene.board.slots / slots.CURRENT)
    other = resealed({**files, contract.LABELS: b"1\n2\n3\n"})
    slots.install_files(other, scene.board.slots, trial=True)
    scene.offer(Software("2.0"), 1)
    scene.turn()
    assert scene.board.live() == "deployed" and "not confirmed" in scene.board.software.waits
    scene.board.confirm()
    scene.turn()
    assert scene.board.live() != "deployed"


def test_one_thing_at_a_time(scene: Scene) -> None:
    """While a model is watched no software is taken, and no model while software is."""
    files = read_folder(scene.board.slots / slots.CURRENT)
    offer(scene.fleet, resealed({**files, contract.LABELS: b"1\n2\n3\n"}), 2)
    assert scene.board.turn().stage == "trial"
    scene.board.confirm()
    start_service(scene.board)
    assert scene.board.install().stage == "watch"
    scene.offer(Software("2.0"), 1)
    scene.turn()
    assert scene.board.live() == "deployed" and "watch" in scene.board.software.waits
    scene.board.clock.pass_by(hours=25)
    scene.board.install()
    scene.on_trial()
    release(scene.fleet, resealed({**files, contract.LABELS: b"4\n5\n6\n"}), number=3)
    roll_out(scene.fleet, 3)
    scene.fleet.publish("model-birds", "rollout")
    status = scene.board.turn()
    assert "software" in status.waits and status.stage == ""


def test_what_a_deployment_puts_there_during_a_trial_stays(scene: Scene) -> None:
    from tests.support.device.software import make_venv

    scene.on_trial()
    root = scene.board.places.installed
    make_venv(root / "releases/other/venv", "other")
    for link in ("venv", "confirmed"):
        (root / link).unlink()
        (root / link).symlink_to("releases/other/venv")
    scene.board.install_software()
    start_service(scene.board)
    scene.stays("other")
    assert not (root / "trial").exists()


def test_software_that_was_switched_and_not_started_is_started(scene: Scene) -> None:
    scene.offer(Software("2.0"), 1)
    scene.turn()
    wish = scene.board.places.run / RESTART
    wish.unlink()
    # The service still says that it is the one before.
    scene.board.install_software()
    assert wish.exists()
    wish.unlink()
    start_service(scene.board)
    scene.board.install_software()
    assert not wish.exists()


def test_hours_are_kept_and_a_person_may_have_it_at_once(scene: Scene) -> None:
    hour = scene.board.clock.now.astimezone().hour
    scene.board.settings(hours=((hour + 2) % 24, (hour + 3) % 24))
    scene.offer(Software("2.0"), 1)
    scene.turn()
    assert scene.board.live() == "deployed" and "hours" in scene.board.software.waits
    (scene.board.own / "wanted").touch()
    scene.turn()
    assert scene.board.live() != "deployed"


@pytest.mark.parametrize("changes", [{"software": False}, {"enabled": False}])
def test_who_wants_no_software_gets_none(changes: dict[str, object], scene: Scene) -> None:
    scene.board.settings(**changes)
    scene.offer(Software("2.0"), 1)
    scene.turn()
    assert scene.board.live() == "deployed" and not scene.board.checks.software


def test_a_board_that_is_not_in_yet_waits_for_its_turn(scene: Scene) -> None:
    scene.offer(Software("2.0"), 1, percent=0)
    scene.turn()
    scene.stays("deployed")
    scene.on_trial("2.1", 2)


def test_what_newer_software_remembered_can_be_read_by_the_one_before(scene: Scene) -> None:
    """Fields that came later are passed over, by each process and by the service."""
    import json

    scene.turn()
    for path in (
        scene.board.own / "state.json",
        scene.board.own / "health.json",
        scene.board.own / "status.json",
        scene.board.places.fetched / "state.json",
        scene.board.places.asked,
        scene.board.places.software / "state.json",
    ):
        kept = json.loads(path.read_text())
        inner = {k: {**v, "newer": 1} if isinstance(v, dict) else v for k, v in kept.items()}
        path.write_text(json.dumps({**inner, "newer": [{"field": True}]}))
    before = scene.board.progress
    assert scene.board.install().problem == ""
    assert replace(scene.board.progress, uptime=before.uptime, floor_s=before.floor_s) == before
    assert scene.board.fetch().problem == ""
    scene.on_trial()
    assert read(UpdateStatus, scene.board.own / "status.json").problem == ""


def test_a_board_without_links_is_told_how_to_get_them(scene: Scene) -> None:
    root = scene.board.places.installed
    venv = (root / "venv").resolve()
    (root / "venv").unlink()
    venv.rename(root / "venv")
    scene.offer(Software("2.0"), 1)
    scene.turn()
    assert "make deploy" in scene.board.install().software.problem


@pytest.mark.parametrize("part", ["fetch", "install", "install_software", "boots"])
def test_a_pass_waits_for_another_one_in_its_folder(part: str, scene: Scene) -> None:
    """A person's beside a unit's, or one kind's that notes what it does: no unit may fail of it."""
    scene.on_trial()
    places, begun = scene.board.places, threading.Event()
    folder = {"fetch": places.fetched, "install": scene.board.own}.get(part, places.software)

    def be_alone() -> None:
        with lock.alone(folder):
            begun.set()
            time.sleep(0.5)
            ended_s.append(time.monotonic())

    ended_s: list[float] = []
    other = threading.Thread(target=be_alone)
    other.start()
    begun.wait()
    getattr(scene.board, part)()
    assert ended_s and time.monotonic() >= ended_s[0]
    other.join()


def test_a_pass_that_does_not_end_is_one_line_for_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_S", 0.1)
    with lock.alone(scene.board.places.fetched), pytest.raises(UpdateError, match="at work"):
        scene.board.fetch()
