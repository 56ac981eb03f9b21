"""Promises of distillation's lessons: both see the same picture, the answers are the teacher's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifacts.training import Training
from device.contract.photos import load_photo
from device.contract.preprocess import Preprocessing
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from tests.support.pictures import LABELS, RULES
from train.data.split import Row
from train.distill import lessons
from train.distill.lessons import Lessons, take_lessons
from train.errors import DataError

SMALL = Preprocessing(64, 64)


def rows(training: Training) -> list[Row]:
    return [
        Row(photo.path, LABELS[photo.label], "train", photo.sha256, photo.sha256[:12], "")
        for photo in training.photos[Part.TEST]
    ]


@pytest.fixture(scope="module")
def taken(tiny_training: Training, tiny_network: Any) -> Lessons:
    return take_lessons(
        tiny_network, tiny_training.files, rows(tiny_training), SMALL, views=2, seed=0
    )


def test_the_first_view_is_the_photo_as_the_device_sees_it(
    taken: Lessons, tiny_training: Training
) -> None:
    paths = [tiny_training.files.path(row.path) for row in rows(tiny_training)]
    np.testing.assert_array_equal(taken.pixels[0], [load_photo(path, SMALL) for path in paths])
    assert (taken.pixels[1] != taken.pixels[0]).mean() > 0.5


def test_the_answers_are_the_teachers_at_its_own_size(
    taken: Lessons, tiny_training: Training, tiny_network: Any
) -> None:
    paths = [tiny_training.files.path(row.path) for row in rows(tiny_training)]
    said = tiny_network(np.stack([load_photo(path, RULES) for path in paths]))
    logits = said["class_map"].numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(taken.logits[0], logits, atol=1e-3)
    # The head is linear: the features that were kept give the logits.
    kernel, bias = tiny_network.get_layer("class_map").get_weights()
    from_features = taken.features.astype(np.float32) @ kernel[0, 0] + bias
    np.testing.assert_allclose(from_features, taken.logits, atol=0.02)


def test_there_are_only_as_many_views_as_memory_holds(
    tiny_training: Training, tiny_network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = rows(tiny_training)[:2]
    monkeypatch.setattr(lessons, "LESSON_BYTES", 2 * 2 * 20_000)
    few = take_lessons(tiny_network, tiny_training.files, some, SMALL, views=9, seed=0)
    assert len(few.pixels) == len(few.logits) == len(few.features) == 2


def test_a_photo_that_vanished_is_named(
    tiny_training: Training, tiny_network: Any, tmp_path: Path
) -> None:
    row = rows(tiny_training)[0]
    with pytest.raises(DataError, match=row.path):
        take_lessons(tiny_network, PhotoFiles(tmp_path), [row], SMALL, views=1, seed=0)
