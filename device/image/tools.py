"""Running the workstation's programs, and caching results by the hash of their inputs."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from device.files import replacing
from device.image.errors import ImageError

EPOCH_S = 1_754_697_600
"""The date of every file in an image: the day Debian 13 was released."""
PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mformat": "mtools",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "tune2fs": "e2fsprogs",
    "cpio": "cpio",
    "modprobe": "kmod",
    "xz": "xz-utils",
}
"""Debian's packages of the programs that making an image needs."""


def check() -> None:
    """Check that all programs are installed before starting anything long.

    Raises:
        ImageError: naming the packages to install.
    """
    missing = sorted({package for tool, package in PACKAGES.items() if not find(tool)})
    if missing:
        raise ImageError(f"not installed: apt install {' '.join(missing)}")


def find(tool: str) -> str | None:
    """Path of a program, even if only root has its folder in PATH."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def run(*command: str | Path, text: str = "", **environment: str) -> str:
    """Run a program with the image's date and time zone; returns its output.

    Raises:
        ImageError: with its last line, if it fails or is not installed.
    """
    name = str(command[0])
    try:
        result = subprocess.run(
            [find(name) or name, *map(str, command[1:])],
            input=text,
            env={**_environment(os.environ), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        where = PACKAGES.get(name, name)
        raise ImageError(f"{name} is not installed: apt install {where}") from None
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines()
        raise ImageError(f"{name} failed: {said[-1] if said else f'status {result.returncode}'}")
    return result.stdout


def archive_of_apt(name: str) -> str:
    """The address of "debian" or "debian-security" that apt uses on this machine.

    Raises:
        ImageError: if apt uses none here.
    """
    known = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    for address in sorted(set(known.split())):
        if address.rstrip("/").endswith(f"/{name}"):
            return address.rstrip("/")
    variable = "DEBIAN_SECURITY" if name.endswith("security") else "DEBIAN_MIRROR"
    raise ImageError(f"apt uses no archive of {name} here: set {variable}= to one")


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    return {**ours, "SOURCE_DATE_EPOCH": str(EPOCH_S), "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def cached(
    folder: Path, name: str, inputs: Iterable[bytes | Path], make: Callable[[Path], None]
) -> Path:
    """The file that `make` makes from these inputs; it is made now unless it exists.

    Older versions of the same name are removed, so that `folder` does not grow.
    """
    key = hashlib.sha256(b"".join(map(_digest, inputs))).hexdigest()[:16]
    stem, dot, suffix = name.partition(".")
    path = folder / f"{stem}-{key}{dot}{suffix}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            make(part)
        for old in folder.glob(f"{stem}-{'?' * len(key)}{dot}{suffix}"):
            if old != path:
                old.unlink()
    return path


def _digest(item: bytes | Path) -> bytes:
    if isinstance(item, bytes):
        return hashlib.sha256(item).digest()
    with item.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
