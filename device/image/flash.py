"""Writes an image to a card, reads it back, and refuses disks that are not cards.

`examine` reads the facts about a disk from /sys and /proc once; `objection` decides from these
alone whether the disk may be written.
"""

import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from device.console import say
from device.image.errors import DiskError, WriteError

CHUNK_BYTES = 4 << 20
SECTOR_BYTES = 512
"""The unit in /sys, whatever the disk's own sectors are."""
PROGRESS_INTERVAL_S = 0.2


@dataclass(frozen=True)
class Disk:
    """The facts that decide whether a disk may be written."""

    path: str
    is_partition: bool
    size_bytes: int
    removable: bool
    """The kernel says so, or it is attached by USB or is an SD card."""
    mounted: tuple[str, ...]
    """Where the disk, a partition of it, or a volume on them is in use; "swap" for swap."""
    is_file: bool = False
    """An ordinary file that stands in for a card, say for a virtual machine."""


def objection(disk: Disk, image_bytes: int, limit_bytes: int, *, force: bool) -> str | None:
    """Why this disk must not be written; None if it may. `force` overrides only the last two."""
    if disk.is_partition:
        return f"{disk.path} is a partition: name the whole disk"
    system = [place for place in disk.mounted if place in ("/", "/boot", "/usr", "swap")]
    if system:
        return f"{disk.path} is a disk of this system (in use as {system[0]})"
    if disk.mounted:
        return f"{disk.path} is mounted at {disk.mounted[0]}: unmount it first"
    if disk.size_bytes < image_bytes:
        return (
            f"{disk.path} is too small: {_gb(disk.size_bytes)}, the image takes {_gb(image_bytes)}"
        )
    if disk.size_bytes > limit_bytes:
        return (
            f"{disk.path} has {_gb(disk.size_bytes)}, more than a card's {_gb(limit_bytes)}: "
            "set FLASH_LIMIT_GB= if it is a card"
        )
    if disk.is_file and not force:
        return f"{disk.path} is a file, not a disk: set FORCE=1 to overwrite it anyway"
    if not (disk.removable or force):
        return f"{disk.path} is not removable: set FORCE=1 if it is the card anyway"
    return None


def flash(image: Path, disk_path: str, *, limit_bytes: int, force: bool) -> None:
    """Write the image, read it back and compare.

    Raises:
        DiskError: if the disk must not be written; nothing was written.
        WriteError: if the card does not hold the whole image afterwards.
    """
    if not disk_path:
        raise DiskError("no DISK: make flash DISK=/dev/sdX (lsblk -d lists disks)")
    if not image.is_file() or not image.stat().st_size:
        raise DiskError(f"{image}: no such image; run make image")
    disk = examine(disk_path)
    reason = objection(disk, image.stat().st_size, limit_bytes, force=force)
    if reason:
        raise DiskError(reason)
    if not os.access(disk_path, os.R_OK | os.W_OK):
        raise DiskError(f"{disk_path}: only root may write it: put sudo before make flash")
    try:
        # Opened once for both, and exclusively: a desktop might mount the card in between.
        with open(_open(disk_path), "r+b", buffering=0) as card:
            written = _write(image, card)
            if _read_back(card, image.stat().st_size) != written:
                raise WriteError(
                    f"{disk_path} returns other bytes than were written: use another card"
                )
    except OSError as error:
        raise WriteError(f"{disk_path}: {error.strerror}: the card is not usable yet") from error
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say(f"{disk_path} holds a part of the image: the card is not usable yet", error=True)
        raise
    say(f"{disk_path} holds {image.name}, sha256 {written[:16]}: written and compared")


