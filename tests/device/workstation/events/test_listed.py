"""The list of events and places, `events.csv`."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.workstation.events import listed
from device.workstation.events.listed import COLUMNS, Occasion, read_occasions, to_csv
from device.workstation.records import RecordError

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(st.dictionaries(NAMES, st.builds(Occasion, NAMES, NAMES)))
def test_any_names_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, occasions: dict[str, Occasion]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "events.csv"
    path.write_bytes(to_csv(occasions).encode())
    assert read_occasions(path) == occasions


@given(st.dictionaries(NAMES, st.builds(Occasion, NAMES, NAMES), min_size=3))
def test_very_many_are_read_like_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, occasions: dict[str, Occasion]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "events.csv"
    path.write_bytes(to_csv(occasions).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listed, "MANY", 3)
        patch.setattr(listed, "BLOCK", 2)
        found = read_occasions(path)
        assert isinstance(found, listed.Listed)
        assert list(found.items()) == list(occasions.items())
        assert all(name + "?" in occasions or name + "?" not in found for name in occasions)


def test_of_two_lines_of_one_photo_the_last_counts_among_very_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "MANY", 2)
    path = tmp_path / "events.csv"
    path.write_text("path,event,place\na,1,\nb,2,\na,3,\n")
    assert read_occasions(path) == {"a": Occasion("3"), "b": Occasion("2")}


BYTES_A_PHOTO = 150
"""Of very many; in a dictionary some 300."""


def test_a_photo_among_very_many_takes_few_bytes(tmp_path: Path) -> None:
    path, count = tmp_path / "events.csv", 20_000
    names = (f"robin/{i:032}.jpg" for i in range(count))
    path.write_text(to_csv({name: Occasion(name[-16:-4], "garden") for name in names}))
    tracemalloc.start()
    try:
        found = read_occasions(path)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{held / count:.0f} bytes a photo")
    assert len(found) == count and held <= BYTES_A_PHOTO * count


def test_a_person_can_read_the_file() -> None:
    text = to_csv({"robin/1.jpg": Occasion("a1", "garden"), "robin/2.jpg": Occasion("a1")})
    assert text == "path,event,place\nrobin/1.jpg,a1,garden\nrobin/2.jpg,a1,\n"


@pytest.mark.parametrize(
    "content",
    [
        b"path,event\na,b\n",
        b"\xff\xfe",
        b'path,event,place\n"a',
        b"path,event,place\na/1.jpg,b\n",
        b"path,event,place\na/1.jpg,b,c,d\n",
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r"events\.csv: damaged .*run `make data`"):
        read_occasions(path)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"events\.csv is missing; .*run `make data`"):
        read_occasions(tmp_path / "events.csv")


def test_the_columns_are_those_that_users_write() -> None:
    assert COLUMNS == ("path", "event", "place")
