"""Fixtures of training: a small network, and real builds on rendered pictures."""

from pathlib import Path
from typing import Any

import pytest

from convert.artifacts.training import Training
from tests.support.builds import build_folder, tiny_network
from tests.support.builds.build_folder import Build
from tests.support.builds.once import folder_of_run


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this process, for what it makes only once."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def tiny_training(base: Path) -> Training:
    """What training would leave, for the tiny photos; without model.keras."""
    return tiny_network.tiny_training(base)


@pytest.fixture(name="tiny_network", scope="session")
def network(base: Path) -> Any:
    """A real classifier of the tiny photos."""
    return tiny_network.tiny_network(base)


@pytest.fixture(scope="session")
def trained(base: Path) -> Build:
    """A real training on rendered pictures; only to be read."""
    return build_folder.trained_build(folder_of_run(base))


@pytest.fixture(scope="session")
def build(base: Path) -> Build:
    """The same with its bundle; only to be read."""
    return build_folder.whole_build(folder_of_run(base))
