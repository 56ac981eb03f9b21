"""Promises of commands on nodes, which a sweep starts: their status, their words, their end."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from device.errors import ClusterError
from device.workstation.engine import commands
from device.workstation.engine.commands import Command
from tests.scale.conftest import Nodes


@pytest.fixture(autouse=True)
def on_ray(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "engine", lambda: nodes.engine(tmp_path / "store"))


def shell(tmp_path: Path, script: str, folder: str = "") -> Command:
    words = ["sh", "-c", script]
    return Command(words, dict(os.environ), folder or str(tmp_path), tmp_path / "log.txt")


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_status_and_words_come_back(tmp_path: Path) -> None:
    running = commands.start(shell(tmp_path, "pwd; echo oops >&2; exit 3"))
    eventually(lambda: running.poll() is not None)
    assert running.poll() == 3
    assert (tmp_path / "log.txt").read_text() == f"{tmp_path}\noops\n"


def test_it_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    running = commands.start(shell(tmp_path, "touch begun; sleep 600; touch ended"))
    eventually((tmp_path / "begun").exists)
    before = time.monotonic()
    running.terminate()
    running.wait(60)
    assert time.monotonic() - before < 60 and not (tmp_path / "ended").exists()


def test_a_node_without_the_folder_is_named(tmp_path: Path) -> None:
    running = commands.start(shell(tmp_path, "true", str(tmp_path / "checkout")))
    with pytest.raises(ClusterError, match="checkout is not on the node"):
        eventually(lambda: running.poll() is not None)
