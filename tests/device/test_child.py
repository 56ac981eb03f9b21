"""New processes run this code and nothing that lies about, and end with whoever started them."""

import ast
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device import child
from device.contract import bundle as contract
from device.doctor import software
from device.inference import trial
from device.inference.trial import Trial
from device.settings.sections import InferenceConfig
from tests.support.places import ROOT
from tests.support.timing import eventually

TRAPS = ("device", "numpy", "json", "ai_edge_litert", "PIL")


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory where every module is somebody else's; gives the file they write."""
    mark = tmp_path / "trapped"
    for name in TRAPS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    return mark


def test_a_self_test_imports_nothing_from_the_current_directory(
    trapped: Path, tiny_bundle: Path
) -> None:
    Trial().passes(contract.load(tiny_bundle), InferenceConfig(threads=1))
    assert not trapped.exists()


@pytest.mark.parametrize("path", ["", os.pathsep])
def test_an_empty_entry_of_pythonpath_is_not_the_current_directory(
    path: str, trapped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", path)
    assert software.in_child("import json, numpy, device") == ""
    assert not trapped.exists()


def test_the_doctor_tries_imports_only_where_they_are_installed(trapped: Path) -> None:
    assert software.in_child("import numpy, PIL") == ""
    assert not trapped.exists()


def starts(source: str) -> Iterator[list[ast.expr]]:
    """What follows `sys.executable` in each list or tuple of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.List | ast.Tuple):
            for index, part in enumerate(node.elts):
                if ast.unparse(part) == "sys.executable":
                    yield node.elts[index + 1 :]


def test_no_python_is_started_that_looks_into_the_current_directory() -> None:
    found = 0
    for package in ("device", "train", "convert"):
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text("utf-8")
            begun = list(starts(source))
            assert len(begun) == source.count("sys.executable,"), path
            found += len(begun)
            for rest in begun:
                # Isolated mode, -I, has -P in it.
                assert rest and ast.unparse(rest[0]) in ("'-P'", "'-I'"), path
    assert found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_child_that_hangs_ends_with_its_parent(number: int, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    hang = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(300)"
    start = f"from device.doctor.software import in_child; in_child({hang!r})"
    with subprocess.Popen(child.command("-c", start), env=child.environment()) as parent:
        eventually(lambda: note.exists() and note.read_text() != "", 20)
        parent.send_signal(number)
    gone = int(note.read_text())
    eventually(lambda: not runs(gone), 10)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_self_test_that_hangs_from_its_start_ends_with_the_command(
    number: int, tiny_bundle: Path, tmp_path: Path
) -> None:
    command = child.command("-m", "device", "slots", "install", str(tiny_bundle))
    command += ["--root", str(tmp_path)]
    with subprocess.Popen(command, env=child.environment(), stderr=subprocess.DEVNULL) as parent:
        eventually(lambda: self_tests(parent.pid), 30)
        (test,) = self_tests(parent.pid)
        os.kill(test, signal.SIGSTOP)
        parent.send_signal(number)
    eventually(lambda: not runs(test), 10)


def self_tests(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if above == parent and b"device.inference.trial" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_child_whose_parent_ended_before_it_could_ask_ends_at_once() -> None:
    asks = "from device.child import end_with_parent; end_with_parent(1); print('goes on')"
    done = subprocess.run(
        child.command("-c", asks), env=child.environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")


class Interrupted(subprocess.Popen[bytes]):
    """A child that hangs, and whose parent gets Ctrl-C while it waits."""

    waits = 0

    def communicate(self, *arguments: Any, **named: Any) -> tuple[bytes, bytes]:
        self.waits += 1
        if self.waits == 1:
            raise KeyboardInterrupt
        return super().communicate(*arguments, **named)


def test_a_self_test_that_hangs_ends_with_ctrl_c(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends by an exception; the child must not go on without anybody who waits."""
    hanging = Interrupted(["sleep", "300"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    monkeypatch.setattr(trial, "_spawn", lambda: hanging)
    with pytest.raises(KeyboardInterrupt):
        Trial().passes(contract.load(tiny_bundle), InferenceConfig(threads=1))
    assert hanging.poll() == -signal.SIGKILL
