"""Records of the build folder come back as they were, or say in one line what to do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from device.workstation.records import Record, RecordError


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True)
class Point:
    x: float
    y: float | None


@dataclass(frozen=True)
class Example(Record):
    SCHEMA: ClassVar[int] = 2
    MADE_BY: ClassVar[str] = "make example"

    name: str
    count: int
    done: bool
    side: Side
    kind: Literal["photos", "rendered"]
    range: tuple[float, float]
    points: tuple[Point, ...]
    settings: Mapping[str, int | float]
    nested: Mapping[str, Mapping[str, int]]
    note: str | None = None
    free: Any = None


EXAMPLE = Example(
    name="Fünf",
    count=3,
    done=True,
    side=Side.RIGHT,
    kind="photos",
    range=(0.1, 1.0),
    points=(Point(1.5, None), Point(0.1 + 0.2, -0.0)),
    settings={"epochs": 10, "rate": 3e-4},
    nested={"a": {"b": 1}},
    free={"any": [1, "thing"]},
)


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "example.json"
    EXAMPLE.write(path)
    table = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in table.items() if value != "GONE"}))
    return path


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "example.json"
    EXAMPLE.write(path)
    read = Example.read(path)
    assert read == EXAMPLE
    assert isinstance(read.side, Side)
    assert type(read.settings["epochs"]) is int
    assert json.loads(path.read_text())["schema"] == 2
    assert read.text() == EXAMPLE.text()


def test_a_whole_number_serves_where_any_number_does(tmp_path: Path) -> None:
    assert Example.read(written(tmp_path, range=[0, 1])).range == (0.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": "GONE"}, "count is missing"),
        ({"note": "GONE"}, "note is missing"),
        ({"more": 1}, "more is not known"),
        ({"count": "3"}, 'count="3" is not a whole number'),
        ({"count": True}, "count=true is not a whole number"),
        ({"count": 1.0}, "count=1.0 is not a whole number"),
        ({"name": None}, "name=null is not text"),
        ({"side": "up"}, 'side="up" is not known'),
        ({"kind": "films"}, 'kind="films" is not known'),
        ({"range": [1.0]}, "range has 1 values instead of 2"),
        ({"range": {}}, "range={} is not a list"),
        ({"points": [{"x": 1.0, "y": 2.0}, {"x": 1.0}]}, "points[1].y is missing"),
        ({"points": [{"x": 1.0, "y": "z"}]}, 'points[0].y="z" is not a number'),
        ({"points": [7]}, "points[0]=7 is not an object"),
        ({"settings": {"a": "b"}}, 'settings.a="b" is not a whole number or a number'),
        ({"nested": {"a": []}}, "nested.a=[] is not an object"),
    ],
)
def test_a_field_that_is_not_as_it_should_be_is_named(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(RecordError) as raised:
        Example.read(path)
    assert str(raised.value) == f"{path}: damaged ({said}); remove it and run `make example`"


@pytest.mark.parametrize(
    ("schema", "said"), [(1, "schema 1"), (3, "schema 3"), ("GONE", "no schema")]
)
def test_a_file_of_another_version_says_so(tmp_path: Path, schema: Any, said: str) -> None:
    path = written(tmp_path, schema=schema, count="GONE")
    with pytest.raises(RecordError) as raised:
        Example.read(path)
    assert str(raised.value) == (
        f"{path}: made by another version ({said}, this one reads 2); "
        "remove it and run `make example`"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"\xff\xfe\x00", b"[" * 100_000, b'{"schema": 2}'],
    ids=["empty", "cut", "list", "number", "binary", "deep", "fields"],
)
def test_a_damaged_file_gives_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "example.json"
    path.write_bytes(content)
    with pytest.raises(RecordError) as raised:
        Example.read(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: damaged (")
    assert message.endswith("); remove it and run `make example`")
    assert "\n" not in message
    assert path.read_bytes() == content


def test_a_missing_file_says_which_command_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"gone\.json is missing; run `make example` first"):
        Example.read(tmp_path / "gone.json")


def test_a_folder_in_its_place_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="Is a directory; remove it and run `make example`"):
        Example.read(tmp_path)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "example.json"
    EXAMPLE.write(path)
    before = path.read_bytes()
    (tmp_path / ".part-example.json").mkdir()
    with pytest.raises(OSError):
        EXAMPLE.write(path)
    assert path.read_bytes() == before
