"""An emulated board that boots a card's image: its console, a root shell, its plug.

Everything that a test asks for besides what is on the card (a shell on a serial line, the test
camera, the journal on the console) is said on the kernel's command line: the image stays as it is.
"""

import base64
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from device.image.disk import boot_start_bytes
from tests.support.ports import free_port

CARD_BYTES = 4 << 30
"""QEMU's SD cards have a power of two."""
PATIENCE_S = float(os.environ.get("FIELDGUIDE_PATIENCE_S", "900"))
"""Emulated, and maybe beside other work."""
DEVICE_TREE = "bcm2837-rpi-3-b.dtb"
CAMERA = "modules_load=vivid vivid.n_devs=1 vivid.node_types=0x1"
"""The kernel's test camera as /dev/video0: moving colour bars, 640x480 and more, YUYV first."""
SHOWN = (
    "systemd.journald.forward_to_console=1 systemd.journald.max_level_console=info "
    "systemd.getty_auto=no systemd.log_color=0 systemd.default_device_timeout_sec=900 "
    "systemd.default_timeout_start_sec=900"
)
MACHINES = {
    "virt": ("-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024"),
    "raspi3b": ("-M", "raspi3b"),
}
CONSOLE = {"virt": "ttyAMA0", "raspi3b": "ttyS1,115200"}
SHELL = {"virt": "hvc0", "raspi3b": "ttyS1"}
SERVER = "10.0.2.100"
"""Where a board of the virt machine finds a folder of this machine; it reaches nothing else."""
FILE_SERVER = Path(__file__).with_name("file_server.py")
PORTS = {"page": 8080, "metrics": 9464, "ssh": 22}


def insert(image: Path, folder: Path) -> Path:
    """A card with the image on it; holes stay holes."""
    card = folder / "card.img"
    subprocess.run(["cp", "--sparse=always", image, card], check=True)
    os.truncate(card, CARD_BYTES)
    return card


