"""A fleet, its commands, and a board that fetches from it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device.contract import bundle
from device.fleet.__main__ import main
from tests.device.fleet.boards import Board, served
from tests.support.device.tiny_bundle import TAR, unpack

Run = Callable[..., int]
Good = Callable[..., None]


def contents(fleet: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in fleet.rglob("*") if path.is_file()}


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLEET_PASSPHRASE", "FLEET_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet with one release, for copies."""
    folder = tmp_path_factory.mktemp("fleet") / "fleet"
    assert main(["init", f"--fleet={folder}"]) == 0
    assert main(["publish", f"--fleet={folder}", "--name=birds", f"--bundle={TAR}"]) == 0
    return folder


@pytest.fixture
def fleet(published: Path, tmp_path: Path) -> Path:
    """A fleet with one release that no board is offered."""
    return Path(shutil.copytree(published, tmp_path / "fleet"))


@pytest.fixture
def run(fleet: Path) -> Run:
    """Runs a command on the fleet; returns its status."""

    def act(command: str, *options: str) -> int:
        return main([command, f"--fleet={fleet}", *options])

    return act


@pytest.fixture
def good(run: Run) -> Good:
    """Runs a command that must succeed."""

    def act(command: str, *options: str) -> None:
        assert run(command, *options) == 0

    return act


@pytest.fixture
def board(fleet: Path, tmp_path: Path) -> Iterator[Board]:
    """A board that was given the first root, and fetches over HTTP."""
    with served(fleet / "public") as url:
        yield Board(tmp_path / "board", (fleet / "public/metadata/1.root.json").read_bytes(), url)


@pytest.fixture
def other_tar(tmp_path: Path) -> Path:
    """A bundle that differs from the published one."""
    folder = unpack(tmp_path)
    manifest = bundle.parse_manifest((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_bytes(bundle.seal_manifest({**manifest, "name": "other"}))
    return folder
