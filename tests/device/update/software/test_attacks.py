"""What is not honestly published software is not installed, and the software that runs goes on."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from device.update.software import build, releases
from tests.device.update.software.conftest import Scene
from tests.support.device.software import SHARED, Software, make_venv

NUMPY, H11 = SHARED


def refused(scene: Scene, *words: str) -> None:
    """The old one runs, is confirmed, and the problem says why."""
    for _ in range(2):
        scene.turn()
        assert scene.board.live() == "deployed" == scene.board.live("confirmed")
    told = scene.board.install().software
    said = " ".join((told.problem, *told.failed, told.waits))
    assert all(word in said for word in words), said
    assert "\n" not in said and not list(scene.board.places.installed.glob("releases/software-*"))


def fetched(scene: Scene, data: bytes) -> Path:
    """The file of these bytes, where the process with the network keeps it."""
    import hashlib

    return scene.board.places.fetched / "targets" / hashlib.sha256(data).hexdigest()


def test_a_wheel_with_other_bytes_is_not_taken(scene: Scene) -> None:
    scene.offer(Software("2.0"), 1)
    for path in scene.fleet.public.rglob(f"*.{NUMPY}"):
        path.write_bytes(b"evil!" * 100)
    refused(scene, "not what was signed")


def test_a_missing_wheel_is_waited_for(scene: Scene) -> None:
    scene.offer(Software("2.0"), 1)
    for path in scene.fleet.public.rglob(f"*.{H11}"):
        path.unlink()
    refused(scene, "not there", "its files")
    scene.offer(Software("2.0"), 2)
    scene.turn()
    assert scene.board.live() != "deployed"


def test_what_the_process_with_the_network_swaps_is_not_installed(scene: Scene) -> None:
    scene.offer(Software("2.0"), 1)
    scene.board.install()
    scene.board.fetch()
    fetched(scene, SHARED[H11]).write_bytes(b"evi")
    for _ in range(5):
        scene.board.install_software()
        assert scene.board.live() == "deployed"
        assert "not what was signed" in scene.board.software.problem
    # It has not used up the attempts.
    scene.turn()
    assert scene.board.live() != "deployed"


def test_what_is_swapped_between_two_looks_is_not_installed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.offer(Software("2.0"), 1)
    scene.board.install()
    scene.board.fetch()

    def swaps(*_: object) -> None:
        fetched(scene, SHARED[H11]).write_bytes(b"evi")

    monkeypatch.setattr(releases, "check_room", swaps)
    scene.board.install_software()
    assert scene.board.live() == "deployed"
    assert "not what was signed" in scene.board.software.problem


def test_a_deployment_meanwhile_is_not_undone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = build.check
    root = scene.board.places.installed

    def deploys(*given: object) -> None:
        real(*given)  # type: ignore[arg-type]
        make_venv(root / "releases/other/venv", "other")
        (root / "venv").unlink()
        (root / "venv").symlink_to("releases/other/venv")

    monkeypatch.setattr(build, "check", deploys)
    scene.offer(Software("2.0"), 1)
    scene.turn()
    assert scene.board.live() == "other" and "deployment" in scene.board.software.problem


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_there_is_not_read(kind: str, scene: Scene, tmp_path: Path) -> None:
    scene.offer(Software("2.0"), 1)
    scene.board.install()
    scene.board.fetch()
    path = fetched(scene, SHARED[H11])
    path.unlink()
    (tmp_path / "secret").write_bytes(SHARED[H11])
    make: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(tmp_path / "secret"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    make[kind]()
    scene.board.install_software()
    assert scene.board.live() == "deployed" and scene.board.software.problem


def test_a_wheel_that_is_not_in_the_lock_is_not_taken(scene: Scene) -> None:
    scene.offer(Software("2.0", lock=f"numpy --hash=sha256:{'0' * 64}\n"), 1)
    refused(scene, "not in its lock")
    assert scene.board.software.taken == 1


def test_software_for_other_boards_is_not_taken(scene: Scene) -> None:
    scene.offer(Software("2.0", system="3.9-riscv64"), 1)
    refused(scene, "is not for Python")
    assert not any(path.endswith(".whl") for path in scene.server.asked)


def test_software_that_does_not_pass_its_trial_run_never_becomes_live(scene: Scene) -> None:
    scene.offer(Software("bad"), 1)
    refused(scene, "cannot be imported")
    scene.on_trial("3.0", 2)


def test_a_lower_number_is_not_taken(scene: Scene) -> None:
    scene.on_trial("2.0", 5)
    live = scene.board.live()
    scene.works()
    scene.watched()
    scene.offer(Software("1.0"), 4)
    scene.turn()
    scene.stays(live)


def test_software_signed_by_one_of_its_two_keys_is_not_taken(scene: Scene) -> None:
    fleet = scene.fleet
    fleet.write(stolen={"software": fleet.keys["software"][:1]})
    before = len(scene.server.asked)
    from tests.support.device.software import offer_software

    honest = fleet.keys["software"]
    fleet.keys["software"] = honest[:1]
    offer_software(fleet, Software("2.0"), 1)
    refused(scene, "software")
    assert len(scene.server.asked) > before
    fleet.keys["software"] = honest
    scene.on_trial("2.0", 2)


def test_a_model_s_key_signs_no_software(scene: Scene) -> None:
    fleet = scene.fleet
    fleet.keys["software"] = fleet.keys["model-birds"] * 2
    scene.offer(Software("2.0"), 1)
    refused(scene, "software")


def test_more_than_a_board_can_hold_is_not_fetched(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device.update.offer.MOST_SOFTWARE_BYTES", 400)
    scene.offer(Software("2.0"), 1)
    refused(scene, "more than 400")
    assert not any(path.endswith(".whl") for path in scene.server.asked)


def test_a_disk_without_room_is_said_before_anything_is_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "SPARE_BYTES", 2**60)
    scene.offer(Software("2.0"), 1)
    for _ in range(5):
        refused(scene, "no room")
    assert not any(path.endswith(".whl") for path in scene.server.asked)
    # One that was fetched while there was room.
    monkeypatch.setattr(releases, "SPARE_BYTES", 0)
    scene.board.fetch()
    monkeypatch.setattr(releases, "SPARE_BYTES", 2**60)
    scene.board.install_software()
    assert "no room" in scene.board.software.problem and scene.board.live() == "deployed"
    monkeypatch.setattr(releases, "SPARE_BYTES", 0)
    scene.turn()
    assert scene.board.live() != "deployed" and not scene.board.software.failed


def test_room_that_an_older_release_takes_is_room(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed before the next one is written, so it must not keep that from being fetched."""
    wheels_bytes = sum(map(len, [*SHARED.values(), b"2.0", Software("2.0").own["lock.txt"]]))
    monkeypatch.setattr(releases, "SPARE_BYTES", 2**20)
    old = scene.board.places.installed / "releases/old"
    free = [2**20 + 5 * wheels_bytes]
    monkeypatch.setattr(releases, "free_bytes", lambda _: free[0])
    scene.offer(Software("2.0"), 1)
    refused(scene, "no room")
    make_venv(old / "venv", "old")
    (old / "venv/numpy.so").write_bytes(bytes(2**20))
    (old / "ready").touch()
    assert scene.board.fetch().software_problem == ""
    assert any(path.endswith(".whl") for path in scene.server.asked)
    free[0] += 2**20
    scene.board.install_software()
    assert scene.board.live() != "deployed" and not old.exists()


