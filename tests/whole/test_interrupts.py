"""Ctrl-C is one line for whatever can be run, also while it is still importing what it needs."""

from device.interrupt import INTERRUPTED

import ast
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

GUARD = "device.interrupt"
AS_A_FILE = {"device.deploy.fetch_wheels"}
"""Ansible runs these as files, where there is no package, and shows a line of them itself."""
PROGRAM = """
import importlib, os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == wanted or (not wanted and guard in sys.modules):
            os.kill(os.getpid(), signal.SIGINT)

module, wanted, guard = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
sys.argv.append("--help")
sys.meta_path.insert(0, Interrupting())
if module.endswith(":main"):
    importlib.import_module(module.removesuffix(":main"))
else:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
"""SIGINT comes at the import of a module; of the first after the guard if none is named."""


def runnable() -> list[str]:
    """What `python -m` can run."""
    found = []
    for package in ("train", "convert", "device"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if '__name__ == "__main__"' in path.read_text("utf-8"):
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found.append(name.removesuffix(".__main__"))
    return [name for name in found if name not in AS_A_FILE]


def file_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def imported(module: str) -> list[str]:
    """The modules that its first statements import, in order."""
    names = []
    for statement in ast.parse(file_of(module).read_text("utf-8")).body:
        if isinstance(statement, ast.Import):
            names += [each.name for each in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            of = statement.module or ""
            inside = [f"{of}.{each.name}" for each in statement.names]
            names += [each for each in inside if file_of(each).exists()] or [of]
    return names


def interrupted(module: str, wanted: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, GUARD, wanted, module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", runnable())
def test_the_guard_is_the_first_import(module: str) -> None:
    assert imported(module)[0] == GUARD


@pytest.mark.parametrize("module", [*runnable(), "device.__main__:main"])
def test_an_interrupt_between_imports_is_one_line(module: str) -> None:
    done = interrupted(module, "")
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "interrupted\n")


@pytest.mark.parametrize("module", ["train", "convert", "device", "device.fleet", "device.update"])
def test_an_interrupt_deep_in_an_import_is_one_line(module: str) -> None:
    """At the first import of the last module that it names, which imports others in turn."""
    done = interrupted(module, imported(module)[-1])
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "interrupted\n")


def test_other_errors_keep_their_traceback() -> None:
    program = f"import {GUARD}\nraise ValueError('of a bug')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "Traceback" in done.stderr and "of a bug" in done.stderr


def test_without_the_guard_it_is_a_traceback() -> None:
    program = PROGRAM.replace("runpy.run_module", "guard = 'runpy'; runpy.run_module")
    done = subprocess.run(
        [sys.executable, "-c", program, GUARD, "", "this"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGINT and "Traceback" in done.stderr