def _write(image: Path, card: FileIO) -> str:
    """Write all of the image, holes as zeros, so that no old data remains on the card."""
    digest = hashlib.sha256()
    with image.open("rb") as source:
        for chunk in _with_progress("writing", _chunks(source.fileno(), image.stat().st_size)):
            digest.update(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[card.write(rest) :]
    os.fsync(card.fileno())
    return digest.hexdigest()


def _open(disk_path: str) -> int:
    # O_EXCL on a block device: the kernel also refuses if it is in use.
    return os.open(disk_path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)


def _read_back(card: FileIO, size_bytes: int) -> str:
    digest = hashlib.sha256()
    # So that it is read from the card and not from the page cache.
    os.posix_fadvise(card.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    card.seek(0)
    for chunk in _with_progress("comparing", _chunks(card.fileno(), size_bytes)):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(descriptor: int, size_bytes: int) -> Iterator[tuple[bytes, float]]:
    """A file's bytes with the share of them that has been read."""
    left = size_bytes
    while left:
        chunk = os.read(descriptor, min(CHUNK_BYTES, left))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk, 1 - left / size_bytes


def _with_progress(what: str, chunks: Iterator[tuple[bytes, float]]) -> Iterator[bytes]:
    """Pass chunks on, and show the progress on a terminal."""
    began_s = shown_s = time.monotonic()
    for chunk, share in chunks:
        yield chunk
        now_s = time.monotonic()
        if sys.stderr.isatty() and (now_s - shown_s > PROGRESS_INTERVAL_S or share == 1):
            shown_s = now_s
            left_s = (now_s - began_s) * (1 - share) / share
            bar = "#" * round(40 * share)
            print(
                f"\r{what:9} [{bar:40}] {share:4.0%}, {left_s:3.0f} s left", end="", file=sys.stderr
            )
    if sys.stderr.isatty():
        print(file=sys.stderr)


def examine(path: str) -> Disk:
    """Read the facts about a disk.

    Raises:
        DiskError: if there is no such disk.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise DiskError(f"{path}: {error.strerror}") from None
    if stat.S_ISREG(status.st_mode):
        return Disk(path, False, status.st_size, False, (), is_file=True)
    if not stat.S_ISBLK(status.st_mode):
        raise DiskError(f"{path} is not a disk")
    return of_device(path, (os.major(status.st_rdev), os.minor(status.st_rdev)))


def of_device(
    path: str,
    number: tuple[int, int],
    sys_folder: Path = Path("/sys"),
    proc: Path = Path("/proc"),
) -> Disk:
    """The kernel's facts about a block device, by its major and minor number."""
    folder = (sys_folder / "dev/block" / "{}:{}".format(*number)).resolve()
    return Disk(
        path=path,
        is_partition=(folder / "partition").exists(),
        size_bytes=int((folder / "size").read_text()) * SECTOR_BYTES,
        removable=_is_removable(folder),
        mounted=_uses(folder, sys_folder, proc),
    )


def _is_removable(folder: Path) -> bool:
    flag = folder / "removable"
    if flag.exists() and flag.read_text().strip() == "1":
        return True
    parents = [part.name for part in folder.parents]
    return any(name.startswith(("usb", "mmc")) for name in parents)


def _uses(folder: Path, sys_folder: Path, proc: Path) -> tuple[str, ...]:
    """Where the disk, its partitions, or volumes on them (RAID, LVM, encryption) are in use."""
    numbers, names = set(), set()
    waiting = [folder]
    while waiting:
        node = waiting.pop()
        numbers.add((node / "dev").read_text().strip())
        names.add(node.name)
        waiting += [part.parent for part in node.glob("*/partition")]
        waiting += [
            (sys_folder / "class/block" / held.name).resolve() for held in node.glob("holders/*")
        ]
    return (*_mounts(proc, numbers, names), *_swaps(proc, names))


def _mounts(proc: Path, numbers: set[str], names: set[str]) -> Iterator[str]:
    for line in (proc / "self/mountinfo").read_text().splitlines():
        words = line.split()
        source = words[words.index("-") + 2]
        # Some file systems (btrfs) have their own device number.
        if words[2] in numbers or Path(source).name in names:
            yield words[4]


def _swaps(proc: Path, names: set[str]) -> Iterator[str]:
    path = proc / "swaps"
    lines = path.read_text().splitlines()[1:] if path.exists() else []
    return ("swap" for line in lines if Path(line.split()[0]).name in names)


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
