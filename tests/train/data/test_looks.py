"""Promises about photos in small: in a file they say what they say in memory, and nothing stays."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support.fixed_cameras import frame
from tests.train.data.test_dataset import image
from train import columns, filed
from train.data.looks import Looks, Small, Thumbnails
from train.data.photo import Photo, details, thumbnails
from train.data.split import assign


def photo(picture: Image.Image, path: str) -> Photo:
    digest = sha256(picture.tobytes()).hexdigest()
    return Photo(path, path.partition("/")[0], digest, Small.of(picture))


def album() -> list[Photo]:
    pictures = [image(seed) for seed in range(60)]
    pictures += [ImageOps.mirror(image(seed)) for seed in range(0, 60, 5)]
    pictures += [image(seed).resize((50, 40)) for seed in range(0, 60, 7)]
    pictures += [frame(0, i // 3, 0.1 * (i % 7), 0.5, 1.0, i) for i in range(24)]
    made = [photo(picture, f"class {i % 2}/{i}") for i, picture in enumerate(pictures)]
    return [replace(each, collected=i % 9 == 5) for i, each in enumerate(made)]


def kept(photos: list[Photo], folder: Path) -> list[Photo]:
    looks = Looks(folder)
    return [replace(p, look=looks.keep(p.look)) for p in photos if isinstance(p.look, Small)]


def test_the_split_is_the_same_whether_photos_in_small_are_in_memory_or_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory, in_file = album(), kept(album(), tmp_path)
    expected = assign(in_memory)
    assert assign(in_file) == expected
    monkeypatch.setattr(columns, "MANY", 2)
    assert isinstance(thumbnails(in_file), Thumbnails)
    rows = assign(in_file)
    assert list(rows) == expected
    assert any(row.copy_of for row in rows) and any(row.place for row in rows)


def test_what_is_read_from_the_file_is_what_was_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MANY", 2)
    in_memory, in_file = album(), kept(album(), tmp_path)
    few, rows = [in_file[7], in_file[3]], np.array([7, 3])
    for of in (thumbnails, details):
        expected, found = of(in_memory), of(in_file)
        assert expected is not None and found is not None
        np.testing.assert_array_equal(found[:], expected)
        np.testing.assert_array_equal(found[rows], expected[rows])
        chosen = of(few)
        assert chosen is not None
        np.testing.assert_array_equal(chosen[:], expected[rows])


def test_nothing_of_the_file_stays_in_the_folder(tmp_path: Path) -> None:
    looks = Looks(tmp_path / "train")
    look = looks.keep(Small.of(image(1)))
    assert list((tmp_path / "train").iterdir()) == []
    np.testing.assert_array_equal(look.detail, Small.of(image(1)).detail)
    np.testing.assert_array_equal(look.thumbnail, Small.of(image(1)).thumbnail)


def test_a_thumbnail_does_not_depend_on_what_is_read_with_it(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    each = [looks.keep(Small.of(image(seed))) for seed in range(30)]
    together = Thumbnails(looks, np.arange(30))[:]
    assert all((look.thumbnail == row).all() for look, row in zip(each, together, strict=True))


def test_a_table_in_a_file_is_read_like_an_array_and_leaves_no_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(50, 2, 3)).astype(np.float16)
    tables = [filed.table(values.shape, values.dtype, folder) for folder in (None, tmp_path)]
    for some in tables:
        for start in range(0, 50, 8):
            some[start : min(start + 8, 50)] = values[start : start + 8]
        assert some.shape == values.shape and len(some) == 50
        for rows in (
            slice(3, 9),
            slice(45, 60),
            slice(9, 3),
            slice(0, 50, 7),
            np.array([7, 1, 7]),
            np.array([49, 0, 20]),
            np.empty(0, int),
        ):
            np.testing.assert_array_equal(some[rows], values[rows])
    assert not list(tmp_path.iterdir())


def test_rows_of_a_large_table_that_lie_apart_leave_its_other_rows_on_the_disk(
    tmp_path: Path,
) -> None:
    status, peak = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not peak.exists():
        pytest.skip("only Linux tells the peak of a process's memory from a moment on")
    table = filed.table((200_000, 1024), np.uint8, tmp_path)
    for start in range(0, len(table), 8192):
        rows = slice(start, min(start + 8192, len(table)))
        table[rows] = np.full((rows.stop - start, 1024), start // 8192, np.uint8)
    asked = np.random.default_rng(0).integers(0, len(table), 2048)
    peak.write_text("5")
    before = _peak_mib(status)
    assert (table[asked] == (asked // 8192)[:, None]).all()
    assert _peak_mib(status) - before < 20, "of 195 MiB"


def _peak_mib(status: Path) -> int:
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
    assert found
    return int(found[1]) // 1024


def test_a_full_disk_is_told_with_the_folder(tmp_path: Path) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as file:
        full = filed.Filed(file, (4, 2), np.float32, tmp_path)
        with pytest.raises(OSError, match=str(tmp_path)):
            full[0:2] = np.zeros((2, 2))
