"""What `device.workstation.photo_files` promises: one path, one file, whatever it is called."""

from pathlib import Path

import pytest

from device.workstation.photo_files import PhotoFiles

FRAME = "robin/clip.mp4/000000500ms.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data/robin").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def files(folder: Path, tmp_path: Path) -> PhotoFiles:
    return PhotoFiles(folder, tmp_path / "build/films")


def test_a_frame_of_a_film_is_found_beside_the_build(files: PhotoFiles, folder: Path) -> None:
    (folder / "robin/clip.mp4").touch()
    assert files.path(FRAME) == files.films / FRAME  # type: ignore[operator]
    assert files.path("robin/1.jpg") == folder / "robin/1.jpg"


def test_a_photo_in_a_folder_that_is_called_like_a_film_is_the_users_own(
    files: PhotoFiles, folder: Path
) -> None:
    (folder / "robin/clip.mp4").mkdir()
    assert files.path(FRAME) == folder / FRAME


def test_frames_of_a_film_that_is_gone_are_missed_where_it_was(
    files: PhotoFiles, folder: Path
) -> None:
    assert files.path(FRAME) == folder / FRAME
