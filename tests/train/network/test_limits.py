"""Promises of the check of numbers: what a later step would refuse is refused at once."""

from pathlib import Path

import pytest

from device.errors import UsageError
from device.settings.address import AUTO, PICAMERA2
from tests.support.cli import only_error
from train.data.events.given import event_settings
from train.data.films.rules import film_rules
from train.errors import DataError, TrainingError
from train.network.backbone import Architecture
from train.network.limits import check, main
from train.recipe.config import TrainConfig

RIGHT = {
    "BACKBONE": "mobilenet-v2",
    "WEIGHTS": "",
    "SIZE": "",
    "ALPHA": "1.0",
    "EPOCHS": "0",
    "VIEWS": "64",
    "TRAIN_PHOTOS": "100",
    "SEED": "2147483647",
    "CALIBRATION": "1",
    "MICRO_SIZE": "128",
    "MICRO_EPOCHS": "1",
    "JOBS": "2",
}


def test_right_numbers_pass_and_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{name}={text}" for name, text in RIGHT.items()]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("SIZE", "225", "give a multiple of 32 in 32..1024 for mobilenet-v2"),
        ("SIZE", "-32", "give a multiple of 32"),
        ("SIZE", "big", "give a multiple of 32"),
        ("MICRO_SIZE", "100", "give a multiple of 32"),
        ("ALPHA", "wide", "give a number"),
        ("ALPHA", "0", "above 0"),
        ("ALPHA", "nan", "above 0"),
        ("ALPHA", "0.5", "give WEIGHTS=imagenet, too"),
        ("WEIGHTS", "/nowhere/lite.pth", "no such file; give a checkpoint, a folder for one, or"),
        ("EPOCHS", "1001", "give a whole number in 0..1000"),
        ("EPOCHS", "1.5", "give a whole number"),
        ("VIEWS", "0", "give a whole number in 1..64"),
        ("TRAIN_PHOTOS", "99", "give a whole number in 100..1000000000"),
        ("SEED", "-1", "give a whole number in 0..2147483647"),
        ("CALIBRATION", "0", "give a whole number in 1.."),
        ("MICRO_EPOCHS", "0", "give a whole number in 1..1000"),
        ("JOBS", "0", "give a whole number in 1..1000"),
    ],
)
def test_a_wrong_number_is_named_in_one_line(
    name: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"{each}={value}" for each, value in (RIGHT | {name: text}).items()]) == 2
    error = only_error(capsys.readouterr().err)
    assert f"{name}={text}: " in error and said in error


@pytest.mark.parametrize("name", sorted(RIGHT.keys() - {"BACKBONE"}))
def test_a_setting_without_a_value_is_refused_unless_nothing_means_something(name: str) -> None:
    empty = RIGHT | {name: ""}
    if name in ("SIZE", "WEIGHTS"):
        check(empty)
        return
    with pytest.raises(UsageError, match=f"^{name}=: give a"):
        check(empty)


def test_weights_are_a_file_a_folder_or_what_keras_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "lite.pth").touch()
    # No shell has expanded what make passes on.
    for given in (str(tmp_path / "lite.pth"), str(tmp_path), "~/lite.pth", "imagenet"):
        check(RIGHT | {"WEIGHTS": given})


def test_each_backbone_has_its_own_sizes_and_widths() -> None:
    lite = RIGHT | {"BACKBONE": "efficientnet-lite0"}
    check(lite | {"SIZE": "228"})
    with pytest.raises(UsageError, match=r"multiple of 4 in .* for efficientnet-lite0"):
        check(lite | {"SIZE": "226"})
    with pytest.raises(UsageError, match=r"has the width 1\.0 alone"):
        check(lite | {"ALPHA": "0.5"})
    check(RIGHT | {"ALPHA": "0.5", "WEIGHTS": "imagenet"})


@pytest.mark.parametrize(("epochs", "size_px"), [(1000, 96), (1001, 96), (1, 100)])
def test_training_takes_what_the_check_takes(epochs: int, size_px: int) -> None:
    def train() -> None:
        TrainConfig(Architecture(size_px=size_px), epochs=epochs)

    try:
        check(RIGHT | {"EPOCHS": str(epochs), "SIZE": str(size_px)})
    except UsageError:
        with pytest.raises(TrainingError):
            train()
    else:
        train()


@pytest.mark.parametrize("fps", ["0", "0.5", "30", "30.5", "nan", "often"])
def test_films_are_read_as_the_check_takes_them(fps: str) -> None:
    try:
        check(RIGHT | {"FILM_FPS": fps})
    except UsageError:
        with pytest.raises(DataError):
            film_rules(fps)
    else:
        film_rules(fps)


@pytest.mark.parametrize("seconds", ["0", "1.5", "-1", "inf", "nan", "soon"])
def test_events_are_found_as_the_check_takes_them(seconds: str) -> None:
    try:
        check(RIGHT | {"EVENT_S": seconds})
    except UsageError:
        with pytest.raises(DataError):
            event_settings(seconds, None, "auto")
    else:
        event_settings(seconds, None, "auto")


@pytest.mark.parametrize("source", [AUTO, PICAMERA2, "rtsp://garden.local/live", "README.md"])
def test_a_camera_is_a_source(source: str) -> None:
    check(RIGHT | {"SOURCE": source})
