"""Promises of the sample frames that `make` tries a bundle on."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from convert.artifacts.training import LabelledPhoto, Training
from convert.commands import samples
from device.contract.photos import load_photo
from device.contract.preprocess import Preprocessing
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
from tests.support import visited_places
from tests.support.builds.training_records import metrics_of

LABELS = ("robin", "wren")


def test_a_sample_frame_is_named_after_its_class_however_deep_its_photo_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = []
    for number, path in enumerate(("robin/2024/day1/1.JPG", "wren/2.png")):
        (tmp_path / "data" / path).parent.mkdir(parents=True)
        data = f"photo {number}".encode()
        (tmp_path / "data" / path).write_bytes(data)
        photos.append(LabelledPhoto(path, number, hashlib.sha256(data).hexdigest(), path, ""))
    training = Training(
        folder=tmp_path,
        files=PhotoFiles(tmp_path / "data"),
        labels=LABELS,
        preprocessing=Preprocessing(),
        photos={Part.TEST: tuple(photos)},
        metrics=metrics_of([[1, 0], [0, 1]], LABELS),
    )
    monkeypatch.setattr(samples, "read_training", lambda _: training)
    samples.copy_samples(tmp_path, tmp_path / "samples")
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["000_robin.jpg", "001_wren.png"]


def test_a_sample_of_a_photo_that_is_cut_gives_the_model_the_pixels_of_its_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "robin.jpg"
    visited_places.frame(1, 1).image.save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    photo = LabelledPhoto("robin.jpg", 0, digest, "1", "hide", (30, 20, 101, 91))
    training = Training(
        folder=tmp_path,
        files=PhotoFiles(tmp_path),
        labels=LABELS,
        preprocessing=Preprocessing(),
        photos={Part.TEST: (photo,)},
        metrics=metrics_of([[1, 0], [0, 1]], LABELS),
    )
    monkeypatch.setattr(samples, "read_training", lambda _: training)
    samples.copy_samples(tmp_path, tmp_path / "samples")
    sample = load_photo(tmp_path / "samples" / "000_robin.png", training.preprocessing)
    assert np.array_equal(sample, training.pixels(photo))
