"""Facts about the machine from /proc, /sys, /dev and /run, for `device.doctor`.

All paths are below one root, so that tests can build a machine out of files.
"""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EDGETPU_USB = {("1a6e", "089a"), ("18d1", "9302")}
"""Vendor and product ids of Coral's USB accelerator, before and after it loads its firmware."""
LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp."""


def own_groups() -> frozenset[str]:
    """Names of this process's groups."""
    names = set()
    for number in {os.getegid(), *os.getgroups()}:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(names)


def own_name() -> str:
    """Name of this process's user."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@dataclass(frozen=True)
class Process:
    """A process that has a device or port open."""

    pid: int
    name: str
    command: str

    @property
    def is_service(self) -> bool:
        """Whether it is the service itself, which is expected to hold camera and ports."""
        words = self.command.split()
        ours = any(word.endswith("fieldguide") or word == "device" for word in words)
        return ours and "serve" in words

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


@dataclass(frozen=True)
class Host:
    """The machine below a root folder, and the user who runs the checks."""

    root: Path = Path("/")
    user: str = field(default_factory=own_name)
    groups: frozenset[str] = field(default_factory=own_groups)

    def usable(self, path: Path) -> bool:
        """Whether this process may read and write a file."""
        return os.access(path, os.R_OK | os.W_OK)

    def video_device_paths(self) -> list[Path]:
        """The V4L2 nodes; a Raspberry Pi has many that are not cameras."""
        return sorted((self.root / "dev").glob("video[0-9]*"))

    def is_raspberry_pi(self) -> bool:
        """Whether it is a Raspberry Pi, by the firmware's device tree."""
        return _text(self.root / "proc/device-tree/model").startswith("Raspberry Pi")

    def edgetpu_usb(self) -> list[Path]:
        """The device nodes of Edge TPUs on USB."""
        return [
            self._usb_node(folder)
            for folder in sorted((self.root / "sys/bus/usb/devices").glob("*"))
            if (_text(folder / "idVendor"), _text(folder / "idProduct")) in EDGETPU_USB
        ]

    def edgetpu_pcie(self) -> list[Path]:
        """The device nodes of Edge TPUs on PCIe."""
        return sorted((self.root / "dev").glob("apex_*"))

    def holders(self, nodes: list[Path]) -> dict[Process, list[str]]:
        """Processes that have any of the device nodes open, with those nodes; as far as visible."""
        names = {f"/{node.relative_to(self.root)}" for node in nodes}
        found: dict[Process, list[str]] = {}
        for process, target in self._open_files():
            if target in names:
                found.setdefault(process, []).append(target)
        return found

    def listener(self, port: int) -> Process | None:
        """Who listens at a TCP port; None if nobody does, or it is hidden from this user."""
        sockets = {f"socket:[{inode}]" for inode in self._listening_inodes(port)}
        return next((p for p, target in self._open_files() if target in sockets), None)

    def is_listening(self, port: int) -> bool:
        """Whether anybody listens at a TCP port."""
        return next(self._listening_inodes(port), None) is not None

    def clock_is_synchronized(self) -> bool:
        """Whether a time server has set the clock since boot."""
        if (self.root / "run/systemd/timesync/synchronized").exists():
            return True
        # Other time services tell only the kernel, which timedatectl asks.
        return _answer("timedatectl", "show", "--property=NTPSynchronized", "--value") == "yes"

    def free_bytes(self, path: Path) -> int:
        """Free bytes on the disk of a path, or of the nearest folder above it that exists."""
        return shutil.disk_usage(nearest(path)).free

    def _usb_node(self, folder: Path) -> Path:
        bus, number = _text(folder / "busnum"), _text(folder / "devnum")
        return self.root / "dev/bus/usb" / bus.zfill(3) / number.zfill(3)

    def _listening_inodes(self, port: int) -> Iterator[str]:
        for name in ("tcp", "tcp6"):
            for line in _text(self.root / "proc/net" / name).splitlines()[1:]:
                words = line.split()
                if len(words) > 9 and words[3] == LISTENING and _port(words[1]) == port:
                    yield words[9]

    def _open_files(self) -> Iterator[tuple[Process, str]]:
        for folder in (self.root / "proc").glob("[0-9]*"):
            try:
                links = list((folder / "fd").iterdir())
            except OSError:
                # The process ended, or belongs to another user.
                continue
            process = Process(int(folder.name), _text(folder / "comm"), _command(folder))
            for link in links:
                # It may be closed by now, like the one used for listing.
                with suppress(OSError):
                    yield process, os.readlink(link)


def nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    # Unlike Path.exists, this is also false where access is denied.
    while not os.path.exists(path) and path != path.parent:
        path = path.parent
    return path


def _answer(*command: str) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def _command(folder: Path) -> str:
    return _text(folder / "cmdline").replace("\0", " ").strip()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
