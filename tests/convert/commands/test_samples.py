"""Promises of the sample frames that `make` tries a bundle on."""

import hashlib
from pathlib import Path

import pytest

from convert.artifacts.training import LabelledPhoto, Training
from convert.commands import samples
from device.contract.preprocess import Preprocessing


def test_a_sample_frame_is_named_after_its_class_however_deep_its_photo_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = []
    for number, path in enumerate(("robin/2024/day1/1.JPG", "wren/2.png")):
        (tmp_path / "data" / path).parent.mkdir(parents=True)
        data = f"photo {number}".encode()
        (tmp_path / "data" / path).write_bytes(data)
        photos.append(LabelledPhoto(path, number, hashlib.sha256(data).hexdigest()))
    training = Training(
        tmp_path, tmp_path / "data", ("robin", "wren"), Preprocessing(), {"test": tuple(photos)}, {}
    )
    monkeypatch.setattr(samples, "read", lambda _: training)
    samples.copy_samples(tmp_path, tmp_path / "samples")
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["000_robin.jpg", "001_wren.png"]
