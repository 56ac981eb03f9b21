"""Runs a script that cuts work short step by step, in a process of its own."""

import json
import subprocess

import pytest

from device import child
from tests.support.places import ROOT

ONE_STEP_IN = [
    pytest.param(1, id="each-step", marks=pytest.mark.long),
    pytest.param(7, id="one-step-in-seven"),
]
"""How many of the steps are cut: each one takes minutes."""


def cuts(module: str, *arguments: object) -> dict[str, int]:
    """What a module prints that cuts work short: the last step of each kind that was cut."""
    done = subprocess.run(
        child.command("-m", module, *map(str, arguments)),
        cwd=ROOT,
        env=child.environment(),
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found
