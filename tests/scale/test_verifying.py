"""Promises of verification on a cluster: it measures what one machine measures, to the bit."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

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

Both = Callable[[Callable[[], Any]], tuple[Any, Any]]
"""Gives what is done on this machine, and the same on workers of the cluster."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Keras, float and int8 of a small network."""
    base = tmp_path_factory.getbasetemp()
    exported, network = tiny_network._exported(base), tiny_network.tiny_network(base)
    return Models.of(tiny_network.tiny_training(base), exported, network)


@pytest.fixture
def on_both(
    nodes: Nodes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Both:
    def act(does: Callable[[], Any]) -> tuple[Any, Any]:
        monkeypatch.setattr(choice, "engine", Local)
        local = does()
        capsys.readouterr()
        monkeypatch.setattr(choice, "engine", lambda: nodes.engine(tmp_path))
        spread = does()
        assert "a second and core" in " ".join(capsys.readouterr().err.split())
        return local, spread

    return act


@pytest.mark.slow
def test_three_models_answer_as_on_one_machine(models: Models, on_both: Both) -> None:
    local, spread = on_both(lambda: models.classify(Part.TEST))
    for field in fields(local):
        ours, theirs = getattr(local, field.name), getattr(spread, field.name)
        assert np.array_equal(ours, theirs), field.name


@pytest.mark.slow
def test_faults_of_cameras_are_measured_as_on_one_machine(models: Models, on_both: Both) -> None:
    faults, known = chosen("over-exposure,rotation"), Scaled(models.exported.statistics, LIMIT)
    local, spread = on_both(lambda: measure(models, faults, known, Gate()))
    assert local is not None and spread == local
