"""Promises of `make data` on photos with clocks: events are found, told and kept together."""

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from device.workstation.training import DATA, LEFT_OUT, SPLIT, DataRecord
from tests.train.data.test_dataset import image, jpeg, write
from train.__main__ import main
from train.data.split import Row, read_csv

START = 1_700_000_000
LABELS = ("moss", "fern", "lichen")


def exif(seconds: int, camera: str = "Cam1") -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110] = "Trap", camera
    tags.get_ifd(0x8769)[0x9003] = time.strftime("%Y:%m:%d %H:%M:%S", time.gmtime(seconds))
    return tags


def shoot(folder: Path, label: str, visits: int, frames: int) -> None:
    """Visits an hour apart of frames 40 s apart, all of different pictures, names at random."""
    for visit in range(visits):
        for frame in range(frames):
            number = 10_000 * LABELS.index(label) + 100 * visit + frame
            name = f"{label}/{number * 7919 % 1_000_003:x}-v{visit}f{frame}x.jpg"
            taken = exif(START + 3600 * visit + 40 * frame)
            write(folder / name, jpeg(image(number), exif=taken))


def split(folder: Path, out: Path, *options: str) -> Sequence[Row]:
    assert main(["data", "--data", str(folder), "--out", str(out), *options]) == 0
    return read_csv(out / SPLIT)


def events(rows: Sequence[Row]) -> dict[str, set[str]]:
    """By event, the visits that its photos are of."""
    found = defaultdict(set)
    for row in rows:
        found[row.group].add(row.path.partition("-")[2].partition("f")[0])
    return found


@pytest.fixture
def visited(tmp_path: Path) -> Path:
    shoot(tmp_path / "photos", "moss", 6, 3)
    shoot(tmp_path / "photos", "fern", 6, 3)
    return tmp_path / "photos"


def test_visits_are_found_by_the_clock_and_stay_in_one_part(visited: Path, tmp_path: Path) -> None:
    rows = split(visited, tmp_path / "out")
    assert sorted(map(len, events(rows).values())) == [1] * 12
    parts = defaultdict(set)
    for row in rows:
        parts[row.group].add(row.part)
    assert all(len(sides) == 1 for sides in parts.values())
    record = DataRecord.read(tmp_path / "out" / DATA).data
    assert record.description.startswith("36 photos from 12 events in 2 classes")
    assert {sum(parts.values()) for parts in record.events.values()} == {6}
    assert record.occasion_only == {}


def test_the_gap_that_ends_an_event_can_be_set(visited: Path, tmp_path: Path) -> None:
    assert len(events(split(visited, tmp_path / "out", "--event-s", "39"))) == 36
    assert len(events(split(visited, tmp_path / "out", "--event-s", "40"))) == 12
    assert len(events(split(visited, tmp_path / "out", "--event-s", "4000"))) == 2


def test_an_only_event_is_cut_by_time(
    visited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shoot(visited, "lichen", 1, 24)
    rows = [row for row in split(visited, tmp_path / "out") if row.label == "lichen"]
    in_time = sorted(rows, key=lambda row: int(row.path.rpartition("f")[2].partition("x")[0]))
    parts = [row.part for row in in_time]
    blocks = [part for i, part in enumerate(parts) if parts[i - 1 : i] != [part]]
    assert blocks == ["train", LEFT_OUT, "val", LEFT_OUT, "test"]
    said = capsys.readouterr().out
    assert "few events: 'lichen' has 1 event" in said
    assert DataRecord.read(tmp_path / "out" / DATA).data.occasion_only == {"lichen": 2}


def test_a_long_gap_hides_no_other_reason(
    visited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shoot(visited, "lichen", 1, 120)
    write(visited / "moss" / "zero.jpg", b"")
    split(visited, tmp_path / "out")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out: ")]
    assert said[-1] == "left out: moss/zero.jpg: the file is empty"
    assert [line.partition(" (")[0] for line in said[:-1]] == ["left out: 6 photos"] * 2
    assert said[0].endswith(", ...): between the training and the validation photos of one event")


def test_one_damaged_photo_is_one_photo(
    visited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(visited / "moss" / "a.jpg", jpeg(image(900), exif=exif(0, "Cam2")))
    split(visited, tmp_path / "out")
    assert "was never set (an impossible year): 1 photo\n" in capsys.readouterr().out


def test_a_clock_that_is_no_evidence_is_told(
    visited: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        taken = exif(3600 * number, "Cam2")
        write(
            visited / "moss" / f"{'abcdefghi'[number]}.jpg", jpeg(image(900 + number), exif=taken)
        )
    rows = split(visited, tmp_path / "out")
    assert len({row.group for row in rows}) == 12 + 9
    said = capsys.readouterr().out
    assert "no evidence of events: the clock of 'Trap Cam2' was never set" in said
