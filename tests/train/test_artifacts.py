"""Promises of what training leaves on disk."""

import os
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import pytest

from device.workstation.training import DATA, METRICS, NETWORK, REPORT, Metrics
from tests.support.builds.training_records import metrics_of
from tests.support.cli import only_error
from train.__main__ import main
from train.artifacts import save_network

LONG_AGO_S = 1_000_000_000
POLICIES: list[keras.DTypePolicy] = []


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A network that was saved long ago."""
    path = tmp_path / "model.keras"
    save_network(network(0.5), path)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return path


def network(weight: float) -> keras.Model:
    # As in another process: Keras writes down the addresses of what layers share.
    POLICIES.append(keras.DTypePolicy("float32"))
    keras.config.set_dtype_policy(POLICIES[-1])
    x = keras.Input((3,), name="x")
    features = keras.layers.ReLU(name="features")(x)
    model = keras.Model(x, keras.layers.Dense(2, name="head")(features), name="network")
    model.set_weights([np.full((3, 2), weight, np.float32), np.zeros(2, np.float32)])
    return model


def test_a_network_saved_again_keeps_its_date(saved: Path) -> None:
    before = ZipFile(saved).read("config.json")
    save_network(network(0.5), saved)
    assert ZipFile(saved).read("config.json") != before
    assert saved.stat().st_mtime == LONG_AGO_S
    assert keras.saving.load_model(saved).get_weights()[0][0, 0] == 0.5


def test_another_network_has_a_new_date(saved: Path) -> None:
    save_network(network(0.25), saved)
    assert saved.stat().st_mtime > LONG_AGO_S
    assert keras.saving.load_model(saved).get_weights()[0][0, 0] == 0.25


def test_a_damaged_network_is_replaced(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:1000])
    os.utime(saved, (LONG_AGO_S, LONG_AGO_S))
    save_network(network(0.5), saved)
    assert saved.stat().st_mtime > LONG_AGO_S
    assert keras.saving.load_model(saved).get_weights()[0][0, 0] == 0.5


# --- damaged and older files ----------------------------------------------------------------------

METRICS_TEXT = metrics_of([[5, 0], [0, 5]], ("daisy", "rose")).text()
SCHEMA_LINE = f'"schema": {Metrics.SCHEMA},'
SPOILED = {
    "cut": METRICS_TEXT[:300],
    "empty": "",
    "a list": "[]",
    "of before there were schemas": METRICS_TEXT.replace(SCHEMA_LINE, ""),
    "of a later version": METRICS_TEXT.replace(SCHEMA_LINE, '"schema": 99,'),
    "with a text for a number": METRICS_TEXT.replace('"best_epoch": 2', '"best_epoch": "two"'),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_metrics_that_cannot_be_read_are_one_line_and_nothing_is_lost(
    saved: Path, spoiled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = saved.rename(saved.with_name(NETWORK)).parent
    (folder / METRICS).write_text(SPOILED[spoiled])
    (folder / REPORT).write_text("the report as it was")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for command in (["report", "--out"], ["distill", "--out", str(folder / "pupil"), "--training"]):
        assert main([*command, str(folder)]) == 1
        said = only_error(capsys.readouterr().err)
        assert str(folder / METRICS) in said and said.endswith("remove it and run `make train`")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_data_record_that_cannot_be_read_stops_training_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("", '{"folder": "photos", "kind": "photos"}'):
        (tmp_path / DATA).write_text(text)
        assert main(["fit", "--out", str(tmp_path), "--weights", "none.pth"]) == 1
        said = only_error(capsys.readouterr().err)
        assert str(tmp_path / DATA) in said and said.endswith("remove it and run `make data`")
    assert [path.name for path in tmp_path.iterdir()] == [DATA]
