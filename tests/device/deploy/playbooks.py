"""What a deployment does, as its files say it, and a way to try pieces of it."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.cli import PROCESS_LIMIT_S
from tests.support.places import ROOT

DEPLOY = ROOT / "device" / "deploy"


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )


def tasks_of(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "tasks" / name).read_text())
    return found
