"""A narrow network begins as a copy of the wide one, and learns from it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.artifacts.training import Training
from device.workstation.training import METRICS, Part, PupilMetrics
from tests.support.builds.build_folder import Build, convert, succeeded, train
from tests.support.builds.training_records import metrics_of
from tests.support.cli import only_error
from tests.support.pictures import SIZE_PX
from train.__main__ import main
from train.distill.lessons import FEATURES
from train.distill.narrow import Shrunk, shrink
from train.distill.run import DistillConfig, check_all_taught
from train.errors import TrainingError
from train.network.backbone import Architecture

WHOLE = metrics_of([[5, 0], [0, 5]], ("daisy", "rose")).text()


@pytest.fixture(scope="module")
def pixels(tiny_training: Training) -> Any:
    return np.stack([tiny_training.pixels(photo) for photo in tiny_training.photos[Part.TRAIN]])


@pytest.fixture(scope="module")
def shrunk(tiny_network: Any, pixels: Any) -> Shrunk:
    return shrink(tiny_network, 0.35, Architecture(alpha=0.35, size_px=SIZE_PX), pixels)


@pytest.fixture(scope="module")
def copied(shrunk: Shrunk) -> Any:
    return shrunk.network


def test_a_network_shrunk_to_its_own_width_says_the_same(
    tiny_network: Any, copied: Any, pixels: Any
) -> None:
    wanted, found = (net(pixels)["probabilities"].numpy() for net in (tiny_network, copied))
    assert (wanted.argmax(axis=1) == found.argmax(axis=1)).mean() >= 0.95
    assert np.abs(wanted - found).max() < 0.2


def test_its_features_stand_for_those_that_it_names(
    tiny_network: Any, shrunk: Shrunk, pixels: Any
) -> None:
    wanted, found = (
        keras.Model(net.input, net.get_layer(FEATURES).output)(pixels).numpy().mean(axis=(1, 2))
        for net in (tiny_network, shrunk.network)
    )
    off = found - wanted[:, shrunk.features]
    assert (off**2).mean() < 0.1 * wanted.var(axis=0).mean()


def test_every_layer_of_the_shrunk_network_has_weights(copied: Any) -> None:
    for layer in copied.layers:
        for array in layer.get_weights()[:1]:
            assert np.isfinite(array).all() and np.abs(array).max() > 0


def test_the_default_is_small_enough_for_a_microcontroller() -> None:
    config = DistillConfig()
    assert (config.architecture.alpha, config.architecture.size_px) == (0.35, 96)
    assert config.preprocessing.shape == (96, 96, 3)


def test_without_a_trained_network_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "--training", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "run `make train`" in only_error(capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_a_damaged_teacher_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for metrics in ("[]", "{}", WHOLE):
        (tmp_path / METRICS).write_text(metrics)
        (tmp_path / "model.keras").write_bytes(b"PK\x03\x04 and no more")
        assert main(["distill", "--training", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
        assert "run `make train`" in only_error(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        *(("--epochs=0", "is not in"), ("--epochs=-1", "is not in"), ("--seed=-1", "is not in")),
        *(("--size=100", "100"), ("--size=16", "16"), ("--size=4096", "4096")),
    ],
)
def test_settings_that_teach_nothing_are_refused(
    option: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "--training", str(tmp_path), option]) == 1
    assert said in only_error(capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.long
def test_the_pupil_learns_from_the_trained_network(trained: Build, tmp_path: Path) -> None:
    out = tmp_path / "train"
    said = succeeded(train("distill", "--training", trained.train, "--out", out, "--epochs", "12"))
    assert "the teacher" in said
    metrics = PupilMetrics.read(out / METRICS)
    assert metrics.test.accuracy > 2 / len(metrics.labels) and metrics.test.n > 0
    assert metrics.history[-1].loss < metrics.history[0].loss
    places = ("--training", out, "--out", tmp_path / "convert")
    assert "calibrated" in succeeded(convert("export", *places, "--calibration-photos", "20"))


def test_a_pupil_of_a_teacher_that_learned_from_a_sample_is_refused() -> None:
    check_all_taught(100_000, 100_000)
    with pytest.raises(TrainingError, match=r"sample of 100,001 .*TRAIN_PHOTOS=100000"):
        check_all_taught(100_000, 100_001)
