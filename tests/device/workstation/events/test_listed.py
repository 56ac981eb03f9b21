"""The list of events and places, `events.csv`."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
