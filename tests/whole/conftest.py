"""Fixtures of the whole: real builds on rendered pictures, and the Makefile on its own folder."""

from pathlib import Path

import pytest

from tests.support.builds.build_folder import Build, trained_build, whole_build
from tests.support.builds.once import folder_of_run
from tests.support.builds.workshop import Workshop


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A real training on rendered pictures; only to be read."""
    return trained_build(folder_of_run(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The same with its bundle; only to be read."""
    return whole_build(folder_of_run(tmp_path_factory.getbasetemp()))


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """The Makefile on a build folder of its own, with a stand-in for Python."""
    return Workshop(tmp_path)
