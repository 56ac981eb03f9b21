"""Promises of the sample frames that `make` tries a bundle on."""

import hashlib
from pathlib import Path

import pytest

from convert.artifacts.training import LabelledPhoto, Training
from convert.commands import samples
from device.contract.preprocess import Preprocessing
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import Part
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