class Board:
    """One machine with one card."""

    def __init__(
        self,
        card: Path,
        folder: Path,
        machine: str,
        extra: Path | None = None,
        *,
        has_data: bool = True,
        served: Path | None = None,
    ) -> None:
        """Put the card in.

        Args:
            folder: for logs and sockets.
            extra: a second disk, of the virt machine only.
            has_data: whether the card has a partition for data.
            served: a folder that the virt machine finds at http://SERVER.
        """
        program = shutil.which("qemu-system-aarch64")
        if program is None:
            pytest.skip("no emulator: apt-get install qemu-system-arm")
        self.card, self.machine, self._folder, self._extra = card, machine, folder, extra
        self.has_data, self._served = has_data, served
        self._program = program
        self.ports = {name: free_port() for name in PORTS}
        self._asked = 0
        self._process: subprocess.Popen[bytes] | None = None

    # --- the plug -----------------------------------------------------------------------------

    def power_on(self, root: str = "") -> None:
        """Boot; `root` instead of the root file system that the card's command line names."""
        # A test that failed may have left it running.
        self.cut_power()
        for name in ("vmlinuz", "initrd.img", "cmdline.txt"):
            self._take_from_card(name)
        if self.machine == "raspi3b":
            self._take_from_card(DEVICE_TREE)
        for log in (self._log("console"), self._log("shell")):
            log.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [
                self._program,
                *MACHINES[self.machine],
                *self._hardware(),
                "-append",
                self._line(root),
            ],
            stdin=subprocess.DEVNULL,
            stderr=(self._folder / "qemu.log").open("wb"),
        )
        self._connect()

    def cut_power(self) -> None:
        """From one instant to the next; what the machine had not written is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def power_off(self) -> str:
        """Shut down as `poweroff` does; returns the console's text to its end."""
        self.send("systemctl poweroff")
        if self.machine == "raspi3b":
            # It has nothing to switch itself off with.
            self.wait_for(r"reboot: (Power down|System halted)")
        else:
            assert self._process is not None
            self._process.wait(PATIENCE_S)
        text = self.console
        self.cut_power()
        return text

    # --- console and shell --------------------------------------------------------------------

    @property
    def console(self) -> str:
        """What has come over the serial line."""
        path = self._log("console")
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def wait_for(self, pattern: str, patience_s: float = PATIENCE_S) -> "re.Match[str]":
        """The first match on the console."""
        return self._wait_for(pattern, "console", patience_s)

    def wait_for_line(self, line: str, pattern: str) -> None:
        """Until a line that is not the console says something."""
        self._wait_for(pattern, line, PATIENCE_S)

    def run(self, command: str, patience_s: float = PATIENCE_S) -> str:
        """What a command printed, as root; it has to succeed."""
        self._asked += 1
        mark = f"@{self._asked}"
        self.send(
            f"o=$( ( {command} ) 2>&1 ); s=$?; "
            f"printf '\\n{mark} %s %s@\\n' $s $(printf %s \"$o\" | base64 -w0)"
        )
        found = self._wait_for(
            rf"{mark} (\d+) ?([A-Za-z0-9+/=]*)@", self._line_of_shell, patience_s
        )
        said = base64.b64decode(found[2]).decode(errors="replace")
        assert found[1] == "0", f"{command}: {said}"
        return said

    def send(self, line: str) -> None:
        """Type a line into the root shell."""
        self._link.sendall(line.encode() + b"\n")

    def wait_for_shell(self) -> None:
        """Until the root shell answers."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            with suppress(TimeoutError):
                self.run("true", patience_s=20)
                return
            assert time.monotonic() < end_s, f"no shell; the console:\n{self.console[-3000:]}"

    def _wait_for(self, pattern: str, line: str, patience_s: float) -> "re.Match[str]":
        end_s = time.monotonic() + patience_s
        while True:
            path = self._log(line)
            text = path.read_text(errors="replace").replace("\r", "") if path.exists() else ""
            found = re.search(pattern, text)
            if found:
                return found
            assert self._process is not None
            if self._process.poll() is not None:
                problem = (self._folder / "qemu.log").read_text()
                raise AssertionError(f"the machine ended: {problem}\n{text[-3000:]}")
            if time.monotonic() > end_s:
                raise TimeoutError(f"no {pattern!r} in:\n{text[-3000:]}")
            time.sleep(0.2)

    # --- the machine --------------------------------------------------------------------------

    @property
    def _line_of_shell(self) -> str:
        return "shell" if self.machine == "virt" else "console"

    def _log(self, line: str) -> Path:
        return self._folder / f"{line}.log"

    def _take_from_card(self, name: str) -> None:
        where = f"{self.card}@@{boot_start_bytes(self.card)}"
        subprocess.run(["mcopy", "-o", "-n", "-i", where, f"::{name}", self._folder], check=True)

    def _line(self, root: str) -> str:
        kept = (self._folder / "cmdline.txt").read_text().split()
        words = [word for word in kept if not word.startswith("console=")]
        if root:
            words = [f"root={root}" if word.startswith("root=") else word for word in words]
        shell = f"systemd.debug_shell={SHELL[self.machine]}"
        return " ".join([f"console={CONSOLE[self.machine]}", *words, CAMERA, SHOWN, shell])

    def _hardware(self) -> list[str]:
        lines = ["console", "shell"] if self.machine == "virt" else ["console"]
        options = ["-display", "none", "-monitor", "none", "-no-reboot"]
        options += ["-kernel", f"{self._folder}/vmlinuz", "-initrd", f"{self._folder}/initrd.img"]
        for name in lines:
            where = f"path={self._socket(name)},server=on,wait=off,logfile={self._log(name)}"
            options += ["-chardev", f"socket,id={name},{where}"]
        if self.machine == "raspi3b":
            options += ["-dtb", f"{self._folder}/{DEVICE_TREE}"]
            options += ["-drive", f"if=sd,format=raw,file={self.card}"]
            return [*options, "-serial", "null", "-serial", "chardev:console", "-nic", "none"]
        forwards = [
            f"hostfwd=tcp:127.0.0.1:{self.ports[name]}-:{port}" for name, port in PORTS.items()
        ]
        if self._served is not None:
            words = shlex.join([sys.executable, f"{FILE_SERVER}", f"{self._served}"])
            # The emulator's own way to write a comma.
            forwards.append(f"guestfwd=tcp:{SERVER}:80-cmd:{words.replace(',', ',,')}")
        options += ["-netdev", ",".join(["user,id=net,restrict=on", *forwards])]
        options += ["-device", "virtio-net-pci,netdev=net,romfile="]
        options += ["-drive", f"if=virtio,format=raw,file={self.card}"]
        if self._extra is not None:
            options += ["-drive", f"if=virtio,format=raw,readonly=on,file={self._extra}"]
        options += ["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=shell"]
        return [*options, "-serial", "chardev:console"]

    def _socket(self, line: str) -> Path:
        return self._folder / f"{line}.sock"

    def _connect(self) -> None:
        """Join the shell's line; what it says is in the log, here it is only taken off."""
        self._link = socket.socket(socket.AF_UNIX)
        end_s = time.monotonic() + 60
        while True:
            try:
                self._link.connect(os.fspath(self._socket(self._line_of_shell)))
                break
            except OSError:
                assert time.monotonic() < end_s, (self._folder / "qemu.log").read_text()
                time.sleep(0.1)
        threading.Thread(target=self._drain, args=(self._link,), daemon=True).start()

    @staticmethod
    def _drain(link: socket.socket) -> None:
        with suppress(OSError):
            while link.recv(65536):
                pass
