"""Promises of the benchmark of frozen features."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.cli import only_error
from train.bench import features
from train.bench.features import five_fold

CLASSES, EVENTS, SHOTS, CHANNELS = 3, 20, 4, 24
RNG = np.random.default_rng(0)
LABELS = [str(number % CLASSES) for number in range(EVENTS * CLASSES) for _ in range(SHOTS)]
OCCASIONS = [str(number) for number in range(EVENTS * CLASSES) for _ in range(SHOTS)]
OWN = RNG.normal(size=(EVENTS * CLASSES, CHANNELS)).repeat(SHOTS, axis=0)
"""What only the photos of one event share."""


def unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_what_features_know_of_the_classes_counts() -> None:
    telling = RNG.normal(size=(CLASSES, CHANNELS))[[int(label) for label in LABELS]]
    assert five_fold(unit(3 * telling + OWN), LABELS, OCCASIONS, 0) > 0.97


def test_what_they_know_of_an_event_does_not() -> None:
    """A photo that has its event's others in training would be told by them."""
    assert five_fold(unit(OWN), LABELS, OCCASIONS, 0) < 0.5


def test_weights_that_cannot_be_read_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "fetch_weights", lambda folder, checkpoint: tmp_path / "none")
    assert features.main(["--training", str(tmp_path)]) == 1
    assert "none" in only_error(capsys.readouterr().err)
