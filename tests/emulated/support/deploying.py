"""`make`, as a person calls it, and settings for boards that watch a test's camera."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.peers.cameras import MjpegCamera
from tests.support.places import BUILD, ROOT

Run = subprocess.CompletedProcess[str]


def make(goal: str, **variables: object) -> Run:
    """A goal of the Makefile, in the build folder of the tests unless it is given."""
    words = [f"{name}={value}" for name, value in {"BUILD": BUILD, **variables}.items()]
    return in_checkout(["make", "--no-print-directory", goal, *words])


def in_checkout(command: Sequence[str]) -> Run:
    """A command, with nobody at its keyboard."""
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def write_settings(path: Path, camera: MjpegCamera) -> None:
    """The example's settings, with this camera."""
    example = (ROOT / "device/fieldguide.example.toml").read_text()
    assert 'source = "auto"' in example
    path.write_text(example.replace('source = "auto"', f'source = "{camera.url}"'))
