"""What a device may cut by mistake is judged by boxes beside the subjects of cut photos."""

import hashlib
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.artifacts.exported import Export
from convert.artifacts.training import LabelledPhoto, Training
from convert.pack.bundle import golden_file
from convert.quantize.known import known_features
from convert.verify import backgrounds
from convert.verify.backgrounds import background, beside, chosen
from convert.verify.evidence import evidence_steps, gather_evidence
from convert.verify.models import Models
from device.commit import UNKNOWN
from device.contract.arrays import Box
from device.contract.photos import load_box
from device.inference.classifier import Classifier
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from tests.support import visited_places
from tests.support.builds import tiny_network as tiny_network_of
from tests.support.visited_places import SIZE_PX

if TYPE_CHECKING:
    from convert.quantize.plan import Plan

sides = st.integers(1, 300)
FEW = 6


@given(sides, sides, st.data(), st.integers(0, 2**32 - 1))
def test_a_box_of_background_lies_inside_and_does_not_touch_the_subject(
    width: int, height: int, data: st.DataObject, seed: int
) -> None:
    side = data.draw(st.integers(1, min(width, height)))
    left = data.draw(st.integers(0, width - side))
    upper = data.draw(st.integers(0, height - side))
    found = beside((left, upper, left + side, upper + side), (width, height), seed)
    room = max(left, upper, width - side - left, height - side - upper)
    if room < side:
        assert found is None
    if found:
        x, y, right, lower = found
        assert (right - x, lower - y) == (side, side)
        assert x >= 0 and right <= width and y >= 0 and lower <= height
        assert x >= left + side or right <= left or y >= upper + side or lower <= upper


@pytest.fixture(scope="module")
def cut(base: Path) -> Training:
    """The tiny training with other photos: of a red visitor, all but one of which are cut."""
    folder = base / "cut photos"
    folder.mkdir()
    photos = [_photo(folder, number) for number in range(FEW + 1)]
    whole = replace(photos[-1], box=None)
    training = replace(tiny_network_of.tiny_training(base), files=PhotoFiles(folder))
    parts = {Part.TEST: (*photos[:-1], whole), Part.VAL: tuple(photos), Part.TRAIN: ()}
    return replace(training, photos=parts)


def _photo(folder: Path, number: int) -> LabelledPhoto:
    shown = visited_places.frame(1, number)
    path = folder / f"{number}.png"
    shown.image.save(path)
    rows, columns = np.nonzero(shown.disc)
    box = tuple(map(int, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelledPhoto(path.name, 0, digest, f"event {number // 2}", "hide", _box(box))


def _box(sides: tuple[int, ...]) -> Box:
    left, upper, right, lower = sides
    return left, upper, right, lower


def test_photos_that_are_cut_give_boxes_and_one_of_each_event_comes_first(cut: Training) -> None:
    photos = chosen(cut)
    assert len(photos) == FEW and all(photo.box for photo in photos)
    assert set(Counter(photo.event for photo in photos[: FEW // 2]).values()) == {1}


def test_a_box_of_background_shows_no_visitor(cut: Training) -> None:
    for photo in chosen(cut):
        pixels, visited = background(cut, photo), cut.pixels(photo)
        assert pixels is not None and visited[..., 0].mean() > 150
        assert pixels[..., 0].mean() < 20, "the place has no red"
    full = replace(chosen(cut)[0], box=(0, 0, *SIZE_PX))
    assert background(cut, full) is None


def test_evidence_says_what_becomes_of_background(
    cut: Training,
    base: Path,
    tiny_network: Any,
    tiny_plan: "Plan",
    tiny_models: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("evidence", "strangers"):
        monkeypatch.setattr(f"convert.verify.{module}.CLUTTER_PICTURES", 5)
    calibration = tiny_network_of.tiny_training(base).photos[Part.TRAIN]
    statistics = known_features(
        tiny_network_of.tiny_training(base), tiny_models["model_int8.tflite"]
    )
    made = tiny_models["model_float32.tflite"], tiny_models["model_int8.tflite"]
    exported = Export(*made, tiny_plan.scales, statistics, 0, calibration, UNKNOWN)
    models = Models.of(cut, exported, tiny_network)
    test, validation = (models.classify(part) for part in (Part.TEST, Part.VAL))
    steps: list[None] = []
    found = gather_evidence(models, test, validation, lambda: steps.append(None))
    assert len(steps) == evidence_steps(cut)
    assert found.backgrounds is not None and found.backgrounds.away.n == FEW
    assert found.evidence_figures().backgrounds is not None
    whole = tuple(replace(photo, box=None) for photo in cut.photos[Part.TEST])
    uncut = replace(cut, photos={**cut.photos, Part.TEST: whole})
    assert not backgrounds.chosen(uncut)
    assert gather_evidence(replace(models, training=uncut), test, validation).backgrounds is None


def test_golden_inputs_are_cut_as_the_photos_are(
    cut: Training, tiny_models: dict[str, bytes]
) -> None:
    classifier = Classifier(tiny_models["model_int8.tflite"], cut.labels, cut.preprocessing)
    arrays = np.load(io.BytesIO(golden_file(cut, classifier, FEW + 1)))
    expected = {
        load_box(cut.content(photo), photo.box, cut.preprocessing).tobytes()
        for photo in cut.photos[Part.TEST]
        if photo.box
    }
    assert len(expected & {pixels.tobytes() for pixels in arrays["inputs"]}) == FEW
