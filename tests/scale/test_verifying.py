"""Promises of verification on a cluster: it measures what one machine measures, to the bit."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from convert.config import Gate
from convert.verify.confidence import Scaled
from convert.verify.faults.measure import measure
from convert.verify.models import Models
from device.contract.statistics import LIMIT
from device.workstation.engine import choice
from device.workstation.engine.local import Local
from device.workstation.faults.catalogue import chosen
from device.workstation.training import Part
from tests.scale.conftest import Nodes
from tests.support.builds import tiny_network

Found = TypeVar("Found")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Keras, float and int8 of a small network."""
    base = tmp_path_factory.getbasetemp()
    exported, network = tiny_network._exported(base), tiny_network.tiny_network(base)
    return Models.of(tiny_network.tiny_training(base), exported, network)


def on_both(
    nodes: Nodes,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    does: Callable[[], Found],
) -> tuple[Found, Found]:
    """What it gives on this machine, and on workers of the cluster."""
    monkeypatch.setattr(choice, "engine", Local)
    local = does()
    capsys.readouterr()
    monkeypatch.setattr(choice, "engine", lambda: nodes.engine(store))
    spread = does()
    assert "a second and core" in " ".join(capsys.readouterr().err.split())
    return local, spread


@pytest.mark.slow
def test_three_models_answer_as_on_one_machine(
    models: Models,
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    local, spread = on_both(
        nodes, tmp_path, monkeypatch, capsys, lambda: models.classify(Part.TEST)
    )
    for field in fields(local):
        ours, theirs = getattr(local, field.name), getattr(spread, field.name)
        assert np.array_equal(ours, theirs), field.name


@pytest.mark.slow
def test_faults_of_cameras_are_measured_as_on_one_machine(
    models: Models,
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults, known = chosen("over-exposure,rotation"), Scaled(models.exported.statistics, LIMIT)
    local, spread = on_both(
        nodes, tmp_path, monkeypatch, capsys, lambda: measure(models, faults, known, Gate())
    )
    assert local is not None and spread == local
