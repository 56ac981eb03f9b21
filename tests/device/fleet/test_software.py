"""Releases of the device package: two keys, wheels shared between releases, boards told apart."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from device.contract.release.record import system_key
from device.contract.release.rollout import Stage, parse
from device.deploy import fetch_wheels
from device.fleet.signing.folder import Fleet
from device.fleet.signing.state import read
from device.telemetry.updates import SoftwareStatus, UpdateStatus
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import Run
from tests.support.device.metrics_server import telling

OLD, NEW = "3.11.2-aarch64-2.36", "3.13.5-aarch64-2.41"
PURE, BINARY = "h11-0.16.0-py3-none-any.whl", "numpy-2.4.6-cp{}-cp{}-manylinux.whl"

Publish = Callable[..., int]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Bytes of wheels by name, instead of a package index."""
    wheels = {PURE: b"pure"} | {BINARY.format(v, v): v.encode() for v in ("311", "313")}

    def download(folder: Path, board: fetch_wheels.Board) -> None:
        version = board.short_python.replace(".", "")
        for name in (PURE, BINARY.format(version, version)):
            (folder / name).write_bytes(wheels[name])

    monkeypatch.setattr(fetch_wheels, "download", download)
    return wheels


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """The device package's wheel, a lock and a unit."""
    folder = tmp_path / "parts"
    (folder / "wheel").mkdir(parents=True)
    (folder / "wheel/fieldguide_device-0.5.0-py3-none-any.whl").write_bytes(b"ours")
    (folder / "device.txt").write_text("h11==0.16.0 --hash=sha256:00\n")
    (folder / "fieldguide.service").write_text("[Service]\n")
    return folder


@pytest.fixture
def publish(run: Run, parts: Path, shelf: dict[str, bytes], tmp_path: Path) -> Publish:
    """Publishes the software for some systems."""

    def act(*systems: str) -> int:
        options = [f"--wheel={parts / 'wheel'}", f"--lock={parts / 'device.txt'}"]
        options += [f"--unit={parts / 'fieldguide.service'}", f"--wheels={tmp_path / 'wheels'}"]
        return run("software", *options, *(f"--system={system}" for system in systems))

    return act


def test_a_board_gets_wheel_lock_unit_and_the_wheels_of_its_own_system(
    publish: Publish, board: Board, shelf: dict[str, bytes]
) -> None:
    assert publish(OLD, NEW) == 0
    release, files = board.release("software", 1)
    assert release.about == "version 0.5.0"
    key = system_key("3.11.2", "aarch64")
    mine = {file.name for file in release.files if file.is_for(key)}
    own = {"fieldguide_device-0.5.0-py3-none-any.whl", "lock.txt", "fieldguide.service"}
    assert mine == own | {PURE, BINARY.format("311", "311")}
    assert {name: files[name] for name in shelf} == shelf
    assert files["fieldguide.service"] == b"[Service]\n"


def test_the_next_release_takes_no_room_for_wheels_that_are_there(
    publish: Publish, board: Board, parts: Path, fleet: Path
) -> None:
    assert publish(OLD) == 0
    wheels = fleet / "public/targets/software/wheels"
    before = {path: path.stat().st_mtime_ns for path in wheels.iterdir()}
    (parts / "wheel/fieldguide_device-0.5.0-py3-none-any.whl").write_bytes(b"better")
    assert publish(OLD) == 0
    assert {path: path.stat().st_mtime_ns for path in wheels.iterdir()} == before
    assert board.release("software", 2)[1][PURE] == b"pure"


def test_the_same_software_again_is_the_same_release(publish: Publish, fleet: Path) -> None:
    assert publish(OLD) == 0
    before = sorted((fleet / "public").rglob("*"))
    assert publish(OLD) == 0
    assert sorted((fleet / "public").rglob("*")) == before
    assert publish(OLD, NEW) == 0
    assert "software/2/release.json" in read(Fleet(fleet)).roles["software"].signed.targets


def test_one_of_two_keys_signs_no_software(
    publish: Publish, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    next((fleet / "keys").glob("software-*")).unlink()
    before = sorted((fleet / "public").rglob("*"))
    assert publish(OLD) == 1
    assert "software is signed with 2 of 2 keys, and 1 are here" in capsys.readouterr().err
    assert sorted((fleet / "public").rglob("*")) == before


def test_a_wheel_of_the_same_name_with_other_bytes_is_refused(
    publish: Publish, shelf: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(OLD) == 0
    shelf[PURE] = b"other"
    (tmp_path / "wheels").rename(tmp_path / "before")
    assert publish(OLD) == 1
    assert "has other bytes than in an earlier release" in capsys.readouterr().err


@pytest.mark.parametrize(
    "system", ["", "3.11.2", "3-aarch64-2.36", "3.11-aarch64-x.y", "3.11-a/b-2.36"]
)
def test_a_system_that_is_written_in_another_way_is_one_line(
    publish: Publish, system: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(system) == 2
    assert "as 3.11.2-aarch64-2.36" in capsys.readouterr().err


def test_no_wheel_says_how_it_is_made(
    publish: Publish, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (parts / "wheel").iterdir():
        os.unlink(path)
    assert publish(OLD) == 1
    assert "`make wheel`" in capsys.readouterr().err


def test_a_ramp_raises_and_halts_software_by_what_boards_tell_of_it(
    publish: Publish, run: Run, board: Board, tmp_path: Path
) -> None:
    """By the rules of models; boards that fetch no software do not count."""

    def stage() -> Stage:
        return parse(board.rollout().to_json()).groups["all"]["software"]

    def say(*software: SoftwareStatus) -> None:
        told[:] = [UpdateStatus(name="birds", installed=1, software=each) for each in software]

    assert publish(OLD) == 0
    assert run("promote", "--name=software", "--percent=10") == 0
    told: list[UpdateStatus] = []
    away, works = SoftwareStatus(), SoftwareStatus(fetched=True, installed=1, latest=1)
    bad = SoftwareStatus(fetched=True, failed=("1: the service does not start with it",))
    with telling(tmp_path, 20, told.__getitem__) as listed:
        look = ("ramp", "--name=software", "--hours=0", f"--boards={listed}")
        say(*[away] * 20)
        assert run(*look) == 1 and stage() == Stage(1, 10)
        say(*[works] * 5, *[away] * 15)
        assert run(*look) == 0 and stage() == Stage(1, 50)
        say(*[works] * 5, *[bad] * 2, *[away] * 13)
        assert run(*look) == 1 and stage() == Stage(1, 50, halted=True)
