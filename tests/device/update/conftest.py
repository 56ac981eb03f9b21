"""Bundles in slots, for tests that update them."""

import shutil
from pathlib import Path

import pytest

from device.contract import bundle as contract
from device.update import slots
from tests.device.update.updating import Files, tarred
from tests.support.device.bundle_files import read_folder, resealed


@pytest.fixture(scope="module")
def files(tiny_bundle: Path) -> Files:
    return read_folder(tiny_bundle)


@pytest.fixture(scope="module")
def other(files: Files) -> Files:
    """Another bundle of the same model."""
    return resealed({**files, contract.LABELS: b"rouge\nvert\nbleu\n"}, name="other")


@pytest.fixture(scope="module")
def installed(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle as a tar, and a root where it is current; only to be copied."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "root").mkdir()
    slots.install(tarred(folder / "first.tar", files), folder / "root")
    return folder


@pytest.fixture
def root(tmp_path: Path, installed: Path) -> Path:
    """A root with a bundle in slot a."""
    shutil.copytree(installed, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "root"


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """No self-test, for tests of what comes after it."""
    monkeypatch.setattr(slots, "_tested", lambda *_: "no runtime")
