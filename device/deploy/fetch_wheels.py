"""Downloads the wheels for a board's Python and architecture, on the workstation.

pip evaluates a lock's markers for the Python that runs pip, not for the one it downloads for, so
this first narrows the lock to the board. It prints JSON: the folder with the wheels, and a name for
the release that changes only when their content does.
"""

import argparse
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

OLDEST_GLIBC = 17
"""The minor version of glibc in manylinux2014, the oldest that current wheels are made for."""


@dataclass(frozen=True)
class Board:
    """The properties that decide which wheels fit."""

    python: str
    """Full version, e.g. 3.11.2."""
    machine: str
    """aarch64 or x86_64."""
    glibc: str
    """Version, e.g. 2.36."""

    @property
    def short_python(self) -> str:
        """E.g. 3.11."""
        return ".".join(self.python.split(".")[:2])

    def markers(self) -> dict[str, str]:
        """The environment for evaluating a lock's markers."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": self.python,
            "python_version": self.short_python,
            "sys_platform": "linux",
        }

    def platforms(self) -> list[str]:
        """Platform tags that work with its glibc, newest first."""
        newest = int(self.glibc.split(".")[1])
        tags = [f"manylinux_2_{minor}" for minor in range(newest, OLDEST_GLIBC - 1, -1)]
        return [f"{tag}_{self.machine}" for tag in [*tags, "manylinux2014"]]


def narrowed(lock: str, board: Board) -> str:
    """The lines of a hashed lock that apply to this board, without their markers."""
    kept = []
    for line in re.sub(r"\\\n\s*", " ", lock).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        stated, *hashes = line.split(" --hash=")
        requirement = Requirement(stated)
        if requirement.marker is None or requirement.marker.evaluate(board.markers()):
            pins = " ".join(f"--hash={digest.strip()}" for digest in hashes)
            kept.append(f"{requirement.name}{requirement.specifier} {pins}\n")
    return "".join(kept)


def fetch(requirements: str, board: Board, out: Path) -> Path:
    """The folder with these wheels; downloads them if they are not there yet."""
    key = hashlib.sha256(f"{board.short_python} {board.platforms()} {requirements}".encode())
    folder = out / key.hexdigest()[:12]
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "requirements.txt").write_text(requirements)
        download(folder, board)
        (folder / "ready").touch()
    return folder


def download(folder: Path, board: Board) -> None:
    """Download wheels, each compared with the lock's hash; ends the program if one is missing."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--dest", str(folder)]
    command += ["--implementation=cp", f"--python-version={board.short_python}"]
    command += [f"--abi={abi}" for abi in ("cp" + board.short_python.replace(".", ""), "abi3")]
    command += ["--abi=none", *(f"--platform={tag}" for tag in board.platforms())]
    command += ["-r", str(folder / "requirements.txt")]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        what = f"Python {board.short_python} on {board.machine}, glibc {board.glibc}"
        sys.exit(f"error: no wheels for {what}: {said[-1] if said else done.stderr.strip()}")


def contents(wheel: Path) -> bytes:
    """The names and hashes of a wheel's files, without their times."""
    with zipfile.ZipFile(wheel) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        return archive.read(record)


def main() -> None:
    """Read the command line, fetch, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("lock", "wheel", "unit", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("python", "machine", "glibc"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    board = Board(options.python, options.machine, options.glibc)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = fetch(narrowed(options.lock.read_text(), board), board, options.out)
    parts = (folder.name.encode(), contents(options.wheel), options.unit.read_bytes())
    release = hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
    print(json.dumps({"wheels": str(folder.resolve()), "release": release}))


if __name__ == "__main__":
    main()
