"""Promises of `REGION=`: what is seen, and one line that says why and of how many photos."""

import re

import pytest

from device.contract.look.rules import Region
from train.data.sight.cutting import Cutting
from train.data.sight.region import decide
from train.data.sight.sighting import EDGE, NO_PLACE, NOTHING
from train.data.split import Row
from train.errors import DataError

ROWS = [Row(f"{i}.jpg", "robin", "train" if i < 6 else "test", "", str(i), "") for i in range(9)]
BOX = (0, 0, 10, 10)


def cutting(cut: int, why: str = NOTHING) -> Cutting:
    paths = [row.path for row in ROWS]
    doubts = {paths[0]: EDGE} if cut else {}
    return Cutting(dict.fromkeys(paths[:cut], BOX), doubts, dict.fromkeys(paths[cut:], why))


@pytest.mark.parametrize(("cut", "region"), [(9, "change"), (4, "change"), (3, "whole")])
def test_photos_are_cut_if_most_training_photos_can_be(cut: int, region: str) -> None:
    sight = decide("auto", cutting(cut), ROWS)
    assert sight.region == region
    assert len(sight.boxes) == (cut if region == Region.CHANGE else 0)


def test_the_user_has_the_last_word() -> None:
    assert decide("whole", cutting(9), ROWS).boxes == {}
    assert len(decide("change", cutting(1), ROWS).boxes) == 1


@pytest.mark.parametrize("cut", [(), (7, 8)], ids=["nothing", "test photos only"])
def test_cut_photos_are_not_asked_for_where_none_that_trains_can_be_cut(cut: tuple[int]) -> None:
    boxes = {ROWS[i].path: BOX for i in cut}
    whole = {row.path: NO_PLACE for row in ROWS if row.path not in boxes}
    with pytest.raises(DataError) as refused:
        decide("change", Cutting(boxes, {}, whole), ROWS)
    said = str(refused.value)
    assert "\n" not in said
    assert "none of 6 training photos can be cut" in said and f"(6 {NO_PLACE})" in said
    assert "REGION=auto" in said and "PLACE=folder" in said


def test_one_line_says_what_is_seen_and_why() -> None:
    notes = {
        (
            "auto",
            8,
        ): "can be: 8 of 9 photos .1 in doubt, listed in cuts.csv.; whole stay 1 in which nothing",
        ("auto", 2): "seen whole: .* in only 2 of 6 training photos .4 in which nothing",
        ("change", 1): "as REGION=change asks: 1 of 9 photos .*; whole stay 8 in which nothing",
        ("whole", 9): "seen whole, as REGION=whole asks",
    }
    for (asked, cut), pattern in notes.items():
        note = decide(asked, cutting(cut), ROWS).note
        assert "\n" not in note
        assert re.search(pattern, note), note
    assert "no place of a fixed camera" in decide("auto", cutting(0, NO_PLACE), ROWS).note


def test_cut_photos_are_counted_by_class_and_part() -> None:
    counts = {"train": 6, "val": 0, "test": 2}
    assert decide("auto", cutting(8), ROWS).cut(ROWS) == {"robin": counts}
    assert decide("whole", cutting(8), ROWS).cut(ROWS)["robin"] == dict.fromkeys(counts, 0)