def test_a_disk_that_fills_up_meanwhile_leaves_what_runs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    scene.offer(Software("2.0"), 1)
    real = build.build
    monkeypatch.setattr(build, "build", full)
    scene.turn()
    assert scene.board.live() == "deployed"
    assert not list(scene.board.places.installed.glob("releases/software-*"))
    assert "No space left" in scene.board.software.problem
    monkeypatch.setattr(build, "build", real)
    for _ in range(2):
        scene.turn()
    assert scene.board.live() != "deployed"


def test_a_model_s_release_goes_on_while_the_software_s_cannot_be_known(scene: Scene) -> None:
    scene.offer(Software("2.0"), 1)
    for path in scene.fleet.public.rglob("*.release.json"):
        if b"software" in path.read_bytes():
            path.unlink()
    scene.turn()
    status = scene.board.install()
    assert status.problem == "" and "not there" in status.software.problem


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"taken": "many"}'])
def test_a_damaged_memory_installs_nothing(damage: bytes, scene: Scene) -> None:
    from device.errors import UpdateError

    scene.offer(Software("2.0"), 1)
    scene.board.install()
    scene.board.fetch()
    (scene.board.places.software / "state.json").write_bytes(damage)
    with pytest.raises(UpdateError, match="damaged"):
        scene.board.install_software()
    assert scene.board.live() == "deployed"


def test_what_the_service_says_is_only_data(scene: Scene) -> None:
    """It may say what it wants, and can at most have a release taken back."""
    scene.on_trial()
    path = scene.board.own / "health.json"
    for lie in (b"\xff" * 100, b"{" * 70_000, json.dumps({"software": "../../etc"}).encode()):
        path.write_bytes(lie)
        scene.board.install_software()
    path.unlink()
    os.mkfifo(path)
    scene.board.install_software()
    assert scene.board.live("confirmed") == "deployed"
