"""Runs a script that cuts work short at every step, in a process of its own."""

import json
import subprocess

from device import child
from tests.support.places import ROOT


def cuts(script: str, *arguments: str) -> dict[str, int]:
    """How often a module of `tests.support.device` cut each kind of work short."""
    done = subprocess.run(
        child.command("-m", f"tests.support.device.{script}", *arguments),
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
