"""What `classify` says of folders of photos of cameras that stand still."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from device.contract.look.rules import Region
from device.contract.preprocess import prepare
from device.inference.classifier import Classifier
from tests.support.albums import Camera
from tests.support.cli import Call, assert_one_error_line, lines
from tests.support.device.bundle_files import read_folder, resealed, write_folder


@pytest.fixture(scope="session")
def change_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, as if it had been trained on cut photos."""
    folder = tmp_path_factory.mktemp("change") / "bundle"
    return write_folder(folder, resealed(read_folder(tiny_bundle), region=Region.CHANGE.value))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Twelve red visitors before green and blue, and once nothing."""
    camera, folder = Camera(1, "Cam1"), tmp_path / "album"
    camera.visits(folder, 12)
    camera.save(folder / "1_900.jpg", 900, 90_000, visited=False)
    return folder


def test_photos_of_a_camera_are_cut_and_one_with_nothing_new_says_so(
    call: Call, change_bundle: Path, album: Path, tiny_classifier: Classifier
) -> None:
    status, out, err = call("classify", "--bundle", change_bundle, "--json", album)
    records = lines(out)
    assert status == 0 and len(records) == 13
    assert all(list(record)[-2:] == ["seen", "box"] for record in records)
    *visits, empty = records
    assert {record["seen"] for record in visits} == {"something"}
    assert all(len(record["box"]) == 4 for record in visits)
    assert (empty["seen"], empty["box"]) == ("nothing", None)
    for record in visits:
        left, upper, right, lower = record["box"]
        picture = Image.open(record["path"]).crop((left, upper, right, lower))
        said = tiny_classifier.classify(prepare(picture, tiny_classifier.preprocessing))
        assert said.record() == {name: record[name] for name in said.record()}
    assert err == (
        "# 12 of 13 photos cut to what differs from their place; 1 whole: 1 with nothing new\n"
    )
    _, out, _ = call("classify", "--bundle", change_bundle, album)
    ends = [line.endswith(", with nothing new in it") for line in out.splitlines()]
    assert ends == [False] * 12 + [True]


def test_a_bundle_of_whole_pictures_and_the_wish_for_them_leave_photos_whole(
    call: Call, change_bundle: Path, tiny_bundle: Path, album: Path
) -> None:
    runs = [
        call("classify", "--bundle", tiny_bundle, "--json", album),
        call("classify", "--bundle", tiny_bundle, "--json", "--look", "whole", album),
        call("classify", "--bundle", change_bundle, "--json", "--look", "whole", album),
    ]
    assert runs[0] == runs[1] == runs[2]
    status, out, err = runs[0]
    assert (status, err) == (0, "")
    assert {(record["seen"], record["box"]) for record in lines(out)} == {(None, None)}


def test_single_photos_and_photos_of_no_camera_stay_whole_and_the_line_says_why(
    call: Call, change_bundle: Path, album: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(album.iterdir())[:3]:
        shutil.copy(path, few)
    (few / "bad.jpg").write_text("no photo")
    status, out, err = call(
        "classify", "--bundle", change_bundle, "--json", few, album / "1_000.jpg"
    )
    records = [record for record in lines(out) if "error" not in record]
    assert status == 1 and len(records) == 4
    assert {(record["seen"], record["box"]) for record in records} == {(None, None)}
    assert err == (
        "# 0 of 4 photos cut to what differs from their place; 4 whole: 3 of no camera known to "
        "stand still (by 9 photos or more), 1 given one by one\n"
    )


def test_a_film_says_who_reads_films_and_no_photo_is_counted(
    call: Call, change_bundle: Path, tmp_path: Path
) -> None:
    film = tmp_path / "visit.MP4"
    film.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    status, out, err = call("classify", "--bundle", change_bundle, film)
    assert (status, out) == (1, "")
    assert err.splitlines()[1:] == [
        f"{film}: error: a film, which is not read here: `run --source` reads films"
    ]


def test_a_bundle_of_whole_pictures_cannot_be_made_to_cut(
    call: Call, change_bundle: Path, tiny_bundle: Path, album: Path
) -> None:
    refused = call("classify", "--bundle", tiny_bundle, "--look", "change", album)
    assert_one_error_line(refused, "trained on whole pictures", status=2)
    assert call("classify", "--bundle", change_bundle, "--look", "change", album)[0] == 0
