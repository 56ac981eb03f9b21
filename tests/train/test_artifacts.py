"""Promises of what training leaves on disk."""

import os
from pathlib import Path
from zipfile import ZipFile

import keras
import numpy as np
import pytest

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
