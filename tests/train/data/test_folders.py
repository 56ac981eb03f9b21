"""Promises about what lies in a data folder: no class and no photo goes without a word."""

import os
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.contract.folders import photos_below
from tests.train.data.test_dataset import RULES, image, jpeg, two_classes, write
from train.data import dataset as photos
from train.data import record
from train.data.folder import read_folder
from train.data.split import assign
from train.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "photos")


def found(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path, _ in read_folder(folder).photos}


def notes(folder: Path) -> str:
    return "\n".join(read_folder(folder).notes)


# --- kinds of files -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jif", ".JFIF", ".JPG", ".Jpeg", ".hif"])
def test_photos_as_browsers_and_cameras_name_them_are_photos(folder: Path, suffix: str) -> None:
    write(folder / "moss" / f"download (1){suffix}", jpeg(image(1)))
    assert f"moss/download (1){suffix}" in found(folder)


@pytest.mark.parametrize("name", ["IMG_0001", "photo.jpg_large", "a.jpg~", "b.JPG.orig", "c.thumb"])
def test_a_photo_with_an_odd_suffix_is_found_by_its_bytes(folder: Path, name: str) -> None:
    write(folder / "moss" / name, jpeg(image(1)))
    assert f"moss/{name}" in found(folder)


def test_other_files_are_told_with_their_number(folder: Path) -> None:
    before = found(folder)
    for name in ("notes.txt", "song.mp3", "sub/more.txt"):
        write(folder / "moss" / name, b"no photo, whatever")
    assert found(folder) == before
    assert "no photos: 3 (moss/notes.txt, moss/song.mp3, moss/sub/more.txt)" in notes(folder)


def test_photos_beside_the_class_folders_are_told(folder: Path) -> None:
    write(folder / "IMG_1.JPG", jpeg(image(1)))
    assert "photos or films in no class folder: 1 (IMG_1.JPG)" in notes(folder)


def test_hidden_files_and_folders_are_told(folder: Path) -> None:
    write(folder / ".owl" / "1.jpg", jpeg(image(1)))
    write(folder / "moss" / ".old" / "1.jpg", jpeg(image(2)))
    assert "hidden: 2 (.owl, moss/.old)" in notes(folder)


def test_a_named_pipe_is_no_photo_and_nothing_waits_for_it(folder: Path) -> None:
    os.mkfifo(folder / "moss" / "pipe.jpg")
    os.mkfifo(folder / "moss" / "pipe")
    assert "no photos: 2" in notes(folder)


@pytest.mark.parametrize("name", ["song.mp3", "scan.psd", "unknown"])
def test_a_class_of_nothing_that_is_read_stops(folder: Path, name: str) -> None:
    write(folder / "owl" / name, b"something else")
    with pytest.raises(DataError, match="class folder 'owl' has no photos, only 1 "):
        read_folder(folder)


def test_a_folder_of_documents_or_of_nothing_is_no_class_and_told(folder: Path) -> None:
    write(folder / "labels" / "0.txt", b"0 0.5 0.5")
    (folder / "nothing").mkdir()
    assert "folders without photos or films: 2 (labels, nothing)" in notes(folder)


def test_a_class_of_raw_pictures_is_told_one_by_one(folder: Path) -> None:
    write(folder / "owl" / "1.DNG", b"II*\0")
    (raw,) = [photo for photo in photos.scan(folder, RULES) if photo.problem]
    assert (raw.path, raw.label) == ("owl/1.DNG", "owl")
    assert raw.problem == ".dng files are not supported: convert it to JPEG"


# --- links --------------------------------------------------------------------------------------


def test_folders_behind_links_are_read(folder: Path, tmp_path: Path) -> None:
    for name in ("more moss", "owl", "wren"):
        write(tmp_path / "disk" / name / "100.jpg", jpeg(image(len(name))))
    (folder / "moss" / "link").symlink_to(tmp_path / "disk" / "more moss")
    (folder / "owl").mkdir()
    (folder / "owl" / "link").symlink_to(tmp_path / "disk" / "owl")
    (folder / "wren").symlink_to(tmp_path / "disk" / "wren")
    (folder / "fern" / "one.jpg").symlink_to(tmp_path / "disk" / "wren" / "100.jpg")
    more = {"moss/link/100.jpg", "owl/link/100.jpg", "wren/100.jpg", "fern/one.jpg"}
    assert more < found(folder)


