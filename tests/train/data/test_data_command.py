"""Promises of `python -m train data`: split and record, or one line and the old split."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from device.contract.look.rules import Region
from device.workstation.cuts import read_cuts
from device.workstation.events.listed import read_occasions
from device.workstation.training import CUTS, DATA, EVENTS, SPLIT, STRANGERS, DataRecord
from tests.support.cli import only_error
from tests.support.pictures import encoded
from tests.support.places import ROOT
from tests.support.visited_places import frame
from tests.train.data.test_dataset import RULES, image, jpeg, two_classes, write
from train.__main__ import main
from train.data import dataset as photos
from train.data import record as data_record
from train.data.sight.cutting import Cutting
from train.data.sight.region import AUTO, decide
from train.data.sight.sighting import NO_PLACE
from train.data.split import assign, read_csv


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "photos")


def test_the_command_writes_split_and_record(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "fern" / "empty.jpg", b"")
    out = tmp_path / "build" / "train"
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 0
    rows = read_csv(out / SPLIT)
    assert rows == assign(photos.scan(folder, RULES))
    sight = decide(AUTO, Cutting(whole=dict.fromkeys((r.path for r in rows), NO_PLACE)), rows)
    assert DataRecord.read(out / DATA) == data_record.describe(folder, rows, sight=sight)
    assert "left out: fern/empty.jpg: the file is empty" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        CUTS,
        DATA,
        EVENTS,
        SPLIT,
        STRANGERS,
    ]
    occasions = read_occasions(out / EVENTS)
    assert {path: each.event for path, each in occasions.items()} == {r.path: r.group for r in rows}


def fixed_cameras(folder: Path) -> str:
    """Photos of two classes at two places; gives the list of their events."""
    lines = ["path,event,place"]
    for place, label in enumerate(("robin", "wren")):
        for number in range(16):
            path = f"{label}/{number}.png"
            write(folder / path, encoded(frame(place, number).image))
            lines.append(f"{path},{label}{number // 2},gate{place}")
    return "\n".join(lines)


def test_photos_of_fixed_cameras_are_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "build"
    events = write(tmp_path / "events.csv", fixed_cameras(folder).encode())
    command = ["data", "--data", str(folder), "--out", str(out), "--events", str(events)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "cut to what stands before their background, as most of them can be: 32 of 32" in said
    data = DataRecord.read(out / DATA).data
    assert data.region == Region.CHANGE and data.region_note in said
    assert sum(sum(parts.values()) for parts in data.cut.values()) == 32
    assert len(read_cuts(out / CUTS)) == 32
    assert main([*command, "--region", "whole"]) == 0
    assert "seen whole, as REGION=whole asks" in capsys.readouterr().out
    assert read_cuts(out / CUTS) == {}
    assert DataRecord.read(out / DATA).data.region == Region.WHOLE


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def one_class(folder: Path) -> None:
    shutil.rmtree(folder / "fern")


def two_photos(folder: Path) -> None:
    for number in range(2, 6):
        (folder / "fern" / f"{number}.jpg").unlink()


def raw_photos(folder: Path) -> None:
    for path in list((folder / "fern").iterdir()):
        path.rename(path.with_suffix(".NEF"))


def no_photo_is_whole(folder: Path) -> None:
    for path in (folder / "fern").iterdir():
        path.write_bytes(path.read_bytes()[:100])


def parts_for_classes(folder: Path) -> None:
    classes = list(folder.iterdir())
    for part in ("train", "val"):
        for path in classes:
            shutil.copytree(path, folder / part / path.name)
    for path in classes:
        shutil.rmtree(path)


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (shutil.rmtree, "no such folder"),
    "empty": (empty, "it holds no photos"),
    "one class": (one_class, "at least 2 folders"),
    "a class of two": (two_photos, "class 'fern' has 2 usable photos"),
    "raw": (raw_photos, "fern/0.NEF: .nef files are not supported: convert it to JPEG"),
    "all damaged": (no_photo_is_whole, "class 'fern' has 0 usable photos (6 are not: fern/0.jpg"),
    "parts": (parts_for_classes, "its folders are parts (train, val), not classes"),
}


def test_photos_of_kinds_that_are_not_read_are_told_one_by_one(folder: Path) -> None:
    write(folder / "fern" / "IMG_1.NEF", b"...")
    (row,) = [row for row in assign(photos.scan(folder, RULES)) if row.path.endswith("NEF")]
    assert (row.part, row.reason) == (
        "left_out",
        ".nef files are not supported: convert it to JPEG",
    )


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_data_is_one_line_and_leaves_the_old_split(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    spoil, message = BAD_FOLDERS[case]
    out = tmp_path / "train"
    old = write(out / SPLIT, b"the split before")
    spoil(folder)
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 1
    assert message in only_error(capsys.readouterr().err)
    assert old.read_bytes() == b"the split before"
    assert list(out.iterdir()) == [old]


def test_an_unwritable_build_folder_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = write(tmp_path / "build", b"a file where the folder should be")
    assert main(["data", "--data", str(folder), "--out", str(blocked / "train")]) == 1
    assert str(blocked) in only_error(capsys.readouterr().err)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, with its first file and no room for another."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        write(where / "train" / SPLIT, b"the split before")
        with (where / "filler").open("wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"\0" * 4096)
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


def test_a_full_disk_is_one_line_and_leaves_the_old_split(
    folder: Path, full_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = full_disk / "train"
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 1
    assert "No space left" in only_error(capsys.readouterr().err)
    assert (out / SPLIT).read_bytes() == b"the split before"
    assert [path.name for path in out.iterdir()] == [SPLIT]


def test_a_process_gives_status_and_line_as_well(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "train", "data", "--out", str(tmp_path / "train")]
    command += ["--data", str(folder / "none")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no such folder" in only_error(done.stderr)
    assert done.stdout == ""


def test_what_is_grouped_otherwise_than_most_is_told_and_recorded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2, 20):
        write(folder / "fern" / f"more_{number}.jpg", jpeg(image(2000 + number)))
    mirrored = ImageOps.mirror(image(0))
    write(folder / "fern" / "mirrored.jpg", jpeg(mirrored))
    shaken = np.asarray(image(5000)).astype(int)
    for number in range(14):
        noise = np.random.default_rng(number).normal(0, 3, shaken.shape)
        frame = Image.fromarray((shaken + noise).clip(0, 255).astype(np.uint8))
        write(folder / "moss" / f"{sha256(bytes([number])).hexdigest()}.png", encoded(frame))
    out = tmp_path / "train"
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "edited copy, kept in one part: fern/mirrored.jpg of fern/0.jpg" in said
    assert "all alike, as from a fixed camera: 14 photos" in said and "all others from 0.94" in said
    record = DataRecord.read(out / DATA)
    assert record.data.edited_copies == 1
    assert record.data.correlations["0.94"] == 12 + 18 + 1
    assert sum(record.data.correlations.values()) == 12 + 18 + 1 + 14
