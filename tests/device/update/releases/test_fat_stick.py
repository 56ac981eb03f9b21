"""Promises of a stick as sticks are sold: FAT knows no permissions, links or case of names."""

import os
import stat
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest

from device.fleet.__main__ import main
from device.update.trust import stick as on_stick
from tests.device.update.releases.conftest import Medium, Scene
from tests.device.update.releases.test_end_to_end import board_of
from tests.device.update.updating import tarred
from tests.support.device.board import Files, offer
from tests.support.device.fat_stick import FatStick, fat_stick

FILES = (0, 1, 2)
"""The stick is pulled out while the one after so many is being read."""


@pytest.fixture(params=["vfat", "exfat"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def medium(kind: str) -> Medium:
    return partial(fat_stick, kind=kind)


@pytest.fixture
def stick(scene: Scene) -> FatStick:
    assert isinstance(scene.server, FatStick)
    return scene.server


def test_what_is_copied_onto_it_is_there_by_the_same_names_for_everybody(
    scene: Scene, stick: FatStick
) -> None:
    stick.fill()
    names = {path.relative_to(stick.folder) for path in stick.folder.rglob("*")}
    assert names == {path.relative_to(stick.stick) for path in stick.stick.rglob("*")}
    for path in map(stick.stick.joinpath, names):
        # The fetcher is a user of its own.
        assert path.stat().st_mode & stat.S_IROTH, path
    # No two files of a fleet are one to a file system that knows no case.
    assert len({str(name).lower() for name in names}) == len(names)
    with pytest.raises(OSError, match="Read-only"):
        (stick.stick / "written").touch()


def test_its_release_is_taken_and_the_next_copy_brings_the_next_one(
    scene: Scene, stick: FatStick, second: Files, plain: Files
) -> None:
    assert scene.board.running() == scene.honest
    scene.accepts(second, 2)
    scene.board.confirm()
    assert scene.board.install().stage == "watch"


def test_pulled_out_while_it_is_read_it_is_waited_for_and_goes_on_once_it_is_back(
    scene: Scene, stick: FatStick, second: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(scene.fleet, second, 2)
    scene.board.before = lambda: None
    for files in FILES:
        stick.fill()
        pull_after(files, stick, monkeypatch)
        status = scene.board.turn()
        assert status.waits.startswith("the stick") and not status.problem, (files, status)
        assert scene.board.running() == scene.honest and scene.board.progress.taken == 1
        monkeypatch.undo()
    stick.fill()
    scene.board.turn()
    assert scene.board.progress.taken == 2 and scene.board.running() == second


def pull_after(files: int, stick: FatStick, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [files]

    def opened(number: int, *_: object, **__: object) -> BinaryIO:
        if left[0] <= 0:
            stick.pull()
        left[0] -= 1
        return os.fdopen(number, "rb", buffering=0)

    monkeypatch.setattr(on_stick, "open", opened, raising=False)


def test_a_fleet_may_be_made_and_served_on_it(
    kind: str, tmp_path: Path, plain: Files, first: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLEET_PASSPHRASE", "FLEET_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    tar = tarred(tmp_path / "first.tar", first)
    (tmp_path / "nothing").mkdir()
    with fat_stick(tmp_path / "nothing", kind) as stick:
        fleet = stick.stick / "fleet"
        with stick.writable():
            assert main(["init", f"--fleet={fleet}"]) == 0
            assert main(["publish", f"--fleet={fleet}", "--name=birds", f"--bundle={tar}"]) == 0
            assert main(["promote", f"--fleet={fleet}", "--name=birds", "--percent=100"]) == 0
        board = board_of(tmp_path / "board", fleet, (fleet / "public").as_uri(), plain)
        board.serve()
        assert board.turn().stage == "trial" and board.running() == first
        # Signing needs a stick that can be written.
        assert main(["refresh", f"--fleet={fleet}"]) == 1
