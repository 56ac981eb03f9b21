"""Promises about the photos: what is found, what is left out, what is said when it fails."""

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device.contract.preprocess import Preprocessing
from device.workstation.records import RecordError
from device.workstation.training import DATA, LEFT_OUT, DataRecord, Part
from tests.support.pictures import encoded
from train.data import dataset as photos
from train.data import flowers as fetch
from train.data import record as data_record
from train.data.folder import RENDERED_MARK
from train.data.photo import Photo
from train.data.split import assign, to_csv
from train.errors import DataError

RULES = Preprocessing()
NO_SERVER = "http://127.0.0.1:9/flower_photos.tgz"
"""The discard port: nothing listens there."""


jpeg = partial(encoded, kind="JPEG")


def image(seed: int, mode: str = "RGB") -> Image.Image:
    """A picture unlike any of another seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((90, 70), Image.Resampling.BICUBIC).convert(mode)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def two_classes(folder: Path, count: int = 6) -> Path:
    for label in ("moss", "fern"):
        for number in range(count):
            seed = number + (1000 if label == "moss" else 0)
            write(folder / label / f"{number}.jpg", jpeg(image(seed)))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "photos")


def by_path(folder: Path) -> dict[str, Photo]:
    return {photo.path: photo for photo in photos.scan(folder, RULES)}


# --- scan ---------------------------------------------------------------------------------------


def test_every_photo_of_every_class_is_read_once(folder: Path) -> None:
    write(folder / "moss" / "deeper" / "down.PNG", encoded(image(7)))
    found = photos.scan(folder, RULES)
    assert len(found) == len({photo.path for photo in found}) == 13
    assert {photo.label for photo in found} == {"moss", "fern"}
    assert not any(photo.problem for photo in found)
    deep = next(photo for photo in found if photo.path == "moss/deeper/down.PNG")
    assert deep.label == "moss"


def test_hidden_folders_and_files_and_other_files_are_passed_over(folder: Path) -> None:
    before = by_path(folder).keys()
    write(folder / ".thumbnails" / "0.jpg", jpeg(image(1)))
    write(folder / "moss" / ".0.jpg", jpeg(image(2)))
    write(folder / "moss" / ".cache" / "0.jpg", jpeg(image(3)))
    write(folder / "moss" / "notes.txt", b"found under the old oak")
    write(folder / "README.md", b"two kinds of plants")
    (folder / "empty class").mkdir()
    assert by_path(folder).keys() == before


def gigapixel_png() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


WHOLE = jpeg(image(50))
BAD_FILES: dict[str, tuple[bytes, str]] = {
    "truncated.jpg": (WHOLE[: len(WHOLE) // 2], "damaged picture"),
    "empty.jpg": (b"", "the file is empty"),
    "text.jpg": (b"This is no photo.\n" * 20, "not a picture of a known format"),
    "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
    "huge.png": (gigapixel_png(), "more than 89,478,485"),
    "cut header.png": (encoded(image(51))[:20], "damaged picture"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_left_out_with_its_reason(folder: Path, name: str) -> None:
    content, reason = BAD_FILES[name]
    write(folder / "moss" / name, content)
    rows = assign(photos.scan(folder, RULES))
    left_out = {row.path: row.reason for row in rows if row.part == LEFT_OUT}
    assert list(left_out) == [f"moss/{name}"]
    assert reason in left_out[f"moss/{name}"]
    assert "\n" not in left_out[f"moss/{name}"]


def animated() -> bytes:
    frames = [image(60), image(61)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def sixteen_bit() -> bytes:
    grey = np.asarray(image(62, "L")).astype(np.uint16) * 257
    return encoded(Image.fromarray(grey))


ODD_FILES: dict[str, Callable[[], bytes]] = {
    "cmyk.jpg": lambda: jpeg(image(63, "CMYK")),
    "grey.jpg": lambda: jpeg(image(64, "L")),
    "16 bit.png": sixteen_bit,
    "animated.gif": animated,
    "palette.png": lambda: encoded(image(65).quantize(16)),
    "see-through.png": lambda: encoded(image(66, "RGBA")),
    "wrong suffix.jpg": lambda: encoded(image(67)),
    "tiny.png": lambda: encoded(image(68).crop((0, 0, 1, 1))),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_an_odd_but_whole_photo_is_used(folder: Path, name: str) -> None:
    write(folder / "moss" / name, ODD_FILES[name]())
    assert by_path(folder)[f"moss/{name}"].problem == ""


def test_a_turned_photo_is_near_identical_to_its_upright_self(folder: Path) -> None:
    """EXIF orientation 6: the file holds the picture turned by 90 degrees to the left."""
    upright = image(70)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    write(folder / "moss" / "a.jpg", jpeg(upright, quality=95))
    write(folder / "moss" / "b.jpg", jpeg(turned, quality=95, exif=exif))
    found = by_path(folder)
    first, second = (found[f"moss/{name}.jpg"].look for name in "ab")
    assert first is not None and second is not None
    assert float(first.thumbnail @ second.thumbnail) > 0.99


@pytest.mark.parametrize("name", [b"\xff\xfe.jpg", b"caf\xe9.jpg"])
def test_a_name_that_is_no_text_is_left_out_with_a_reason(folder: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(folder / "moss"), name)
    try:
        Path(os.fsdecode(path)).write_bytes(jpeg(image(71)))
    except OSError:
        pytest.skip("this file system keeps names as text")
    rows = assign(photos.scan(folder, RULES))
    (row,) = (row for row in rows if row.part == LEFT_OUT)
    assert "rename it" in row.reason
    assert to_csv(rows).encode("utf-8")


def test_a_class_name_with_control_characters_is_refused(folder: Path) -> None:
    (folder / "moss").rename(folder / "mo\nss")
    with pytest.raises(DataError, match=r"'mo\\nss'.*rename"):
        photos.scan(folder, RULES)


@pytest.mark.parametrize("loose", [False, True])
def test_a_folder_without_classes_is_refused(tmp_path: Path, loose: bool) -> None:
    if loose:
        write(tmp_path / "photo.jpg", jpeg(image(1)))
    with pytest.raises(DataError, match="one folder per class") as caught:
        photos.scan(tmp_path, RULES)
    assert ("not sorted into folders" in str(caught.value)) == loose


# --- describe -----------------------------------------------------------------------------------


def test_the_record_counts_every_row_and_names_the_data(folder: Path) -> None:
    write(folder / "fern" / "empty.jpg", b"")
    rows = assign(photos.scan(folder, RULES))
    record = data_record.describe(folder, rows).data
    assert record.kind == "photos"
    assert record.description == "12 photos in 2 classes, folder 'photos'"
    assert sum(sum(parts.values()) for parts in record.counts.values()) == len(rows) == 13
    assert record.counts["fern"][LEFT_OUT] == 1
    assert all(record.counts["moss"][part] >= 1 for part in Part)
    assert str(folder) not in json.dumps(asdict(record))


def test_the_fingerprint_depends_on_content_and_class_alone(folder: Path, tmp_path: Path) -> None:
    def fingerprint(where: Path) -> str:
        return data_record.describe(where, assign(photos.scan(where, RULES))).data.fingerprint

    first = fingerprint(folder)
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    (moved / "moss" / "0.jpg").rename(moved / "moss" / "z.jpg")
    assert fingerprint(moved) == first
    write(moved / "moss" / "new.jpg", jpeg(image(80)))
    assert fingerprint(moved) != first


def test_rendered_pictures_are_called_so(folder: Path) -> None:
    write(folder / RENDERED_MARK, b"")
    record = data_record.describe(folder, assign(photos.scan(folder, RULES)))
    assert record.data.kind == "rendered"
    assert "no real photos" in record.data.description


def test_the_record_comes_back_or_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    record = data_record.describe(folder, assign(photos.scan(folder, RULES)))
    path = tmp_path / DATA
    record.write(path)
    assert DataRecord.read(path) == record
    path.write_text(record.text()[:-20])
    with pytest.raises(RecordError, match="make data"):
        DataRecord.read(path)
    with pytest.raises(RecordError, match="make data"):
        DataRecord.read(tmp_path / "none.json")


# --- locate -------------------------------------------------------------------------------------


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """No server for the official photos, and a renderer that only notes what it was asked."""
    asked: list[Path] = []

    def render(folder: Path) -> int:
        asked.append(folder)
        write(folder / RENDERED_MARK, b"")
        return 0

    monkeypatch.setattr(photos, "render_data_set", render)
    monkeypatch.setattr(fetch, "FLOWERS_URL", NO_SERVER)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return asked


def test_a_named_folder_is_taken_as_it_is(
    folder: Path, tmp_path: Path, rendered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert photos.locate(str(folder), tmp_path / "store") == folder
    # make hands on what no shell has read.
    monkeypatch.setenv("HOME", str(folder.parent))
    assert photos.locate(f"~/{folder.name}", tmp_path / "store") == folder
    assert not rendered


def test_fetched_photos_are_taken_without_asking_the_network(
    tmp_path: Path, rendered: list[Path]
) -> None:
    (tmp_path / "flower_photos").mkdir()
    assert photos.locate(None, tmp_path) == tmp_path / "flower_photos"
    assert not rendered


def test_without_network_pictures_are_rendered_and_that_is_said(
    tmp_path: Path, rendered: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    assert photos.locate(None, store) == store / "rendered_flowers"
    said = capsys.readouterr().err
    assert "cannot be fetched" in said
    assert "Rendering" in said
    assert "DATA=" in said
    assert photos.locate("", store) == store / "rendered_flowers"
    assert rendered == [store / "rendered_flowers"] * 2


def test_rendered_pictures_can_be_asked_for(
    tmp_path: Path, rendered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(photos, "fetch_flowers")
    assert photos.locate(data_record.RENDERED, tmp_path) == tmp_path / "rendered_flowers"
    assert len(rendered) == 1


def test_what_was_rendered_once_hides_no_photos(tmp_path: Path, rendered: list[Path]) -> None:
    photos.locate(data_record.RENDERED, tmp_path)
    (tmp_path / "flower_photos").mkdir()
    assert photos.locate(None, tmp_path) == tmp_path / "flower_photos"


def test_the_official_photos_are_asked_for_again_after_a_time_without_network(
    tmp_path: Path, rendered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert photos.locate(None, tmp_path) == tmp_path / "rendered_flowers"
    monkeypatch.setattr(photos, "fetch_flowers", lambda store: store / "flower_photos")
    assert photos.locate(None, tmp_path) == tmp_path / "flower_photos"


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_data_that_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photos"
    if kind == "a file":
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no such folder"):
        photos.locate(str(path), tmp_path)
