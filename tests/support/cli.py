"""Command lines run as a user would, and what they print."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.places import ROOT

Run = tuple[int, str, str]
"""Exit status, stdout and stderr."""
Call = Callable[..., Run]
PROCESS_LIMIT_S = 600
"""When a process counts as hanging, also on a machine where everything takes ten times as long."""


def device(
    *arguments: str | Path,
    python: Path | None = None,
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m device` in a new process and wait for it."""
    command = [str(python or sys.executable), "-m", "device", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )


def assert_one_error_line(run: Run, words: str, status: int = 1) -> None:
    """Nothing was printed but one line that says "error:" and `words`."""
    got, stdout, stderr = run
    assert got == status and stdout == ""
    assert stderr.startswith("error: ") and stderr.endswith("\n")
    assert len(stderr.splitlines()) == 1, stderr
    assert words in stderr


def only_error(text: str) -> str:
    """The one line of stderr that starts with "error: ", which must also be its last."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert text.rstrip().endswith(line)
    return line


def lines(text: str) -> list[dict[str, Any]]:
    """The objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]
