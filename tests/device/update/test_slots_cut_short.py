"""Promises of bundle updates that are cut short, by a kill, a full disk or one another."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.contract import bundle as contract
from device.update import slots
from tests.device.update.updating import Files, everything, install, tarred
from tests.support.cli import Call, assert_one_error_line, device
from tests.support.device.bundle_files import read_folder
from tests.support.device.cutting import ONE_STEP_IN, cuts

KILLS = int(os.environ.get("FIELDGUIDE_KILLS", "20"))
"""Updates cut at random moments; `make soak` asks for 1,000."""


@pytest.mark.slow
@pytest.mark.parametrize("one_in", ONE_STEP_IN)
def test_an_update_killed_anywhere_leaves_a_whole_bundle_and_the_next_succeeds(
    tmp_path: Path, files: Files, other: Files, one_in: int
) -> None:
    (tmp_path / "root").mkdir()
    tars = [tarred(tmp_path / f"{i}.tar", f) for i, f in enumerate((files, other))]
    module = "tests.support.device.cut_updates"
    figures = cuts(module, tmp_path / "root", *tars, KILLS, one_in)
    print(figures)
    # Each of five files is opened, given its mode and brought to the disk.
    assert figures["steps"] > 3 * len(files)
    assert figures["cut"] >= KILLS / 2


def test_a_hundred_updates_in_a_row_never_stick(
    root: Path, files: Files, other: Files, tmp_path: Path, instant: None
) -> None:
    tars = [tarred(tmp_path / f"{i}.tar", f) for i, f in enumerate((files, other))]
    for number in range(1, 101):
        assert slots.install(tars[number % 2], root).changed
        assert read_folder(root / "current") == (files, other)[number % 2]
    assert sorted(path.name for path in (root / "slots").iterdir()) == ["a", "b"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk to fill")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_the_old_bundle_and_no_litter(
    small_disk: Path, installed: Path, other: Files, tmp_path: Path, call: Call
) -> None:
    shutil.copytree(installed, small_disk, symlinks=True, dirs_exist_ok=True)
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize
    (small_disk / "filler").write_bytes(bytes(free - len(other[contract.MODEL]) // 2))
    before = everything(small_disk)
    run = install(call, small_disk / "root", tarred(tmp_path / "other.tar", other))
    assert_one_error_line(run, "No space left on device; what was current still is")
    assert everything(small_disk) == before


def test_two_updates_at_once_do_not_meet(root: Path, other: Files, tmp_path: Path) -> None:
    tar = tarred(tmp_path / "other.tar", other)
    folder = os.open(root / "slots", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    run = device("slots", "install", tar, "--root", root)
    os.close(folder)
    said = (run.returncode, run.stdout, run.stderr)
    assert_one_error_line(said, "another update is running; wait for it")
    assert device("slots", "install", tar, "--root", root).returncode == 0
