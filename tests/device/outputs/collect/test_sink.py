"""Promises of the sink that saves frames for retraining: what, where, and told where from."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from device.contract import provenance
from device.contract.look.rules import Seen
from device.contract.names import name_problem
from device.errors import ClassNameError, OutputError
from device.outputs.collect import snapshot
from device.outputs.collect.sink import Collector, folder_name
from device.outputs.collect.worth import why_save
from device.telemetry.observation import UNKNOWN
from device.telemetry.unknown import UnknownRule
from tests.device.outputs.collect.saving import CONFIG, MODEL, collector, observed, saved
from tests.support.pictures import encoded, picture

# --- what is worth saving -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "changes", "rule", "reason"),
    [
        ((0.9, 0.05, 0.05), {}, UnknownRule(), ""),
        ((0.9, 0.05, 0.05), {"changed": True}, UnknownRule(), "changed"),
        ((0.5, 0.4, 0.1), {}, UnknownRule(), "uncertain"),
        ((0.75, 0.2, 0.05), {}, UnknownRule(threshold=0.8), "uncertain"),
        ((0.9, 0.05, 0.05), {"distance": 0.9}, UnknownRule(1.0), "uncertain"),
        ((0.9, 0.05, 0.05), {"distance": 1.1}, UnknownRule(1.0), "uncertain"),
        ((0.9, 0.05, 0.05), {"distance": 0.5}, UnknownRule(1.0), ""),
        ((0.9, 0.05, 0.05), {"label": UNKNOWN}, UnknownRule(1.0), "unknown"),
    ],
)
def test_doubts_and_changes_are_saved_and_nothing_else(
    scores: tuple[float, ...], changes: dict[str, object], rule: UnknownRule, reason: str
) -> None:
    config = replace(CONFIG, margin=0.15)
    assert why_save(observed(0, scores, **changes), rule, config) == reason


def test_changes_can_be_left_to_others() -> None:
    sure = observed(0, (0.9, 0.05, 0.05), changed=True)
    assert why_save(sure, UnknownRule(), replace(CONFIG, changes=False)) == ""


def test_the_rate_is_limited_and_no_picture_is_asked_for_between(tmp_path: Path) -> None:
    sink = collector(tmp_path, max_per_minute=1)
    assert sink.wants_pictures
    for number in range(3):
        sink.publish(observed(number))
    assert len(saved(tmp_path)) == 1
    assert not sink.wants_pictures


def test_the_same_sight_is_saved_once(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    for number in range(5):
        sink._next_save_s = float("-inf")
        sink.publish(replace(observed(number), picture=picture(0, 7, 64, 48)))
    assert len(saved(tmp_path)) == 1


# --- where and how --------------------------------------------------------------------------------


def test_unlabelled_photos_wait_for_review_below_what_the_model_took_them_for(
    tmp_path: Path,
) -> None:
    collector(tmp_path).publish(observed(1, (0.2, 0.5, 0.3)))
    (name,) = saved(tmp_path)
    assert name.startswith("_review/green/2026") and name.endswith(".jpg")


def test_a_person_s_label_is_the_class_folder_that_training_reads(tmp_path: Path) -> None:
    name = collector(tmp_path).keep(observed(3), "moss rose")
    assert saved(tmp_path) == [name]
    assert Path(name).parent == Path("moss rose")


def test_a_corrected_label_takes_the_place_of_the_first(tmp_path: Path) -> None:
    sink = collector(tmp_path)
    other = sink.keep(observed(2), "red")
    sink.keep(observed(3), "red")
    corrected = sink.keep(observed(3), "blue")
    assert corrected == sink.keep(observed(3), "blue")
    assert saved(tmp_path) == sorted([other, corrected])


def test_the_photo_is_the_whole_frame_and_tells_what_of_it_the_model_saw(tmp_path: Path) -> None:
    looked = observed(3, seen=Seen.SOMETHING, changed_permille=83)
    name = collector(tmp_path).keep(looked, "red")
    with Image.open(tmp_path / name) as image:
        assert image.size == (64, 48)
        difference = np.asarray(image, np.int32) - looked.picture  # type: ignore[operator]
    assert np.abs(difference).mean() < 8
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None
    assert (record.box, record.seen, record.changed_permille) == ((8, 0, 56, 48), "something", 83)
    assert record.size_px == (64, 48)


def test_of_a_frame_whose_settings_name_a_region_only_that_is_saved(tmp_path: Path) -> None:
    config = replace(CONFIG, path=str(tmp_path))
    sink = Collector(config, region=(0.25, 0.0, 1.0, 0.75))
    # The camera's frame is 64x48: the region is the 48x36 in its upper right corner.
    name = sink.keep(observed(3, crop_box=(22, 0, 58, 36)), "red")
    with Image.open(tmp_path / name) as image:
        assert image.size == (48, 36)
        difference = np.asarray(image, np.int32) - observed(3).picture[:36, 16:]  # type: ignore[index]
    assert np.abs(difference).mean() < 8
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None and record.box == (6, 0, 42, 36)


@given(
    st.tuples(*[st.floats(0, 0.99)] * 4), st.tuples(*[st.integers(0, 64)] * 4), st.integers(1, 4)
)
def test_a_box_stays_inside_of_what_is_saved(
    sides: tuple[float, ...], corners: tuple[int, ...], factor: int
) -> None:
    """Also if a held frame was made smaller, and its box rounded outwards."""
    left, right = sorted(sides[:2])
    upper, lower = sorted(sides[2:])
    x, y = sorted(corners[:2]), sorted(corners[2:])
    frame = np.zeros((max(1, 48 // factor), max(1, 64 // factor), 3), np.uint8)
    box = (x[0], y[0], x[1] + 1, y[1] + 1)
    shown = snapshot.within(observed(picture=frame, crop_box=box), (left, upper, right, lower))
    assert shown.picture is not None and shown.picture.size
    height, width = shown.picture.shape[:2]
    assert 0 <= shown.crop_box[0] < shown.crop_box[2] <= width
    assert 0 <= shown.crop_box[1] < shown.crop_box[3] <= height


def test_a_photo_of_a_camera_that_is_not_looked_at_says_so(tmp_path: Path) -> None:
    name = collector(tmp_path).keep(observed(3), "red")
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None
    assert (record.box, record.seen, record.changed_permille) == ((8, 0, 56, 48), None, None)


def test_a_photo_tells_where_it_comes_from_wherever_it_is_moved(tmp_path: Path) -> None:
    name = collector(tmp_path).keep(observed(3), "red")
    record = provenance.read((tmp_path / name).read_bytes())
    assert record is not None
    assert (record.reason, record.label, record.source) == ("labelled", "red", "camera#3")
    assert record.model_sha256 == MODEL.sha256
    assert record.time == "2026-05-28T20:26:43.000+00:00"
    assert list(record.top) == ["red", "green", "blue"] and record.top["red"] == 0.5


@pytest.mark.parametrize(
    "label", ["", "..", "a/b", "_review", ".x", "a\nb", " a", "x" * 201, "菊" * 67, "a\\b"]
)
def test_a_label_that_leads_elsewhere_is_refused(tmp_path: Path, label: str) -> None:
    with pytest.raises(ClassNameError):
        collector(tmp_path).keep(observed(), label)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=300))
def test_a_forged_class_name_stays_inside_the_folder(label: str) -> None:
    name = folder_name(label)
    assert name_problem(name) == ""
    assert name == label or name_problem(label)


@pytest.mark.parametrize(
    ("written", "saved_as"),
    [("RED", "red"), ("Moss rose", "moss rose"), ("ga\u0308nse", "g\u00e4nse"), ("Red ", "")],
)
def test_a_class_that_is_there_keeps_its_spelling(
    tmp_path: Path, written: str, saved_as: str
) -> None:
    (tmp_path / "moss rose").mkdir()
    (tmp_path / "Red").mkdir()
    sink = collector(tmp_path)
    if not saved_as:
        # Spaces at the ends are no other class, but the model's.
        saved_as = "red"
    assert Path(sink.keep(observed(3), written)).parent == Path(saved_as)


def test_a_frame_without_its_picture_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the picture of this frame is gone"):
        collector(tmp_path).keep(replace(observed(), picture=None), "red")


@given(st.binary(max_size=400))
def test_damaged_records_are_no_records(noise: bytes) -> None:
    exif = Image.Exif()
    exif[0x010E] = b'{"fieldguide": 1' + noise
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "JPEG", exif=exif)
    record = provenance.read(data.getvalue())
    assert record is None or noise[:1] in b"},"
    assert provenance.read(b"fieldguide" + noise) is None


def test_other_photos_have_no_record() -> None:
    assert provenance.read(encoded(picture(0, 1), "JPEG")) is None
