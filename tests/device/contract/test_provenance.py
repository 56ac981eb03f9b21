"""Promises of the record in a saved photo: why it was saved, and how likely a random one was."""

import io
import json
from dataclasses import replace

import pytest
from PIL import ExifTags, Image

from device.contract.provenance import RANDOM, Provenance, read

RECORD = Provenance(
    RANDOM, "moss", {"moss": 0.6, "fern": 0.4}, "2026-05-28T20:26:43.000+00:00", "garden",
    "ab" * 32, "camera#3", 12 / 86400,
)  # fmt: skip


def photo(exif: bytes, size_px: tuple[int, int] = (160, 120)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size_px).save(data, "JPEG", exif=exif)
    return data.getvalue()


def test_a_photo_carries_why_it_was_saved_and_how_likely_that_was() -> None:
    assert read(photo(RECORD.exif("test"))) == RECORD
    doubtful = replace(RECORD, reason="uncertain", probability=None)
    assert read(photo(doubtful.exif("test"))) == doubtful
    assert read(photo(replace(RECORD, altered=True).exif("test"))) == RECORD, "found, not noted"
    assert RECORD.is_random and not doubtful.is_random


@pytest.mark.parametrize(
    ("written", "probability"),
    [("0", 0.0), ("1", 1.0), ("-0.1", None), ("1.5", None), ("NaN", None), ("1e999", None),
     ("true", None), ('"0.5"', None), ("null", None), ("[]", None), ("1" + "0" * 400, None)],
)  # fmt: skip
def test_a_probability_that_is_none_costs_the_record_nothing_else(
    written: str, probability: float | None
) -> None:
    exif = Image.Exif()
    plain = json.dumps({"fieldguide": 1, "reason": RANDOM, "device": "garden"})
    exif[0x010E] = f'{plain[:-1]}, "probability": {written}}}'
    record = read(photo(exif.tobytes()))
    assert record is not None
    assert (record.reason, record.device, record.probability) == (RANDOM, "garden", probability)


def test_a_photo_carries_what_of_it_the_model_saw_and_why() -> None:
    looked = replace(RECORD, box=(10, 20, 110, 120), seen="something", changed_permille=83)
    assert read(photo(looked.exif("test"))) == looked


LOOKED = replace(RECORD, box=(10, 20, 110, 120), seen="something", changed_permille=83)
ALTERED = replace(LOOKED, box=None, seen=None, altered=True)


@pytest.mark.parametrize("size_px", [(109, 120), (160, 119), (80, 60)])
def test_what_the_model_saw_of_a_photo_is_not_known_where_the_photo_does_not_contain_it(
    size_px: tuple[int, int],
) -> None:
    assert read(photo(LOOKED.exif("test"), size_px)) == ALTERED
    assert read(photo(LOOKED.exif("test"), (110, 120))) == LOOKED


@pytest.mark.parametrize("size_px", [(320, 240), (640, 479), (1280, 960)])
def test_what_the_model_saw_of_a_photo_is_not_known_once_somebody_resized_or_cut_it(
    size_px: tuple[int, int],
) -> None:
    looked = replace(LOOKED, size_px=(640, 480))
    assert read(photo(looked.exif("test"), (640, 480))) == looked
    assert read(photo(looked.exif("test"), size_px)) == replace(ALTERED, size_px=(640, 480))
    empty = replace(RECORD, box=None, seen="nothing", size_px=(640, 480))
    assert read(photo(empty.exif("test"), size_px)) == empty, "nothing is there in part of it, too"


def test_what_the_model_saw_of_a_photo_is_not_known_once_somebody_turned_it() -> None:
    exif = Image.Exif()
    exif.load(LOOKED.exif("test"))
    for orientation in (1, 3, 6):
        exif[ExifTags.Base.Orientation] = orientation
        assert read(photo(exif.tobytes())) == (LOOKED if orientation == 1 else ALTERED)
    empty = replace(RECORD, box=None, seen="nothing")
    exif.load(empty.exif("test"))
    exif[ExifTags.Base.Orientation] = 6
    assert read(photo(exif.tobytes())) == empty


@pytest.mark.parametrize(
    ("name", "written"),
    [("box", "7"), ("box", "[1, 2, 3]"), ("box", "[1, 2, 1, 5]"), ("box", "[-1, 0, 5, 5]"),
     ("box", "[0, 0, 1.5, 5]"), ("box", '{"0": 1}'), ("seen", '"elsewhere"'), ("seen", "[]"),
     ("seen", "1"), ("changed_permille", "1001"), ("changed_permille", "-1"),
     ("changed_permille", "true"), ("changed_permille", '"8"'), ("size_px", "[640]"),
     ("size_px", "[640, -1]"), ("size_px", '"640x480"')],
)  # fmt: skip
def test_a_box_or_state_that_is_none_costs_the_record_nothing_else(name: str, written: str) -> None:
    exif = Image.Exif()
    plain = json.dumps({"fieldguide": 2, "reason": RANDOM, "device": "garden", "probability": 0.5})
    exif[0x010E] = f'{plain[:-1]}, "{name}": {written}}}'
    record = read(photo(exif.tobytes()))
    assert record is not None and getattr(record, name) is None
    assert (record.device, record.probability) == ("garden", 0.5)


def test_a_record_of_before_there_were_random_photos_is_still_one() -> None:
    exif = Image.Exif()
    exif[0x010E] = json.dumps({"fieldguide": 1, "reason": "unknown"})
    record = read(photo(exif.tobytes()))
    assert record is not None and record.probability is None and not record.is_random
