"""Releases of the software leave alone what a deployment is preparing, whenever they come."""

import os
import threading
import time
from pathlib import Path

import pytest

from device.update import lock
from device.update.software import releases
from device.update.software.releases import OURS, READY, RELEASES
from tests.device.update.software.conftest import Scene
from tests.support.device.software import lay_out_release, leave_behind

NAME = "0123456789ab"


def prepare(scene: Scene, name: str = NAME) -> Path:
    """As `make deploy` does before it makes a release, which then is whole, and not linked yet."""
    scene.board.places.deploying.write_text(f"{name}\n")
    return lay_out_release(scene.board, name)


def test_a_release_that_a_deployment_has_prepared_outlives_a_release_of_the_software(
    scene: Scene,
) -> None:
    leave_behind(scene.board)
    folder = prepare(scene)
    scene.on_trial()
    assert (folder / READY).exists() and (folder / "venv/bin/python").exists()
    assert not (folder.parent / "older").exists()
    # The deployment is over, and something else runs.
    scene.board.places.deploying.unlink()
    scene.works()
    scene.watched()
    scene.on_trial("3.0", 2)
    assert not folder.exists()


def test_what_a_deployment_has_prepared_is_no_room(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "_size_bytes", lambda _: 10**15)
    monkeypatch.setattr(releases, "free_bytes", lambda _: 0)
    folder = prepare(scene)
    scene.offer_and_turn()
    assert "no room" in scene.board.checks.software_problem and folder.exists()
    scene.board.places.deploying.unlink()
    scene.offer_and_turn()
    assert not scene.board.checks.software_problem


def test_a_deployment_says_what_it_prepares_before_or_after_others_are_removed(
    scene: Scene,
) -> None:
    """Under a lock that both take: what is there after it has said so, stays."""
    folder = lay_out_release(scene.board, NAME)
    begun, places = threading.Event(), scene.board.places

    def deploy() -> None:
        with lock.alone(places.installed / RELEASES):
            begun.set()
            time.sleep(0.5)
            places.deploying.write_text(NAME)

    other = threading.Thread(target=deploy)
    other.start()
    begun.wait()
    scene.on_trial()
    other.join()
    assert (folder / READY).exists()


def test_a_removal_that_is_cut_short_leaves_nothing_that_is_ready(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment would take it for whole. What is left goes with the next release."""
    leave_behind(scene.board)
    root = scene.board.places.installed / RELEASES

    def cut(folder: Path, **_: object) -> None:
        if folder.exists():
            os.unlink(folder / "venv/bin/python")
            raise OSError("cut")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", cut)
        scene.offer_and_turn()
    assert "cut" in scene.board.software.problem
    assert [path.name for path in root.iterdir() if (path / READY).exists()] != []
    for path in root.iterdir():
        assert (path / "venv/bin/python").exists() or path.name.startswith(OURS)
    # The same one again.
    leave_behind(scene.board)
    scene.turn()
    assert {path.name for path in root.iterdir()} == {"deployed", scene.board.live()}
