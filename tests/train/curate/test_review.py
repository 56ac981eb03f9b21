"""Promises about photos that devices saved: seen first, only trained on, never a leak."""

import base64
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.contract.preprocess import Preprocessing
from device.contract.provenance import OTHER, RANDOM, REVIEW, WORLD, Provenance
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import DATA, LEFT_OUT, NEW_PHOTOS_PAGE, SPLIT, Part
from tests.support.pictures import encoded
from train.__main__ import main
from train.curate import review
from train.data import dataset as photos
from train.data.split import Row, assign, part, read_csv, to_csv
from train.errors import DataError

RULES = Preprocessing(height_px=64, width_px=64)
RECORD = Provenance(
    "labelled", "moss", {"moss": 0.6, "fern": 0.4}, "2026-05-28T20:26:43.000+00:00", "garden",
    "ab" * 32, "camera#3",
)  # fmt: skip


def image(seed: int) -> Image.Image:
    """A picture unlike any of another seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((90, 90), Image.Resampling.BICUBIC)


def write(path: Path, picture: Image.Image, record: Provenance | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = record.exif("test") if record else b""
    path.write_bytes(encoded(picture, "JPEG", quality=90, exif=exif))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        write(tmp_path / "photos" / "moss" / f"{number}.jpg", image(number))
        write(tmp_path / "photos" / "fern" / f"{number}.jpg", image(1000 + number))
    return tmp_path / "photos"


def split(folder: Path) -> Sequence[Row]:
    return assign(photos.scan(folder, RULES))


def run(folder: Path, out: Path) -> None:
    assert main(["data", "--data", str(folder), "--out", str(out)]) == 0


def test_photos_of_devices_only_train_and_change_nothing_for_the_others(folder: Path) -> None:
    before = split(folder)
    for number in range(30):
        write(folder / "moss" / f"dev{number}.jpg", image(5000 + number), RECORD)
    after = split(folder)
    assert {row.part for row in after if "dev" in row.path} == {"train"}
    assert [row for row in after if "dev" not in row.path] == before
    assert len(after) == len(before) + 30


def test_the_page_shows_what_the_model_saw_of_a_whole_frame(tmp_path: Path) -> None:
    frame = Image.new("RGB", (320, 240), "green")
    frame.paste("red", (100, 50, 160, 110))
    seen = replace(RECORD, box=(100, 50, 160, 110), seen="something")
    for name, record, size in (("a.jpg", seen, (60, 60)), ("b.jpg", RECORD, (176, 132))):
        write(tmp_path / REVIEW / "moss" / name, frame, record)
        item = review._item(PhotoFiles(tmp_path), f"{REVIEW}/moss/{name}", "")
        shown = Image.open(io.BytesIO(base64.b64decode(item.picture.partition(",")[2])))
        assert shown.size == size
        is_red = bool(np.asarray(shown)[..., 0].mean() > 200)
        assert is_red == (record is seen)


def test_a_renamed_and_resorted_photo_of_a_device_still_only_trains(folder: Path) -> None:
    for seed in range(12):
        path = write(folder / "moss" / "x.jpg", image(6000 + seed), RECORD)
        path.rename(folder / "fern" / f"holiday {seed}.jpeg")
    rows = [row for row in split(folder) if "holiday" in row.path]
    assert len(rows) == 12 and {row.part for row in rows} == {"train"}


def test_what_a_held_out_photo_shows_is_left_out_with_its_reason(folder: Path) -> None:
    rows = split(folder)
    for name in Part:
        for row in part(rows, name):
            with Image.open(folder / row.path) as original:
                brighter = original.point(lambda value: value * 0.9 + 10)
            write(folder / row.label / f"dev-{name}-{Path(row.path).name}", brighter, RECORD)
    fresh = [row for row in split(folder) if "dev-" in row.path]
    assert len(fresh) == 40
    for row in fresh:
        if "dev-train-" in row.path:
            assert (row.part, row.reason) == ("train", "")
        else:
            copied = row.path.rpartition("-")[2]
            assert row.part == LEFT_OUT
            assert row.reason.endswith(f"the held-out {row.label}/{copied}")


def test_a_class_with_nothing_but_photos_of_devices_is_refused(folder: Path) -> None:
    for number in range(5):
        write(folder / "wasp" / f"{number}.jpg", image(7000 + number), RECORD)
    with pytest.raises(DataError, match="'wasp' has 0 usable photos"):
        split(folder)


def test_photos_that_nobody_sorted_are_not_read(folder: Path) -> None:
    before = split(folder)
    write(folder / REVIEW / "moss" / "a.jpg", image(1), RECORD)
    assert split(folder) == before


def test_make_data_shows_new_photos_before_anything_learns_from_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(folder, out)
    assert not (out / NEW_PHOTOS_PAGE).exists() and "devices" not in capsys.readouterr().out
    write(folder / "moss" / "m.jpg", image(5000), RECORD)
    write(folder / "fern" / "f.jpg", image(5001), RECORD)
    doubt = replace(RECORD, reason="uncertain", top={"<b>": 0.3, "fern": 0.5})
    write(folder / REVIEW / "fern" / "d.jpg", image(5002), doubt)
    (folder / REVIEW / "fern" / "broken.jpg").write_bytes(b"no photo")
    run(folder, out)
    said = capsys.readouterr().out
    assert (
        "42 photos from 41 events in 2 classes, folder 'photos', 2 of them saved by devices" in said
    )
    assert f"saved by devices: 2 train, 0 left out, 2 wait in {folder / REVIEW}" in said
    page = (out / NEW_PHOTOS_PAGE).read_text()
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert page.count("data:image/jpeg") == 3 and page.count("cannot be shown") == 1
    assert "the model says moss" in page, "its opinion of the photo labelled fern"
    assert "<b></b>" not in page and "&lt;b&gt;" in page
    assert "garden · 2026-05-28 20:26" in page
    assert read_csv(out / SPLIT) == split(folder)


def test_the_page_shows_which_photos_are_random(folder: Path) -> None:
    drawn = replace(RECORD, reason=RANDOM, probability=12 / 86400)
    waiting = [
        write(folder / REVIEW / "fern" / "d.jpg", image(5002), replace(RECORD, reason="unknown")),
        write(folder / REVIEW / "fern" / "r.jpg", image(5003), drawn),
    ]
    page = review.render(PhotoFiles(folder), [], waiting)
    assert page.count('<small><b class="random">random</b>') == 1
    assert "1 of the photos below is marked" in page and f"{folder}/{OTHER}</code>" in page
    assert "marked" not in review.render(PhotoFiles(folder), [], waiting[:1])


def test_photos_of_an_alarm_are_marked_and_shown_first(folder: Path) -> None:
    waiting = [
        write(folder / REVIEW / "fern" / "a.jpg", image(5004), replace(RECORD, reason="unknown")),
        write(folder / REVIEW / "fern" / "z.jpg", image(5005), replace(RECORD, reason=WORLD)),
    ]
    page = review.render(PhotoFiles(folder), [], waiting)
    assert page.count('<small><b class="random">world</b>') == 1
    assert "1 of them is marked" in page and page.index("z.jpg") < page.index("a.jpg")
    assert "marked" not in review.render(PhotoFiles(folder), [], waiting[:1])


def test_random_photos_train_as_doubtful_ones_do(folder: Path) -> None:
    before = split(folder)
    drawn = replace(RECORD, reason=RANDOM, probability=12 / 86400)
    write(folder / "moss" / "r.jpg", image(5003), drawn)
    after = split(folder)
    assert [row.part for row in after if row.path == "moss/r.jpg"] == [Part.TRAIN]
    assert [row for row in after if row.path != "moss/r.jpg"] == before


def test_photos_that_show_no_class_have_a_line_and_change_nothing_for_the_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = split(folder)
    write(folder / OTHER / "cat.jpg", image(5004), RECORD)
    run(folder, tmp_path)
    assert read_csv(tmp_path / SPLIT) == before
    assert f"left out: {OTHER}/cat.jpg: a device's photo" in capsys.readouterr().out


def test_the_page_goes_when_there_is_nothing_new(folder: Path, tmp_path: Path) -> None:
    path = write(folder / REVIEW / "fern" / "d.jpg", image(5002), RECORD)
    run(folder, tmp_path)
    assert (tmp_path / NEW_PHOTOS_PAGE).exists()
    path.unlink()
    run(folder, tmp_path)
    assert not (tmp_path / NEW_PHOTOS_PAGE).exists()


def test_photos_that_wait_for_review_make_nothing_train_again(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path)
    files = [tmp_path / SPLIT, tmp_path / DATA]
    before = [file.stat().st_mtime_ns for file in files]
    write(folder / REVIEW / "fern" / "d.jpg", image(5002), RECORD)
    run(folder, tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == before
    write(folder / "fern" / "d.jpg", image(5002), RECORD)
    run(folder, tmp_path)
    assert all(file.stat().st_mtime_ns > old for file, old in zip(files, before, strict=True))


def test_many_new_photos_leave_the_page_small(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "MAX_PICTURES", 3)
    waiting = [
        write(folder / REVIEW / "fern" / f"2026010{day}.jpg", image(day), RECORD)
        for day in range(1, 9)
    ]
    page = review.render(PhotoFiles(folder), [], waiting)
    assert "5 older photos are not shown" in page
    assert "20260108.jpg" in page and "20260101.jpg" not in page


def test_a_photo_of_a_device_is_a_photo_like_any_other_to_the_split_file(folder: Path) -> None:
    write(folder / "moss" / "m.jpg", image(5000), RECORD)
    rows = split(folder)
    with Image.open(io.BytesIO((folder / "moss" / "m.jpg").read_bytes())) as photo:
        assert photo.size == (90, 90)
    assert to_csv(rows).count("moss/m.jpg,moss,train,") == 1