@pytest.mark.parametrize("target", [".", "..", "../..", "deeper", "/"])
def test_links_that_lead_back_end_nowhere_and_are_told(folder: Path, target: str) -> None:
    (folder / "moss" / "deeper").mkdir()
    before = found(folder)
    (folder / "moss" / "deeper" / "loop").symlink_to(
        target if target.startswith("/") else folder / "moss" / target
    )
    assert found(folder) == before
    assert "links to folders above them, or read already: 1 (moss/deeper/loop)" in notes(folder)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_whatever_links_there_are_each_photo_is_read_once(links: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        nodes = [Path(name), *(Path(name, *"abcde"[: n + 1]) for n in range(5))]
        nodes[-1].mkdir(parents=True)
        for node in nodes:
            (node / "photo.jpg").write_bytes(b"")
        for number, (where, to) in enumerate(links):
            (nodes[where] / f"link{number}").symlink_to(nodes[to])
        read = [path.resolve() for path in photos_below(Path(name))]
        assert sorted(read) == sorted((node / "photo.jpg").resolve() for node in nodes)


def test_links_that_lead_nowhere_are_told(folder: Path) -> None:
    (folder / "moss" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "moss" / "self").symlink_to("self")
    assert "links that lead nowhere: 2 (moss/gone.jpg, moss/self)" in notes(folder)


@pytest.mark.parametrize("inside", [True, False])
def test_a_class_behind_a_link_that_leads_nowhere_stops(folder: Path, inside: bool) -> None:
    if inside:
        (folder / "owl").mkdir()
    (folder / "owl" / "link" if inside else folder / "owl").symlink_to("/nowhere/at all")
    with pytest.raises(DataError, match=r"class 'owl' has no photos.*leads nowhere"):
        read_folder(folder)


# --- parts and depth ----------------------------------------------------------------------------


def as_parts(folder: Path, *names: str) -> Path:
    classes = list(folder.iterdir())
    for part in names:
        for path in classes:
            shutil.copytree(path, folder / part / path.name)
    for path in classes:
        shutil.rmtree(path)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid", "test"),
        ("training", "validation"),
        ("seg_train", "seg_test"),
        ("Training Set", "Testing Set"),
        ("train2017", "val2017"),
    ],
)
@pytest.mark.parametrize("beside", ["", "images to predict", "extra", "__MACOSX"])
@pytest.mark.parametrize("deeper", [False, True])
def test_exported_parts_are_refused_whatever_lies_beside_them(
    folder: Path, names: tuple[str, ...], beside: str, deeper: bool
) -> None:
    as_parts(folder, *names)
    if beside:
        write(folder / beside / "1.jpg", jpeg(image(1)))
    if deeper:
        (folder.parent / "outer").mkdir()
        folder.rename(folder.parent / "outer" / "birds")
        folder = folder.parent / "outer"
    with pytest.raises(DataError, match="its folders are parts") as caught:
        read_folder(folder)
    assert all(name in str(caught.value) for name in names)


def test_a_part_without_class_folders_does_not_hide_the_other(folder: Path) -> None:
    as_parts(folder, "train")
    write(folder / "test" / "1.jpg", jpeg(image(1)))
    with pytest.raises(DataError, match=r"its folders are parts \(test, train\)"):
        read_folder(folder)


def test_classes_one_level_too_deep_are_refused_with_the_folder_to_give(folder: Path) -> None:
    outer = folder.parent / "outer"
    outer.mkdir()
    folder.rename(outer / "birds")
    write(outer / "notes.txt", b"")
    with pytest.raises(DataError, match=r"holds folders \(fern, moss\).*DATA=.*outer/birds"):
        read_folder(outer)


def test_trains_and_tests_are_classes_too(tmp_path: Path) -> None:
    for name in ("train/steam", "plane", "test tube", "val d'isere"):
        write(tmp_path / name / "1.jpg", jpeg(image(1)))
    (tmp_path / "test tube").rename(tmp_path / "tube")
    (tmp_path / "val d'isere").rename(tmp_path / "isere")
    assert len(found(tmp_path)) == 4
    shutil.move(tmp_path / "train/steam/1.jpg", tmp_path / "train/1.jpg")
    (tmp_path / "tube").rename(tmp_path / "test")
    assert len(found(tmp_path)) == 4


# --- names --------------------------------------------------------------------------------------

