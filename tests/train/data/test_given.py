"""Promises of EVENTS=: the user's word counts, and a bad list is one line."""

from dataclasses import replace
from pathlib import Path

import pytest

from device.workstation.events.listed import Occasion, read_occasions
from device.workstation.training import DATA, EVENTS, LEFT_OUT, SPLIT, DataRecord
from tests.support.cli import only_error
from tests.train.data.test_dataset import image, jpeg, write
from tests.train.data.test_split import Album
from train.__main__ import main
from train.data.events.given import read_given
from train.data.events.occasions import EventSettings
from train.data.split import assign, read_csv

LABELS = ("moss", "fern")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of ten photos, half of them in a sub-folder."""
    for number in range(20):
        place = ("", "garden/")[number // 2 % 2]
        path = tmp_path / "photos" / LABELS[number % 2] / f"{place}{number}.jpg"
        write(path, jpeg(image(300 + number)))
    return tmp_path / "photos"


def run(folder: Path, out: Path, *options: str) -> int:
    return main(["data", "--data", str(folder), "--out", str(out), *options])


def groups(out: Path) -> dict[str, str]:
    return {row.path: row.group for row in read_csv(out / SPLIT)}


def test_what_the_user_says_overrides_and_the_rest_is_as_found(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "train"
    assert run(folder, out) == 0
    found = groups(out)
    capsys.readouterr()
    lines = "path,event,place\nmoss/0.jpg,visit,hedge\nmoss/4.jpg,visit,\nfern/1.jpg,,hedge\n"
    said = write(tmp_path / "said.csv", lines.encode())
    assert run(folder, out, "--events", str(said)) == 0
    assert "EVENTS: 17 of 20 photos are not in the list" in capsys.readouterr().out
    after, occasions = groups(out), read_occasions(out / EVENTS)
    assert after["moss/0.jpg"] == after["moss/4.jpg"] != after["fern/1.jpg"]
    assert {path: after[path] for path in after if path not in ("moss/0.jpg", "moss/4.jpg")} == {
        path: found[path] for path in found if path not in ("moss/0.jpg", "moss/4.jpg")
    }
    places = {path: each.place for path, each in occasions.items() if each.place}
    assert places == {"moss/0.jpg": "hedge", "fern/1.jpg": "hedge"}


def test_the_list_that_was_made_can_be_given_back(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(folder, first, "--place", "folder") == 0
    assert run(folder, second, "--events", str(first / EVENTS)) == 0
    for name in (SPLIT, EVENTS):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    before, after = (DataRecord.read(out / DATA).data for out in (first, second))
    assert replace(before, event_notes=()) == replace(after, event_notes=())


def test_sub_folders_are_places_if_asked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "train"
    assert run(folder, out, "--place", "folder") == 0
    for path, occasion in read_occasions(out / EVENTS).items():
        assert occasion.place == ("garden" if "/garden/" in path else "")
    places = DataRecord.read(out / DATA).data.places
    assert {count for parts in places.values() for count in parts.values()} <= {0, 1}
    assert places["moss"]["train"] == 1


@pytest.mark.parametrize(
    ("loose", "line"),
    [
        (0, "PLACE=folder: 1 place (garden)"),
        (3, "PLACE=folder: 1 place (garden); 3 photos lie in no sub-folder of their class"),
    ],
)
def test_places_by_sub_folders_are_counted_and_photos_without_one_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], loose: int, line: str
) -> None:
    for number in range(20):
        place = "" if number < loose else "garden/"
        path = tmp_path / "photos" / LABELS[number % 2] / f"{place}{number}.jpg"
        write(path, jpeg(image(300 + number)))
    assert run(tmp_path / "photos", tmp_path / "train", "--place", "folder") == 0
    assert any(said.startswith(line) for said in capsys.readouterr().out.splitlines())


def test_places_by_sub_folders_without_any_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        write(tmp_path / "photos" / LABELS[number % 2] / f"{number}.jpg", jpeg(image(number)))
    assert run(tmp_path / "photos", tmp_path / "train", "--place", "folder") == 0
    assert "PLACE=folder: no class has sub-folders, so no place is known" in capsys.readouterr().out


def test_the_user_may_divide_what_was_found() -> None:
    album = Album.of(1, (20, 20))
    twin = album.add("class 0", like=album.photos[0])
    third = album.add("class 0", like=album.photos[0])
    found = {row.path: row.group for row in assign(album.photos)}
    assert found[twin.path] == found[third.path] == found[album.photos[0].path]
    listed = {album.photos[0].path: Occasion("a"), twin.path: Occasion("b")}
    said = {row.path: row.group for row in assign(album.photos, 0, EventSettings(listed=listed))}
    assert len({said[photo.path] for photo in (album.photos[0], twin, third)}) == 3
    del listed[twin.path]
    said = {row.path: row.group for row in assign(album.photos, 0, EventSettings(listed=listed))}
    assert len({said[photo.path] for photo in (album.photos[0], twin, third)}) == 1


def test_the_same_bytes_are_of_one_event_whatever_is_said() -> None:
    album = Album.of(2, (20, 20))
    copy = album.copy(album.photos[0], "class 0")
    listed = {album.photos[0].path: Occasion("a"), copy.path: Occasion("b")}
    rows = {row.path: row for row in assign(album.photos, 0, EventSettings(listed=listed))}
    assert rows[copy.path].group == rows[album.photos[0].path].group
    assert rows[copy.path].part == rows[album.photos[0].path].part != LEFT_OUT


def test_a_spreadsheet_may_order_the_columns_and_mark_the_bytes(tmp_path: Path) -> None:
    text = '\ufeffplace,path,event\r\nhedge,"moss/a,b.jpg",1\r\n\r\n ,moss/c.jpg, 1 \r\n'
    path = write(tmp_path / "said.csv", text.encode())
    assert read_given(path) == {
        "moss/a,b.jpg": Occasion("1", "hedge"),
        "moss/c.jpg": Occasion("1"),
    }


@pytest.mark.parametrize("by", [";", "\t"])
def test_a_spreadsheet_may_separate_otherwise_and_leave_empty_rows(tmp_path: Path, by: str) -> None:
    rows = [("path", "event", "place"), ('"moss/a,b;c.jpg"', "1", "hedge"), ("", " ", "")]
    text = "\r\n".join(by.join(row) for row in [*rows, ("moss/c.jpg", "2", ""), ("", "", "")])
    path = write(tmp_path / "said.csv", text.encode())
    assert read_given(path) == {
        "moss/a,b;c.jpg": Occasion("1", "hedge"),
        "moss/c.jpg": Occasion("2"),
    }


HEADER = "path,event,place\n"
BAD = {
    "missing photos": (HEADER + "moss/0.jpg,1,\nmoss/x.jpg,1,\n", "names 1 photo that is not in"),
    "two events": (HEADER + "moss/0.jpg,1,\nmoss/0.jpg,2,\n", "line 3 gives moss/0.jpg another"),
    "two places": (HEADER + "moss/0.jpg,1,a\nmoss/0.jpg,1,b\n", "line 3 gives moss/0.jpg another"),
    "other columns": ("path,group\nmoss/0.jpg,1\n", "its columns are path,group; expected"),
    "another separator": ("path|event|place\nmoss/0.jpg|1|\n", "columns are path|event|place"),
    "an event without a photo": (HEADER + "moss/0.jpg,1,\n,1,\n", "line 3 names no photo"),
    "too few cells": (HEADER + "moss/0.jpg,1\n", "line 2 has 2 cells instead of 3"),
    "an open quote": (HEADER + 'moss/0.jpg,"1,\n', "line 2: unexpected end of data"),
    "only a header": (HEADER, "it lists no photos"),
    "empty": ("", "its columns are nothing"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_list_is_one_line_and_leaves_the_old_split(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    content, message = BAD[case]
    refused(folder, tmp_path, write(tmp_path / "said.csv", content.encode()), message, capsys)


def refused(
    folder: Path, tmp_path: Path, said: Path, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "train" / SPLIT, b"the split before")
    assert run(folder, tmp_path / "train", "--events", str(said)) == 1
    error = only_error(capsys.readouterr().err)
    assert message in error and "EVENTS" in error
    assert old.read_bytes() == b"the split before"


def test_what_is_no_text_file_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = write(tmp_path / "said.csv", HEADER.encode("utf-16"))
    refused(folder, tmp_path, binary, "it is not UTF-8 text", capsys)
    refused(folder, tmp_path, folder, "Is a directory", capsys)
    refused(folder, tmp_path, tmp_path / "none.csv", "No such file", capsys)


@pytest.mark.parametrize("seconds", ["-1", "a minute", "nan", "inf", ""])
def test_seconds_that_are_none_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds: str
) -> None:
    assert run(folder, tmp_path / "train", f"--event-s={seconds}") == 1
    assert "EVENT_S" in only_error(capsys.readouterr().err)
