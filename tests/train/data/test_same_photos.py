"""Promises about photos of the split: what is read is what was scanned, or nothing is."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifacts.training import LabelledPhoto, Training
from convert.errors import InputError
from device.errors import PhotoError
from device.workstation.photo_files import PhotoFiles
from tests.support.builds.training_records import metrics_of
from tests.support.pictures import LABELS, RULES, encoded, picture
from train.data.listed import load_listed, read_same
from train.data.split import Row
from train.distill import lessons
from train.errors import DataError
from train.network.frozen import OfPicture
from train.recipe.activations import Seen
from train.recipe.config import TrainConfig
from train.recipe.photos import Photos
from train.recipe.places import Exchange

SCANNED, OTHER = (encoded(picture(label, 1)) for label in range(2))
NAME = "red/1.png"
METRICS = metrics_of([[1]], ("red",))
ROW = Row(NAME, "red", "train", sha256(SCANNED).hexdigest(), "1", "")

Read = Callable[[Path], Any]


def converted(method: str) -> Read:
    photo = LabelledPhoto(NAME, 0, ROW.sha256, ROW.group, "")
    return lambda folder: getattr(
        Training(folder, PhotoFiles(folder), LABELS, RULES, {}, METRICS), method
    )(photo)


def nothing_seen(pixels: Any) -> Any:
    return np.zeros(1, np.float16)


frozen: Any = nothing_seen


def seen_in(folder: Path) -> Seen:
    photos = Photos(PhotoFiles(folder), LABELS, {}, {})
    return Seen(None, TrainConfig(), "", photos, Exchange(), folder, folder)


READERS: dict[str, Read] = {
    "a view for training": lambda folder: seen_in(folder).task(frozen).of((ROW, None, 1)),
    "test and validation": lambda folder: load_listed(PhotoFiles(folder), NAME, ROW.sha256, RULES),
    "features for the audit": lambda folder: OfPicture(frozen).of(
        partial(load_listed, PhotoFiles(folder), NAME, ROW.sha256, RULES)
    ),
    "a lesson for the small network": lambda folder: lessons._view_in_sizes(
        PhotoFiles(folder), (RULES,), 1, 0, ROW, None
    ),
    "calibration, verification, golden outputs": converted("pixels"),
    "a sample frame": converted("content"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / NAME).parent.mkdir()
    (tmp_path / NAME).write_bytes(SCANNED)
    return tmp_path


@pytest.mark.parametrize("reader", READERS)
def test_another_picture_under_the_same_name_stops_with_its_name(folder: Path, reader: str) -> None:
    READERS[reader](folder)
    (folder / NAME).write_bytes(OTHER)
    with pytest.raises(
        (DataError, InputError), match=r"red/1\.png: its content has changed .*`make data`"
    ):
        READERS[reader](folder)
    (folder / NAME).unlink()
    with pytest.raises((DataError, InputError), match=r"red/1\.png: .*`make data`"):
        READERS[reader](folder)


def test_a_report_shows_no_other_picture_under_a_photos_name(folder: Path) -> None:
    assert read_same(PhotoFiles(folder), NAME, ROW.sha256) == SCANNED
    with pytest.raises(PhotoError, match="has changed"):
        read_same(PhotoFiles(folder), NAME, replace(ROW, sha256=sha256(OTHER).hexdigest()).sha256)
