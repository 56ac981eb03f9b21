"""Promises of the report on where photos are cut: how many, with examples, good and doubtful."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Box, Pixels
from device.contract.look.rules import Region
from device.errors import PhotoError
from device.workstation.training import DataSet
from tests.support.builds.training_records import data_set_of, metrics_of
from tests.support.html_page import FLOWERS, page_of
from train.data.sight.sighting import EDGE
from train.data.split import Row
from train.page.pictures import LINE, Picture, photo
from train.report.boxes import SHOWN, Boxes

BOX: Box = (10, 20, 60, 70)
NOTE = "pictures are cut to what stands before their background: 30 of 40 photos"


def frame(row: Row) -> Pixels:
    if row.path == "gone.jpg":
        raise PhotoError("it is gone")
    return np.full((90, 120, 3), 90, np.uint8)


def row(path: str, number: int, event: int) -> Row:
    return Row(path, "rose", "train", f"{number:064x}", str(event), "")


@pytest.fixture
def rows() -> list[Row]:
    return [row("gone.jpg", 0, 99), *(row(f"{i}.jpg", i + 1, i // 2) for i in range(40))]


@pytest.fixture
def data() -> DataSet:
    cut = {"rose": {"train": 1234, "val": 5, "test": 6}}
    return replace(data_set_of(FLOWERS), region=Region.CHANGE, region_note=NOTE, cut=cut)


def boxes_of(data: DataSet, rows: list[Row], doubtful: int) -> Boxes:
    cuts = {each.path: BOX for each in rows[:31]}
    doubts = {each.path: EDGE for each in rows[1 : 1 + doubtful]}
    return Boxes.of(data, rows, cuts, doubts, frame)


def test_the_report_says_what_is_seen_with_counts_and_examples(
    data: DataSet, rows: list[Row]
) -> None:
    metrics = replace(metrics_of([[9, 0, 0], [0, 9, 0], [0, 0, 9]], FLOWERS), data=data)
    boxes = boxes_of(data, rows, 3)
    page = page_of(metrics, boxes)
    assert page.fields["region_note"] == f"{NOTE[0].upper()}{NOTE[1:]}."
    assert any(["rose", "1,234", "5", "6"] in table for table in page.tables)
    shown = [img for img in page.named("img") if "with the box" in img["alt"]]
    assert len(shown) == len(boxes.good) + len(boxes.doubtful) == SHOWN + 3
    assert page.text.count(EDGE) == 3 and "3 of 3" in page.text


def test_no_section_of_boxes_where_photos_are_whole(rows: list[Row]) -> None:
    metrics = metrics_of([[9, 0, 0], [0, 9, 0], [0, 0, 9]], FLOWERS)
    assert Boxes.of(metrics.data, rows, {}, {}, frame) == Boxes()
    page = page_of(metrics)
    assert page.fields["region_note"].startswith("Pictures are seen whole")
    assert "with the box" not in str(page.tags)


def test_examples_are_of_different_events_and_do_not_depend_on_the_order(
    data: DataSet, rows: list[Row]
) -> None:
    boxes = boxes_of(data, rows, 12)
    events = {each.path: each.group for each in rows}
    assert len({events[each.path] for each in boxes.good}) == len(boxes.good)
    assert len(boxes.doubtful) == SHOWN and boxes.doubts == 12
    assert not {each.path for each in boxes.good} & {each.path for each in boxes.doubtful}
    cuts = {each.path: BOX for each in rows[:31]}
    doubts = {each.path: EDGE for each in rows[1:13]}
    assert Boxes.of(data, rows[::-1], cuts, doubts, frame) == boxes


@pytest.mark.parametrize("longest_px", [120, 60])
def test_a_box_is_drawn_where_the_photo_is_cut(longest_px: int) -> None:
    picture = photo(np.zeros((90, 120, 3), np.uint8), longest_px, BOX)
    drawn = decoded(picture).astype(int)
    scale = longest_px / 120
    y, x = np.nonzero(drawn[..., 0] > LINE[0] // 2)
    ends = (x.min(), y.min(), x.max() + 1, y.max() + 1)
    assert np.abs(np.subtract(ends, [scale * end for end in BOX])).max() <= 1
    inside = (
        slice(round(32 * scale), round(58 * scale)),
        slice(round(22 * scale), round(48 * scale)),
    )
    assert drawn[inside].max() < 60


def decoded(picture: Picture) -> Pixels:
    data = base64.b64decode(picture.src.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
