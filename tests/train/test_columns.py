"""Promises of very many records: columns are read like the list that they were made of."""

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.contract.moments import Moment
from tests.train.data.test_looks import album, kept
from train import columns
from train.columns import Many, chosen, encoded, first_equal, gathered, in_order, values_of
from train.data.looks import Kept, Looks
from train.data.photo import SILENT, Photo, together
from train.data.record import describe, table
from train.data.split import Row, assign, read_csv, rows_together, to_csv

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
MOMENTS = st.builds(
    Moment,
    camera=st.sampled_from(["", "a", "Ünï 5"]),
    seconds=st.none() | st.floats(0, 4e9),
    offset_s=st.sampled_from([None, 0, 3600]),
)
PHOTOS = st.builds(
    Photo,
    path=NAMES,
    label=st.sampled_from("abc"),
    sha256=st.sampled_from(["", "A" * 64, "0" * 64])
    | NAMES.map(lambda name: sha256(name.encode()).hexdigest()),
    look=st.none(),
    problem=st.sampled_from(["", "damaged"]),
    collected=st.booleans(),
    moment=st.just(SILENT) | MOMENTS,
    box=st.none() | st.tuples(*[st.integers(0, 9)] * 4),
)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MANY", 2)
    monkeypatch.setattr(columns, "BLOCK", 7)


def same(records: Sequence[Any], expected: Sequence[Any]) -> bool:
    return list(records) == expected and repr(records) == repr(expected)


@given(st.lists(PHOTOS, min_size=2, max_size=30), st.data())
def test_columns_are_read_like_a_list(listed: list[Photo], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "MANY", 2)
        patch.setattr(columns, "BLOCK", 7)
        photos = together(iter(listed))
        assert isinstance(photos, Many) and len(photos) == len(listed) and same(photos, listed)
        assert list(reversed(photos)) == listed[::-1]
        i = data.draw(st.integers(-len(listed), len(listed) - 1))
        assert photos[i] == listed[i] and same(photos[i:], listed[i:])
        rows = np.array(data.draw(st.lists(st.integers(0, len(listed) - 1))), np.int64)
        assert same(chosen(photos, rows), chosen(listed, rows))
        for name in ("path", "label", "sha256", "moment", "box"):
            assert same(values_of(photos, name), values_of(listed, name))
        assert same(in_order(photos, "path"), sorted(listed, key=lambda photo: photo.path))


@given(st.lists(NAMES))
def test_texts_are_encoded_in_their_order(texts: list[str]) -> None:
    assert [each.decode() for each in encoded(texts).tolist()] == texts
    order = np.argsort(encoded(texts), kind="stable")
    assert [texts[i] for i in order] == sorted(texts)


@given(st.lists(st.sampled_from(["", "a", "b", "Ü"])))
def test_equal_texts_are_told_by_the_first_of_them(texts: list[str]) -> None:
    assert first_equal(texts).tolist() == [texts.index(text) for text in texts]


def test_few_records_stay_a_list() -> None:
    assert gathered(iter("abc"), columns.Texts()) == ["a", "b", "c"]


@pytest.mark.usefixtures("many")
def test_the_split_of_columns_is_that_of_a_list_to_the_byte(tmp_path: Path) -> None:
    listed = [
        replace(photo, moment=Moment(f"camera {i % 3}", unique=True, seconds=5e8 + 40 * (i // 5)))
        for i, photo in enumerate(kept(album(), tmp_path))
    ]
    listed[7] = replace(listed[7], sha256=listed[6].sha256)
    listed += [replace(listed[0], path="class 0/bad", look=None, problem="damaged")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "MANY", 10_000)
        assert isinstance(assign(listed), list)
        expected = assign(listed)
    photos = together(listed)
    rows = assign(photos)
    assert isinstance(photos, Many) and isinstance(rows, Many)
    assert repr(rows) == repr(expected)
    assert to_csv(rows) == to_csv(expected)
    records = [describe(tmp_path, each) for each in (rows, expected)]
    assert records[0] == records[1]
    assert table(records[0].data, rows) == table(records[0].data, expected)
    (tmp_path / "split.csv").write_text(to_csv(rows), encoding="utf-8")
    read = read_csv(tmp_path / "split.csv")
    assert isinstance(read, Many) and list(read) == expected


BYTES_A_PHOTO = 12
"""Where it is among the others, for photos and rows. Path, digest, class, camera, time and the rest
of a row lie in files: as objects they take over 800."""


def test_a_photo_and_its_row_among_very_many_take_few_bytes(tmp_path: Path) -> None:
    looks, count = Looks(tmp_path), 20_000

    def photos() -> Iterator[Photo]:
        for i in range(count):
            digest, moment = sha256(b"%d" % i).hexdigest(), Moment("a camera", seconds=60.0 * i)
            yield Photo(f"robin/{digest[:16]}.jpg", "robin", digest, Kept(looks, i), moment=moment)

    def row(photo: Photo) -> Row:
        group = photo.sha256[:12]
        seconds = photo.moment.seconds
        return Row(photo.path, photo.label, "train", photo.sha256, group, "", seconds=seconds)

    tracemalloc.start()
    try:
        made = together(photos(), tmp_path)
        rows = rows_together(map(row, made), made)
        kept = sum(len(list(each[:9])) for each in (made, rows))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept == 18 and len(rows) == count
    print(f"{held / count:.0f} bytes a photo")
    assert held <= BYTES_A_PHOTO * count
    assert not list(tmp_path.iterdir()), "files without a name"
