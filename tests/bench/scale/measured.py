"""Runs commands as `make` does, and says what each took: seconds, processor time, memory, disk."""

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device import child


@dataclass(frozen=True)
class Measured:
    """What one process took."""

    name: str
    photos: int
    seconds: float
    processor_s: float
    peak_mib: int
    disk_mib: float
    """What its folder holds afterwards."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def run(name: str, photos: int, out: Path, *arguments: str) -> tuple[Measured, str]:
    """Run a Python of this checkout to its end; gives what it took and what it printed.

    Raises:
        RuntimeError: if it fails.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        child.command(*arguments),
        env=child.environment(),
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} with {photos:,} photos failed; see above")
    return (
        Measured(
            name,
            photos,
            round(time.perf_counter() - began, 1),
            round(usage.ru_utime + usage.ru_stime, 1),
            usage.ru_maxrss // 1024,
            round(size_mib(out), 1),
        ),
        printed,
    )


def size_mib(folder: Path) -> float:
    """What the files of a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
