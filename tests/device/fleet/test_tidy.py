"""Promises of `make fleet-tidy`: what no board can want goes, and nothing else."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from device.fleet.__main__ import main
from tests.device.fleet import aged
from tests.device.fleet.boards import Board
from tests.device.fleet.conftest import complaint, contents

Tidy = Callable[[], int]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return aged.make(tmp_path_factory.mktemp("aged"))


@pytest.fixture
def fleet(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "fleet"))


@pytest.fixture
def tidy(fleet: Path) -> Tidy:
    return lambda: main(["tidy", f"--fleet={fleet}"])


def named_by(fleet: Path, role: str, version: int) -> set[Path]:
    found: Metadata[Targets] = Metadata.from_bytes(
        (fleet / f"public/metadata/{version}.{role}.json").read_bytes()
    )
    targets = found.signed.targets.values()
    return {fleet / "public/targets" / each.get_prefixed_paths()[0] for each in targets}


def versions(fleet: Path, role: str) -> list[int]:
    found = (fleet / "public/metadata").glob(f"*.{role}.json")
    return sorted(int(path.name.partition(".")[0]) for path in found)


def test_old_releases_go_and_boards_take_what_is_offered(
    fleet: Path, tidy: Tidy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(contents(fleet))
    assert tidy() == 0
    gone = before - set(contents(fleet))
    said = capsys.readouterr().out.splitlines()
    lines = {line.split()[1].rstrip(",") for line in said if line.startswith("removes ")}
    assert lines == {str(path.relative_to(fleet / "public")) for path in gone}
    assert said[0].startswith(f"{len(gone)} files, ") and "of the last 2 years" in said[0]
    folders = sorted(path.name for path in (fleet / "public/targets/birds").iterdir())
    assert folders == ["2", "3", "4", "5", "6"]
    root = (fleet / "public/metadata/1.root.json").read_bytes()
    board = Board(tmp_path / "board", root, str(fleet / "public"))
    assert board.release("birds", 6)[1]
    capsys.readouterr()
    assert tidy() == 0
    assert capsys.readouterr().out.startswith("0 files, 0 bytes, ")


def test_all_that_a_list_of_the_last_two_years_names_stays(fleet: Path, tidy: Tidy) -> None:
    """Also what a list named that was replaced then: a slow cache may still show it."""
    assert tidy() == 0
    for role in ("model-birds", "rollout"):
        for version in versions(fleet, role):
            assert not [path for path in named_by(fleet, role, version) if not path.exists()]
    newest = json.loads((fleet / "public/metadata/timestamp.json").read_bytes())
    snapshots = versions(fleet, "snapshot")
    assert newest["signed"]["meta"]["snapshot.json"]["version"] == snapshots[-1]
    for version in snapshots:
        listed = json.loads((fleet / f"public/metadata/{version}.snapshot.json").read_bytes())
        for name, record in listed["signed"]["meta"].items():
            assert (fleet / f"public/metadata/{record['version']}.{name}").exists()


def test_every_root_stays_for_boards_that_slept(fleet: Path, tidy: Tidy) -> None:
    before = versions(fleet, "root")
    assert len(before) > 1 and tidy() == 0
    assert versions(fleet, "root") == before


def test_files_that_no_list_ever_named_are_somebody_elses(fleet: Path, tidy: Tidy) -> None:
    names = ("public/index.html", "public/targets/birds/1/notes.txt", "public/metadata/x.json")
    for name in names:
        (fleet / name).write_text("mine")
        os.utime(fleet / name, (0, 0))
    assert tidy() == 0
    assert all((fleet / name).read_text() == "mine" for name in names)


def test_a_fleet_that_is_young_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = tmp_path / "young"
    aged.good(fleet, 1, "init")
    for number in range(1, 5):
        aged.publish(fleet, tmp_path / f"bundle{number}", 0)
    before = contents(fleet)
    assert main(["tidy", f"--fleet={fleet}"]) == 0
    assert contents(fleet) == before


def test_where_a_list_is_missing_or_damaged_nothing_is_removed(
    fleet: Path, tidy: Tidy, capsys: pytest.CaptureFixture[str]
) -> None:
    path = fleet / "public/metadata/2.model-birds.json"
    data = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(data[:-9])):
        damage()
        before = contents(fleet)
        capsys.readouterr()
        assert tidy() == 1
        assert "copy it back" in complaint(capsys) and contents(fleet) == before


def test_by_a_clock_that_is_years_ahead_nothing_is_removed(
    fleet: Path, tidy: Tidy, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(fleet)
    capsys.readouterr()
    with aged.days_ago(-4000):
        assert tidy() == 1
    assert "expired on" in complaint(capsys) and contents(fleet) == before


def test_a_list_that_names_files_elsewhere_removes_none_there(fleet: Path, tidy: Tidy) -> None:
    """The folder may come from a server that somebody broke into."""
    path = fleet / "public/metadata/1.rollout.json"
    found: Metadata[Targets] = Metadata.from_bytes(path.read_bytes())
    (record,) = found.signed.targets.values()
    stolen = fleet / f"keys/{record.hashes['sha256']}.mine"
    stolen.write_text("mine")
    record.path = "../../keys/mine"
    found.signed.targets = {record.path: record}
    path.write_bytes(found.to_bytes())
    assert tidy() == 0
    assert stolen.exists() and not path.exists()
