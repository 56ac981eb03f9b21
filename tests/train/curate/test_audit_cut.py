"""Promises of `make audit` where photos are cut: it judges what trains, and shows where that is."""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from PIL import Image

from device.contract.arrays import Box
from device.workstation.photo_files import PhotoFiles
from device.workstation.training import AUDIT_PAGE
from tests.train.data.test_data_command import fixed_cameras
from tests.train.data.test_dataset import write
from train.__main__ import main
from train.curate import alike, apart, audit
from train.curate.audit import Floats
from train.curate.features import Listed

WHOLE, CUT = [1.0, 0.0], [0.0, 1.0]
"""Features of a photo."""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command on photos of fixed cameras; the network's features tell whether one is cut."""

    def frozen_features(
        photos: Sequence[Listed],
        files: PhotoFiles,
        weights: str,
        cache: Path,
        cuts: Mapping[str, Box] = MappingProxyType({}),
    ) -> Floats:
        return np.array([CUT if p.path in cuts else WHOLE for p in photos], np.float32)

    monkeypatch.setattr("train.curate.audit_page.frozen_features", frozen_features)
    folder = tmp_path / "photos"
    events = write(tmp_path / "events.csv", fixed_cameras(folder).encode())
    data = ["--data", str(folder), "--events", str(events), "--out", str(tmp_path / "train")]
    return ["audit", *data, "--weights", "checkpoint"]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Floats]:
    """The features by which each part of the audit judged, by its name."""
    features: dict[str, Floats] = {}
    for module, name, place in (
        (alike, "find_alike", 2),
        (apart, "events_apart", 1),
        (audit, "mislabels", 2),
        (audit, "outliers", 1),
    ):
        answer: object = ([], None) if name == "mislabels" else []

        def judged(
            *given: Floats, name: str = name, place: int = place, answer: object = answer
        ) -> object:
            features[name] = given[place]
            return answer

        monkeypatch.setattr(module, name, judged)
    return features


def test_labels_are_judged_by_what_trains_and_copies_by_whole_photos(
    command: list[str], seen: dict[str, Floats], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 0
    assert "32 of 32 photos" in capsys.readouterr().out
    assert all((seen[name] == CUT).all() for name in ("mislabels", "outliers"))
    assert all((seen[name] == WHOLE).all() for name in ("find_alike", "events_apart"))
    assert main([*command, "--region", "whole"]) == 0
    assert all((features == WHOLE).all() for features in seen.values())


@pytest.mark.parametrize(("region", "has_box"), [("change", True), ("whole", False)])
def test_the_page_shows_cut_photos_whole_with_their_box(
    command: list[str], seen: dict[str, Floats], tmp_path: Path, region: str, has_box: bool
) -> None:
    assert main([*command, "--region", region]) == 0
    page = (tmp_path / "train" / AUDIT_PAGE).read_text("utf-8")
    assert ("boxes that are drawn below" in page) == has_box
    shown = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert shown
    for each in shown:
        picture = Image.open(io.BytesIO(base64.b64decode(each)))
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        yellow = (pixels[..., 0] > 140) & (pixels[..., 1] > 110) & (pixels[..., 2] < 100)
        assert (yellow.sum() > 20) == has_box
        assert (picture.width > picture.height) == has_box
