"""A stick with the file system that sticks are sold with: FAT or exFAT, mounted by the kernel.

Only where this machine can: it needs root, a loop device, `mkfs`, and a kernel (or, for exFAT,
exfat-fuse) that knows it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.device.release_stick import ReleaseStick
from tests.support.places import ROOT

UNIT = ROOT / "device/deploy/media-fieldguide.mount"
SIZE_BYTES = 64 << 20
LABEL = "FIELDGUIDE"
KNOWN = Path("/proc/filesystems")
"""What the kernel knows without a module; FUSE is asked for exFAT where it does not."""


class FatStick(ReleaseStick):
    """Filled as the page says, and mounted as the board's unit mounts it."""

    def __init__(self, folder: Path, place: Path, image: Path, kind: str) -> None:
        """Format the image; `place` is where it is mounted."""
        super().__init__(folder, place)
        self._image, self._kind = image, kind
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(SIZE_BYTES)
        _run(f"mkfs.{kind}", "-n", LABEL, image)

    def fill(self) -> None:
        """Copy what is published now."""
        with self.writable():
            for path in self.stick.iterdir():
                shutil.rmtree(path)
            _run("cp", "-r", f"{self.folder}/.", self.stick)

    @contextmanager
    def writable(self) -> Iterator[None]:
        """In a workstation; then it is plugged into the board."""
        self.pull()
        self.mount("rw")
        yield
        os.sync()
        self.pull()
        self.mount(options())

    def pull(self) -> None:
        """It is not there any more, whatever is being read."""
        while os.path.ismount(self.stick):
            _run("umount", "--lazy", self.stick)

    def mount(self, wanted: str) -> None:
        """Raises CalledProcessError if this machine cannot."""
        by = self._kind
        if by == "exfat" and shutil.which("mount.exfat-fuse") and by not in KNOWN.read_text():
            by = "exfat-fuse"
        _run("mount", "-t", by, "-o", f"loop,{wanted}", self._image, self.stick)


def options() -> str:
    """Of the board's unit."""
    (line,) = [each for each in UNIT.read_text().splitlines() if each.startswith("Options=")]
    return line.removeprefix("Options=")


@contextmanager
def fat_stick(folder: Path, kind: str) -> Iterator[FatStick]:
    """Such a stick for the length of a test; skips it where this machine cannot have one."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    if shutil.which(f"mkfs.{kind}") is None:
        pytest.skip(f"no mkfs.{kind}: apt-get install dosfstools exfatprogs")
    stick = FatStick(folder, folder.with_name("stick"), folder.with_name("stick.img"), kind)
    try:
        stick.mount("ro")
    except subprocess.CalledProcessError as error:
        why = error.stderr.splitlines()[0].rpartition(": ")[2]
        pytest.skip(f"{kind} cannot be mounted here ({why}): it needs a kernel that knows it")
    try:
        stick.fill()
        yield stick
    finally:
        stick.pull()


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
