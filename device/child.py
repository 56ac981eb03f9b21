"""Running code in a new Python process: it may crash, hang, or need timing from the start.

The new process must run this same code. By default, `python -m` and `python -c` look for modules in
the current directory first: root, asked to test a bundle in somebody's folder, would run the code
that lies there.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""


def command(*arguments: str) -> list[str]:
    """The command line of a Python that imports nothing from the current directory.

    Args:
        arguments: such as "-m" and a module's name.
    """
    return [sys.executable, "-P", *arguments]


def environment() -> dict[str, str]:
    """The environment in which such a Python finds the packages that are running now."""
    here = str(Path(__file__).resolve().parent.parent)
    # An empty entry means the current directory.
    others = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, *others])}


def run(*arguments: str, time_limit_s: float) -> "subprocess.CompletedProcess[str]":
    """Run such a Python to its end, which comes with that of this process, and take what it prints.

    Args:
        arguments: as of `command`.
        time_limit_s: after which it is killed.

    Raises:
        subprocess.TimeoutExpired: if it was.
    """
    return subprocess.run(
        command(*arguments),
        env=environment(),
        preexec_fn=tie(),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=time_limit_s,
        check=False,
    )


def tie(by: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """For `subprocess`' preexec_fn: ties a child to this process before its program begins.

    The kernel sends it the signal `by` when this process ends; SIGTERM lets it end its own
    children first.
    None if other threads run here: code between fork and exec could wait forever for a lock that
    one of them held. Such a child ties itself, with `end_with_parent`.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return None
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl
    return partial(_tie, prctl, parent, by)


def end_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends for any reason.

    Args:
        parent: the parent's process number, as the parent sees it.
    """
    if sys.platform == "linux":
        _tie(ctypes.CDLL(None).prctl, parent, signal.SIGKILL)


def _tie(prctl: Callable[..., int], parent: int, by: signal.Signals) -> None:
    prctl(PR_SET_PDEATHSIG, by, 0, 0, 0)
    if os.getppid() != parent:
        # The parent ended before the kernel was asked.
        os._exit(1)
