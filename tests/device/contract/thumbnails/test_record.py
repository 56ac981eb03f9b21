"""Promises of thumbnails: the nearest ones are found, and damaged ones cost no more than a line."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from device.contract import bundle as contract
from device.contract.thumbnails import webp
from device.contract.thumbnails.record import MAX_BYTES, MOST_SIDE_PX, Thumbnails
from device.errors import BundleError, ThumbnailsError
from device.update import slots
from tests.support.cli import Call, device, lines
from tests.support.device import thumbnails
from tests.support.device.bundle_files import read_folder, resealed, tar_bytes, write_folder
from tests.support.device.thumbnails import with_thumbnails
from tests.support.pictures import LABELS, encoded, picture

DIRECTIONS = np.eye(8, 6, dtype=np.float32)
WHOLE = thumbnails.along(DIRECTIONS)


def archive(save: Callable[..., None] = np.savez, **changes: Any) -> bytes:
    """The file with other arrays."""
    arrays: dict[str, npt.NDArray[Any]] = dict(np.load(io.BytesIO(WHOLE.content())))
    data = io.BytesIO()
    save(data, **{**arrays, **changes})
    return data.getvalue()


def of_pictures(*pictures: bytes) -> bytes:
    """The file with these pictures instead."""
    count = len(pictures)
    return Thumbnails(pictures, (0,) * count, WHOLE.places[:count], DIRECTIONS).content()


def test_what_is_written_is_read_back_and_equal_pictures_give_equal_bytes() -> None:
    read = Thumbnails.read(WHOLE.content(), len(LABELS), DIRECTIONS)
    assert (read.pictures, read.labels) == (WHOLE.pictures, WHOLE.labels)
    assert (read.places == WHOLE.places).all()
    assert read.content() == WHOLE.content() == thumbnails.along(DIRECTIONS).content()


def test_the_nearest_are_those_with_the_same_direction_however_bright_the_picture_is() -> None:
    features = np.array([0.1, 0, 0.9, 0, 0.5, 0, 3, 3], np.float32)
    for bright in (0.01, 1, 100):
        assert WHOLE.nearest(features * np.float32(bright)) == [2, 4, 0]
    assert WHOLE.nearest(features, 1) == [2]
    assert len(WHOLE.nearest(np.zeros(8, np.float32))) == 3, "no features at all"
    one = Thumbnails(WHOLE.pictures[:1], (0,), WHOLE.places[:1], DIRECTIONS)
    assert one.nearest(features) == [0]


@pytest.mark.parametrize("sides", [(1, 1), (48, 48), (128, 3), (97, 64)])
def test_the_size_of_a_plain_webp_is_read_without_decoding_it(sides: tuple[int, int]) -> None:
    assert webp.size_px(encoded(picture(0, 0, *sides), "WEBP")) == sides


EXIF = Image.Exif()
EXIF[0x010E] = "where it was taken"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        encoded(picture(0, 0), "PNG"),
        encoded(picture(0, 0), "JPEG"),
        encoded(picture(0, 0), "WEBP", lossless=True),
        encoded(picture(0, 0), "WEBP", exif=EXIF),
        encoded(picture(0, 0), "WEBP", icc_profile=b"a profile"),
        encoded(picture(0, 0), "WEBP")[:-4],
        encoded(picture(0, 0), "WEBP") + b"more",
    ],
)
def test_what_is_no_plain_webp_or_tells_more_than_pixels_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="WebP picture"):
        webp.size_px(data)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "noise": lambda data: b"PK" + data[2:99],
    "too large": lambda data: data + bytes(MAX_BYTES),
    "compressed": lambda data: archive(np.savez_compressed, pictures=np.zeros(10**8, np.uint8)),
    "no labels": lambda data: archive(labels=np.zeros(0, np.int32)),
    "a label of no class": lambda data: archive(labels=np.full(6, 3)),
    "other directions": lambda data: archive(places=np.zeros((6, 5), np.float16)),
    "no numbers": lambda data: archive(places=np.full((6, 6), np.nan, np.float16)),
    "ends beyond the end": lambda data: archive(ends=np.arange(1, 7) * 10**6),
    "ends that go back": lambda data: archive(ends=np.arange(7, 1, -1)),
    "pictures that are none": lambda data: archive(pictures=np.zeros(9999, np.uint8)),
    "objects": lambda data: archive(labels=np.array([object()] * 6)),
    "a JPEG": lambda data: of_pictures(encoded(picture(0, 0, 48, 48), "JPEG")),
    "a large one": lambda data: of_pictures(thumbnails.webp(0, side_px=MOST_SIDE_PX + 1)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_thumbnails_are_one_line(name: str) -> None:
    with pytest.raises(ThumbnailsError, match=r"thumbnails\.npz is damaged") as caught:
        Thumbnails.read(DAMAGES[name](WHOLE.content()), len(LABELS), DIRECTIONS)
    assert len(str(caught.value).splitlines()) == 1


# --- in a bundle ----------------------------------------------------------------------------------


def spoiled(files: dict[str, bytes]) -> dict[str, bytes]:
    """Another byte than the manifest says."""
    data = files[contract.THUMBNAILS]
    return {**files, contract.THUMBNAILS: data[:-1] + bytes([data[-1] ^ 1])}


def missing(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != contract.THUMBNAILS}


def test_a_bundle_has_them_only_if_its_manifest_says_so(tiny_bundle: Path, tmp_path: Path) -> None:
    without = contract.load(tiny_bundle)
    assert without.thumbnails is None and not without.thumbnails_problem
    assert "thumbnails" not in without.manifest
    files = with_thumbnails(read_folder(tiny_bundle))
    folder = write_folder(tmp_path / "with", files)
    for path, data in ((folder, None), (tmp_path / "with.tar", tar_bytes(files))):
        if data:
            path.write_bytes(data)
        loaded = contract.load(path)
        assert loaded.thumbnails is not None and len(loaded.thumbnails.pictures) == 6
        assert contract.read_files(path) == files
    # A file that the manifest does not list is not looked at.
    (tiny := write_folder(tmp_path / "plain", read_folder(tiny_bundle))).joinpath(
        contract.THUMBNAILS
    ).write_bytes(files[contract.THUMBNAILS])
    assert contract.load(tiny).thumbnails is None


@pytest.mark.parametrize("damage", [spoiled, missing])
def test_without_its_thumbnails_a_bundle_classifies_but_is_not_installed(
    damage: Callable[[dict[str, bytes]], dict[str, bytes]],
    tiny_bundle: Path,
    tmp_path: Path,
    photos: Path,
    call: Call,
) -> None:
    whole = with_thumbnails(read_folder(tiny_bundle))
    folder = write_folder(tmp_path / "b", damage(whole))
    loaded = contract.load(folder)
    assert loaded.thumbnails is None and "thumbnails.npz" in loaded.thumbnails_problem
    status, said, _ = call("classify", "--bundle", folder, "--json", photos / "a.png")
    assert status == 0 and lines(said)[0]["label"] == "red"
    with pytest.raises(BundleError, match=r"thumbnails\.npz"):
        contract.read_files(folder)
    (root := tmp_path / "root").mkdir()
    (root / slots.SLOTS).mkdir()
    assert call("slots", "install", folder, "--root", root)[0] == 1
    assert slots.status(root)[0].problem == "empty"


def test_thumbnails_that_cannot_be_read_stop_nothing(tiny_bundle: Path, tmp_path: Path) -> None:
    files = with_thumbnails(read_folder(tiny_bundle), b"no archive")
    folder = write_folder(tmp_path / "b", files)
    problem = contract.load(folder).thumbnails_problem
    assert "thumbnails.npz is damaged" in problem and len(problem.splitlines()) == 1
    done = device("selftest", "--bundle", folder)
    assert done.returncode == 0 and "self-test passed" in done.stdout


def test_too_large_ones_are_not_even_read(tiny_bundle: Path, tmp_path: Path) -> None:
    large = with_thumbnails(read_folder(tiny_bundle), bytes(MAX_BYTES + 1))
    folder = write_folder(tmp_path / "b", large)
    assert contract.load(folder).thumbnails is None
    with pytest.raises(BundleError, match="larger than 150,000 bytes"):
        contract.read_files(folder)


def test_a_slot_takes_them_with_the_rest(tiny_bundle: Path, tmp_path: Path) -> None:
    files = with_thumbnails(read_folder(tiny_bundle))
    (root := tmp_path / "root").mkdir()
    (root / slots.SLOTS).mkdir()
    slots.install(write_folder(tmp_path / "b", files), root)
    assert contract.read_files(root / slots.CURRENT) == files
    assert resealed(files, thumbnails=6) == files
