"""Photos that devices saved are cut where the devices did, whatever is found here."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from device.contract.arrays import Box
from device.contract.provenance import Provenance
from device.workstation.photo_files import PhotoFiles
from train.data.sight.cutting import Cutting
from train.data.sight.noted import with_noted
from train.data.sight.sighting import NO_PLACE
from train.data.split import Row

RECORD = Provenance(
    "changed", "robin", {"robin": 0.9}, "2026-05-28T20:26:43.000+00:00", "garden", "ab" * 32, "#3"
)
BOX: Box = (10, 20, 110, 120)
FOUND = Cutting({"other.jpg": (0, 0, 50, 50), "a.jpg": (1, 1, 9, 9)}, whole={"b.jpg": NO_PLACE})


def row(folder: Path, name: str, record: Provenance | None, *, collected: bool = True) -> Row:
    exif = record.exif("test") if record else b""
    Image.new("RGB", (160, 120)).save(folder / name, "JPEG", exif=exif)
    return Row(name, "robin", "train", "", "event", "", collected=collected)


def looked(**changes: object) -> Provenance:
    return replace(RECORD, **{"box": BOX, "seen": "something", **changes})  # type: ignore[arg-type]


def test_a_device_s_box_counts_whether_one_is_found_here_or_not(tmp_path: Path) -> None:
    rows = [row(tmp_path, name, looked()) for name in ("a.jpg", "b.jpg")]
    rows.append(row(tmp_path, "other.jpg", None, collected=False))
    cutting = with_noted(FOUND, PhotoFiles(tmp_path), rows)
    assert cutting.boxes == {"a.jpg": BOX, "b.jpg": BOX, "other.jpg": (0, 0, 50, 50)}
    assert cutting.whole == {}


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        looked(seen="learning"),
        looked(seen=None),
        looked(box=None),
        looked(box=(100, 20, 161, 81)),
    ],
    ids=["as ever", "learning", "not looked at", "no box", "made smaller since"],
)
def test_a_photo_without_a_box_around_something_stays_as_it_is_found(
    tmp_path: Path, record: Provenance
) -> None:
    rows = [row(tmp_path, "a.jpg", record)]
    assert with_noted(FOUND, PhotoFiles(tmp_path), rows) is FOUND


def test_photos_that_were_altered_since_are_told_in_one_line(tmp_path: Path) -> None:
    sizes = {"a.jpg": (640, 480), "b.jpg": (160, 120), "other.jpg": (320, 240)}
    rows = [row(tmp_path, name, looked(size_px=size)) for name, size in sizes.items()]
    told: list[str] = []
    cutting = with_noted(FOUND, PhotoFiles(tmp_path), rows, told.append)
    assert cutting.boxes == {**FOUND.boxes, "b.jpg": BOX}
    (line,) = told
    assert "2 photos" in line and "since a device saved them" in line
    with_noted(FOUND, PhotoFiles(tmp_path), rows[1:2], told.append)
    assert len(told) == 1


def test_a_photo_that_was_turned_since_is_cut_as_found(tmp_path: Path) -> None:
    turned = row(tmp_path, "a.jpg", looked(box=(10, 20, 150, 110)))
    exif = Image.open(tmp_path / "a.jpg").getexif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (160, 120)).save(tmp_path / "a.jpg", exif=exif)
    assert with_noted(FOUND, PhotoFiles(tmp_path), [turned]) is FOUND


def test_a_photo_that_is_gone_is_left_to_those_who_need_it(tmp_path: Path) -> None:
    gone = Row("gone.jpg", "robin", "train", "", "event", "", collected=True)
    assert with_noted(FOUND, PhotoFiles(tmp_path), [gone]) is FOUND


def test_photos_that_were_left_out_are_not_cut(tmp_path: Path) -> None:
    out = replace(row(tmp_path, "a.jpg", looked()), part="left_out")
    assert with_noted(FOUND, PhotoFiles(tmp_path), [out]) is FOUND
