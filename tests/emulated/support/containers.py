"""Boards without hardware: Debian systems with their own root, systemd, sshd and network.

Each is a systemd-nspawn container that boots, in a network namespace of its own, on a bridge with
this machine. What they lack of a board is its processor, its kernel and its cameras.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.places import BUILD

PACKAGES = "systemd,systemd-sysv,dbus,openssh-server,python3,python3-venv,sudo"
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "ssh": "openssh-client",
}
BRIDGE = "fieldguide0"
LOCK = Path("/run/lock/fieldguide-boards")
SUBNET = "10.83.0"
GATEWAY = f"{SUBNET}.1"
BOOT_LIMIT_S = 120.0
USER = "pi"
IN_OWN_CGROUP = """
for above in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  if test -e $above/cgroup.procs; then mkdir -p $above/$0 && echo $$ > $above/$0/cgroup.procs; fi
done
exec setpriv --pdeathsig KILL "$@"
"""
"""Each container's systemd wants a subtree for itself; none outlives the tests."""


def needs() -> None:
    """Skip where boards cannot be had."""
    if os.environ.get("FIELDGUIDE_BOARDS") != "1":
        pytest.skip("boots several systems: run it by `make test-deploy`")
    if os.geteuid() != 0:
        pytest.skip("only root can boot systems in network namespaces")
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs Debian packages that are not here: {', '.join(missing)}")


def base(suite: str) -> Path:
    """A tar of a Debian system with systemd, sshd and Python; made once for each recipe."""
    options = ["--variant=minbase", f"--include={PACKAGES}", "--dpkgopt=force-unsafe-io"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    key = hashlib.sha256(repr((suite, options)).encode()).hexdigest()[:12]
    tar = BUILD / "boards" / f"{suite}-{key}.tar"
    if not tar.exists():
        tar.parent.mkdir(parents=True, exist_ok=True)
        part = tar.with_name(f"part-{tar.name}")
        with memory() as folder:
            said = run(["mmdebstrap", *options, suite, str(part)], {"TMPDIR": str(folder)})
        if said.returncode != 0:
            pytest.skip(f"no {suite} to be had: {said.stderr.strip().splitlines()[-1]}")
        part.rename(tar)
    return tar


def run(
    command: Sequence[str | Path], environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        list(map(str, command)),
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def must(*command: str | Path) -> str:
    done = run(command)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@contextmanager
def memory() -> Iterator[Path]:
    """A folder in memory: on a disk, systems are slow to unpack and to install into."""
    with TemporaryDirectory(prefix="fieldguide-") as name:
        must("mount", "-t", "tmpfs", "-o", "size=8G,mode=0755", "tmpfs", name)
        try:
            yield Path(name)
        finally:
            must("umount", "--lazy", name)


@contextmanager
def bridge() -> Iterator[None]:
    """A network that boards and this machine share; other tests wait, as it is the only one."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Of tests that were killed.
        run(["ip", "link", "del", BRIDGE])
        must("ip", "link", "add", BRIDGE, "type", "bridge")
        try:
            must("ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
            must("ip", "link", "set", BRIDGE, "up")
            yield
        finally:
            must("ip", "link", "del", BRIDGE)


class Board:
    """One system; `ssh` runs a command there, as root."""

    def __init__(self, number: int, suite: str, folder: Path, options: Sequence[str]) -> None:
        self.name = f"fieldguide-board{number}"
        self.address = f"{SUBNET}.{10 + number}"
        self.root = folder / self.name
        self.key = folder / "key"
        self.known_hosts = folder / "known_hosts"
        self._unpack(base(suite))
        self._connect()
        self._options = options
        self.power_on()

    def power_on(self) -> None:
        """Boot, and wait until it can be reached."""
        self._process = self._boot(self._options)
        self._wait()

    def cut_power(self) -> None:
        """Whatever it was doing."""
        self._process.kill()
        self._process.wait()
        # Its processes end with it, and a moment later.
        time.sleep(1)

    def ssh(self, command: str, *, fails: bool = False) -> str:
        """What a command prints; it must succeed, unless it is meant to fail."""
        done = self._ssh(f"sudo {command}")
        if (done.returncode != 0) != fails:
            raise AssertionError(f"{command}\n{done.stdout}\n{done.stderr}\n{self.journal()}")
        return done.stdout.strip()

    def journal(self) -> str:
        """The last words of all units, for a test that failed."""
        return self._ssh("sudo journalctl --no-pager --lines=100").stdout

    def put(self, file: Path, path: str) -> None:
        """Lay a file on it."""
        shutil.copyfile(file, self.root / path.lstrip("/"))

    def inventory(self) -> str:
        """Its line of an inventory."""
        options = f"-o UserKnownHostsFile={self.known_hosts}"
        return (
            f"{self.address} ansible_user={USER} ansible_ssh_private_key_file={self.key} "
            f"ansible_ssh_common_args='{options}'\n"
        )

    def power_off(self) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        run(["ip", "netns", "del", self.name])
        shutil.rmtree(self.root, ignore_errors=True)

    def _unpack(self, tar: Path) -> None:
        self.root.mkdir()
        must("tar", "-C", self.root, "-xf", tar)
        must("chroot", self.root, "useradd", "--create-home", "--shell", "/bin/bash", USER)
        (self.root / "etc/sudoers.d/pi").write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        (self.root / "etc/machine-id").write_text("")
        if not self.key.exists():
            must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        keys = self.root / "home" / USER / ".ssh/authorized_keys"
        keys.parent.mkdir()
        shutil.copy(self.key.with_suffix(".pub"), keys)

    def _connect(self) -> None:
        outside = f"fg-{self.address.rpartition('.')[2]}"
        run(["ip", "netns", "del", self.name])
        run(["ip", "link", "del", outside])
        must("ip", "netns", "add", self.name)
        peer = ("peer", "name", "host0", "netns", self.name)
        must("ip", "link", "add", outside, "type", "veth", *peer)
        must("ip", "link", "set", outside, "master", BRIDGE, "up")
        must("ip", "-n", self.name, "addr", "add", f"{self.address}/24", "dev", "host0")
        for device in ("host0", "lo"):
            must("ip", "-n", self.name, "link", "set", device, "up")

    def _boot(self, options: Sequence[str]) -> "subprocess.Popen[bytes]":
        command = ["systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--console=pipe"]
        command += [f"--directory={self.root}", f"--machine={self.name}", *options]
        command += [f"--network-namespace-path=/run/netns/{self.name}"]
        log = self.root.with_suffix(".log").open("wb")
        return subprocess.Popen(
            ["sh", "-c", IN_OWN_CGROUP, self.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _wait(self) -> None:
        deadline_s = time.monotonic() + BOOT_LIMIT_S
        while self._ssh("true").returncode != 0:
            log = self.root.with_suffix(".log").read_text(errors="replace")
            assert self._process.poll() is None and time.monotonic() < deadline_s, log
            time.sleep(0.5)

    def _ssh(self, command: str) -> "subprocess.CompletedProcess[str]":
        options = ["BatchMode=yes", "ConnectTimeout=5", "StrictHostKeyChecking=accept-new"]
        options += [f"UserKnownHostsFile={self.known_hosts}", "LogLevel=ERROR"]
        words = [word for option in options for word in ("-o", option)]
        return run(["ssh", "-i", self.key, *words, f"{USER}@{self.address}", command])
