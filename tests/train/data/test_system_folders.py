"""Promises about what systems, drives and photo programs keep among photos."""

from pathlib import Path

import pytest

from tests.train.data.test_dataset import image, jpeg, write
from tests.train.data.test_folders import folder, found, notes

__all__ = ["folder"]

SYSTEMS = [
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "#recycle/1.jpg",
    "$RECYCLE.BIN/1.jpg",
    "System Volume Information/1.jpg",
    "lost+found/1.jpg",
    "__MACOSX/moss/._1.jpg",
    ".Trash-1000/files/1.jpg",
    "._1.jpg",
    "1.jpg:Zone.Identifier",
    "Thumbs.db",
    "desktop.ini",
    ".@__thumb/default1.jpg",
    "#snapshot/1.jpg",
    "@tmp/1.jpg",
    "Recycle Bin - Volume_1/1.jpg",
    "RECYCLER/1.jpg",
    "trashbox/1.jpg",
    "FOUND.000/1.jpg",
    ".AppleDouble/1.jpg",
    ":2eDS_Store",
    ".Trashes/501/1.jpg",
    ".dtrash/1.jpg",
    ".picasaoriginals/1.jpg",
    "Catalog Previews.lrdata/1/1.jpg",
    "CaptureOne/Cache/Thumbnails/1.jpg",
    "THMBNL/C0001T01.JPG",
    "GOPR0001.THM",
    ".DS_Store",
]


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("where", ["", "moss", "moss/deeper"])
def test_what_systems_keep_is_no_photo_and_no_class(folder: Path, name: str, where: str) -> None:
    before = found(folder)
    write(folder / where / name, jpeg(image(1)))
    assert found(folder) == before
    assert "of the system or the drive: 1" in notes(folder)


@pytest.mark.parametrize("named", ["{}.jpg", "{}.JPG", "tn_{}.jpg", "{}_thumb.jpg"])
@pytest.mark.parametrize("name", ["thumbs", "Thumbnails", "_thumb", "previews"])
def test_thumbnails_beside_their_photos_are_no_photos(folder: Path, name: str, named: str) -> None:
    before = found(folder)
    for path in [path for path in (folder / "moss").iterdir() if path.is_file()][:3]:
        write(folder / "moss" / name / named.format(path.stem), jpeg(image(1)))
    assert found(folder) == before
    assert f"with thumbnails of the photos beside them: 1 (moss/{name})" in notes(folder)


def test_photos_of_their_own_in_a_folder_of_thumbs_are_read(folder: Path) -> None:
    write(folder / "moss" / "thumbs" / "another.jpg", jpeg(image(1)))
    assert "moss/thumbs/another.jpg" in found(folder)


@pytest.mark.parametrize(
    "name", ["Photos Library.photoslibrary", "iPhoto Library.photolibrary", "a.aplibrary"]
)
def test_libraries_of_photo_programs_are_told_to_be_exported(folder: Path, name: str) -> None:
    before = found(folder)
    write(folder / "moss" / name / "originals" / "0" / "1.jpg", jpeg(image(1)))
    write(folder / "moss" / name / "resources" / "derivatives" / "1.jpg", jpeg(image(1)))
    assert found(folder) == before
    assert f"export the photos: 1 (moss/{name})" in notes(folder)


def test_every_folder_that_might_be_meant_as_a_class_is_named(folder: Path) -> None:
    names = ["#recycle", "$RECYCLE.BIN", "@eaDir", "CaptureOne", "THMBNL", "lost+found"]
    for name in names:
        write(folder / name / "1.jpg", jpeg(image(1)))
    for label in ("moss", "fern"):
        write(folder / label / "@eaDir" / "1.jpg", jpeg(image(1)))
    line = f"of the system or the drive: 8 ({', '.join(sorted(names))}, ...)"
    assert line in notes(folder)


@pytest.mark.parametrize("name", ["recycled", "thumbs", "trash", "found", "desktop"])
def test_classes_may_be_called_nearly_so(folder: Path, name: str) -> None:
    write(folder / name / "1.jpg", jpeg(image(1)))
    assert f"{name}/1.jpg" in found(folder)
