"""`make`, as a person calls it, and settings for boards that watch a test's camera."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers.cameras import MjpegCamera
from tests.support.places import BUILD, ROOT

Run = subprocess.CompletedProcess[str]


def make(goal: str, **variables: object) -> Run:
    """A goal of the Makefile, in the build folder of the tests unless it is given."""
    return in_checkout(_command(goal, variables))


@contextmanager
def making(goal: str, **variables: object) -> Iterator[subprocess.Popen[str]]:
    """Such a goal that goes on meanwhile, in a process group of its own."""
    command, pipe = _command(goal, variables), subprocess.PIPE
    made = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield made
    finally:
        if made.poll() is None:
            os.killpg(made.pid, signal.SIGKILL)


def _command(goal: str, variables: Mapping[str, object]) -> Sequence[str]:
    words = [f"{name}={value}" for name, value in {"BUILD": BUILD, **variables}.items()]
    return ["make", "--no-print-directory", goal, *words]


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
