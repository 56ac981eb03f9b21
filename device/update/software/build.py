"""Makes a venv of verified wheels, offline, and tries it before anything leads to it.

pip compares each wheel with the release's own lock, and takes only what fits this board.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from device import child
from device.errors import UnfitError, UpdateError
from device.safe_text import printable_line
from device.update.offer import LOCK, WHEEL
from device.update.trust.fetch import Wanted

OWN = "fieldguide_device-"
"""Begins the name of the device package's wheel."""
REQUIREMENTS = "requirements.txt"
VENV_LIMIT_S, PIP_LIMIT_S, CHECK_LIMIT_S = 600.0, 1800.0, 300.0
NO_ROOM = "No space left on device"
LEFT_OUT = "lib/python3*/site-packages/securesystemslib/_vendor/ed25519/test_data"
"""2.4 MB of another project's tests."""


def digest_of(files: Mapping[str, Wanted]) -> str:
    """What tells one release from another, whatever its number: names and hashes of its files."""
    lines = [f"{name} {wanted.sha256}\n" for name, wanted in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def build(venv: Path, wheels: Path, files: Mapping[str, Wanted]) -> None:
    """Make the venv.

    Args:
        venv: where.
        wheels: the folder of the release's files, verified.
        files: by name.

    Raises:
        UnfitError: if they do not make one here, and never will.
        UpdateError: if they do not now.
    """
    _write_requirements(wheels, files)
    _run(
        [sys.executable, "-I", "-m", "venv", "--clear", "--system-site-packages"],
        venv,
        VENV_LIMIT_S,
    )
    pip = [str(venv / "bin/python"), "-I", "-m", "pip", "install", "--quiet", "--no-input"]
    pip += ["--disable-pip-version-check", "--no-index", "--no-deps", "--no-cache-dir"]
    # What apt installed is not taken instead, so that exactly the lock's versions run.
    pip += ["--ignore-installed", "--only-binary=:all:", "--require-hashes"]
    pip += ["--find-links", str(wheels), "--requirement"]
    _run(pip, wheels / REQUIREMENTS, PIP_LIMIT_S)
    for folder in venv.glob(LEFT_OUT):
        for path in folder.iterdir():
            path.unlink()


def check(venv: Path, wheels: Path, bundle: Path, settings: Path) -> None:
    """Try what was made: its version, all that it imports, what is kept, and the current bundle.

    Args:
        venv: of the release.
        wheels: the folder of its files.
        bundle: that is current.
        settings: the file.

    Raises:
        UnfitError: if it does not work.
        UpdateError: if it cannot be tried now.
    """
    python = [str(venv / "bin/python"), "-I"]
    version = own_wheel(os.listdir(wheels)).split("-")[1]
    said = _run([*python, "-m", "device"], "--version", CHECK_LIMIT_S)
    if said.split()[-1:] != [version]:
        raise UnfitError(f"it says that it is {printable_line(said)[:80]!r}, and not {version}")
    _run(
        [*python, "-m", "device.update", "run", "--part", "try", "--config"],
        settings,
        CHECK_LIMIT_S,
    )
    if bundle.exists():
        _run([*python, "-m", "device", "selftest", "--bundle"], bundle, CHECK_LIMIT_S)


def own_wheel(names: Sequence[str]) -> str:
    """The name of the device package's wheel.

    Raises:
        UnfitError: if there is not one.
    """
    found = [name for name in names if name.startswith(OWN) and name.endswith(WHEEL)]
    if len(found) != 1:
        raise UnfitError(f"{len(found)} wheels of the device package instead of one")
    return found[0]


def _write_requirements(wheels: Path, files: Mapping[str, Wanted]) -> None:
    """The lock, and the own wheel by its hash.

    Raises:
        UnfitError: if a wheel is not in the lock, or there is none.
    """
    own = own_wheel(list(files))
    if LOCK not in files:
        raise UnfitError("it has no lock")
    lock = (wheels / LOCK).read_text("utf-8", "replace")
    for name, wanted in files.items():
        if name not in (own, LOCK) and f"sha256:{wanted.sha256}" not in lock:
            raise UnfitError(f"{name} is not in its lock")
    line = f"fieldguide-device @ {(wheels / own).as_uri()} --hash=sha256:{files[own].sha256}\n"
    (wheels / REQUIREMENTS).write_text(f"{lock.rstrip()}\n{line}", "utf-8")


def _run(command: Sequence[str], last: Path | str, limit_s: float) -> str:
    """What a program prints."""
    try:
        done = subprocess.run(
            [*command, str(last)],
            env={"PATH": os.environ.get("PATH", os.defpath), "PIP_CONFIG_FILE": os.devnull},
            preexec_fn=child.tie(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UpdateError(f"{_what(command)} took more than {limit_s:.0f} s") from error
    if done.returncode == 0:
        return done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
    why = f"{_what(command)}: {printable_line(lines[-1])[:200]} (status {done.returncode})"
    if done.returncode < 0 or NO_ROOM in done.stderr:
        # Killed, or the disk is full: that is not the release's fault.
        raise UpdateError(why)
    raise UnfitError(why)


def _what(command: Sequence[str]) -> str:
    return "-".join(word for word in command[2:6] if not word.startswith("-"))
