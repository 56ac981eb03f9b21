"""What `device.workstation.photo_files` promises: one path, one file, whatever it is called."""

from pathlib import Path

import pytest

from device.workstation.photo_files import PhotoFiles

FRAME = "robin/clip.mp4/000000500ms.jpg"


@pytest.fixture
def files(tmp_path: Path) -> PhotoFiles:
    (tmp_path / "data/robin").mkdir(parents=True)
    return PhotoFiles(tmp_path / "data", tmp_path / "build/films")


def test_a_frame_of_a_film_is_found_beside_the_build(files: PhotoFiles) -> None:
    (files.source / "robin/clip.mp4").touch()
    assert files.path(FRAME) == files.films / FRAME  # type: ignore[operator]
    assert files.path("robin/1.jpg") == files.source / "robin/1.jpg"


def test_a_photo_in_a_folder_that_is_called_like_a_film_is_the_users_own(files: PhotoFiles) -> None:
    (files.source / "robin/clip.mp4").mkdir()
    assert files.path(FRAME) == files.source / FRAME


def test_frames_of_a_film_that_is_gone_are_missed_where_it_was(files: PhotoFiles) -> None:
    assert files.path(FRAME) == files.source / FRAME