ALIKE = [
    ("rose", "Rose"),
    ("Gänse", unicodedata.normalize("NFD", "Gänse")),
    ("rose", "rose "),
    ("rose", " rose"),
    ("rose", "rose\u200b"),
    ("rose", "rose."),
    ("rose", "rose\u200d"),
    ("rose", "ｒｏｓｅ"),
    ("moss rose", "moss  rose"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_classes_that_look_alike_are_refused_with_both_names(
    folder: Path, one: str, other: str
) -> None:
    for name in (one, other):
        write(folder / name / "1.jpg", jpeg(image(1)))
    with pytest.raises(DataError, match="look alike") as caught:
        read_folder(folder)
    assert repr(one) in str(caught.value) and repr(other) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "Rosa sp.",
        "گل‌های سرخ",
        "ハルジオン・白",
        "O’Neil’s finch",
        "👩‍🌾",
        "50% moss; a|b",
        "菊" * 64,
    ],
)
def test_ordinary_spellings_are_classes(folder: Path, name: str) -> None:
    write(folder / name / "1.jpg", jpeg(image(1)))
    assert f"{name}/1.jpg" in found(folder)


@pytest.mark.parametrize(
    "name", ["a\x1b[31m", "a\u202eb", "x" * 201, "菊" * 67, "-x", "_old", "rose "]
)
def test_what_can_be_no_class_is_refused_on_one_line(folder: Path, name: str) -> None:
    write(folder / name / "1.jpg", jpeg(image(1)))
    with pytest.raises(DataError, match="rename it") as caught:
        read_folder(folder)
    assert str(caught.value).isprintable()


def test_a_class_whose_name_is_no_text_is_refused(folder: Path) -> None:
    try:
        write(folder / os.fsdecode(b"caf\xe9") / "1.jpg", jpeg(image(1)))
    except OSError:
        pytest.skip("this file system keeps names as text")
    with pytest.raises(DataError, match=r"UTF-8.*rename it") as caught:
        read_folder(folder)
    assert str(caught.value).isprintable()


def test_line_breaks_in_names_of_photos_stay_out_of_the_lines(folder: Path) -> None:
    write(folder / "moss" / "a\nb.jpg", b"")
    write(folder / "moss" / "c\nd.txt", b"")
    assert "\\n" in notes(folder) and all("\n" not in note for note in read_folder(folder).notes)
    rows = assign(photos.scan(folder, RULES))
    table = record.table(record.describe(folder, rows).data, rows)
    assert "left out: moss/a\\nb.jpg: the file is empty" in table.splitlines()


# --- what may not be read -----------------------------------------------------------------------


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A data folder, read as a user whom permissions hold back."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = two_classes(Path(name) / "photos")
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in folder.rglob("*"):
                path.chmod(0o755)


def close(path: Path) -> None:
    user = os.geteuid()
    if os.getuid() == 0:
        os.seteuid(0)
    path.chmod(0)
    os.seteuid(user)


@pytest.mark.parametrize("name", ["moss", "moss/deeper"])
def test_a_folder_that_may_not_be_read_stops_with_its_name(nobody: Path, name: str) -> None:
    if os.getuid() == 0:
        os.seteuid(0)
    (nobody / name).mkdir(exist_ok=True)
    if os.getuid() == 0:
        os.seteuid(65534)
    close(nobody / name)
    with pytest.raises(DataError, match=rf"{name}: Permission denied; make it readable"):
        read_folder(nobody)


def test_a_folder_of_thumbnails_that_may_not_be_read_takes_no_photo_with_it(nobody: Path) -> None:
    before = list(photos_below(nobody))
    if os.getuid() == 0:
        os.seteuid(0)
    (nobody / "moss" / "thumbs").mkdir()
    if os.getuid() == 0:
        os.seteuid(65534)
    close(nobody / "moss" / "thumbs")
    problems: list[OSError] = []
    assert list(photos_below(nobody, on_unreadable=problems.append)) == before
    assert [Path(problem.filename).name for problem in problems] == ["thumbs"]


def test_a_photo_that_may_not_be_read_is_left_out_with_the_reason(nobody: Path) -> None:
    close(nobody / "moss" / "1.jpg")
    rows = {row.path: row for row in assign(photos.scan(nobody, RULES))}
    assert rows["moss/1.jpg"].reason == "Permission denied"


def test_what_is_passed_over_is_told_by_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "moss" / "song.mp3", b"a song")
    photos.scan(folder, RULES)
    assert "skipped, no photos: 1 (moss/song.mp3)" in capsys.readouterr().err
