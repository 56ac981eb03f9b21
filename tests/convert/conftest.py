"""Fixtures of conversion: a small network, its models and bundle, made by the code under test."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convert.artifacts.training import Training
from convert.pack import bundle
from device.workstation.training import Part
from tests.support.builds import build_folder, tiny_network
from tests.support.builds.build_folder import Build
from tests.support.builds.once import folder_of_run

if TYPE_CHECKING:
    from convert.quantize.plan import Plan


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this process, for what it makes only once."""
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="session")
def tiny_training(base: Path) -> Training:
    """What training would leave, for the tiny photos; without model.keras."""
    return tiny_network.tiny_training(base)


@pytest.fixture(scope="session")
def tiny_photos(tiny_training: Training) -> list[Path]:
    """The photos of the tiny test part."""
    return [tiny_training.files.path(photo.path) for photo in tiny_training.photos[Part.TEST]]


@pytest.fixture(name="tiny_network", scope="session")
def network(base: Path) -> Any:
    """A real classifier of the tiny photos."""
    return tiny_network.tiny_network(base)


@pytest.fixture(scope="session")
def tiny_plan(base: Path) -> "Plan":
    """The tiny network's quantization."""
    return tiny_network.tiny_plan(base)


@pytest.fixture(scope="session")
def tiny_models(base: Path) -> dict[str, bytes]:
    """The float32 and the int8 TFLite model of the tiny network, by file name."""
    return tiny_network.tiny_models(base)


@pytest.fixture(scope="session")
def tiny_bundle(base: Path) -> Path:
    """A bundle folder of the tiny network, made here and now; only to be read."""
    folder = base / "tiny" / "bundle"
    bundle.write_folder(folder, tiny_network.tiny_files(base))
    return folder


@pytest.fixture(scope="session")
def trained(base: Path) -> Build:
    """A real training on rendered pictures; only to be read."""
    return build_folder.trained_build(folder_of_run(base))


@pytest.fixture(scope="session")
def build(base: Path) -> Build:
    """The same with its bundle; only to be read."""
    return build_folder.whole_build(folder_of_run(base))
