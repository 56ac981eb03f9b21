"""Emulated Raspberry Pis: Debian's packages and the wheels of our locks under qemu-user.

It needs apt-get, dpkg and a C compiler, no root and no installed QEMU. What is fetched lies below a
folder whose name is a digest of everything it is made from, so it is fetched once.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from device.deploy import fetch_wheels
from device.image.errors import ImageError
from device.image.tools import archive_of_apt
from tests.support.places import BUILD, ROOT

CACHE = BUILD / "arm" / "cache"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PYTHON_PACKAGES = ("python3", "libstdc++6", "libgomp1")
PLATFORMS = (
    "manylinux2014",
    "manylinux_2_17",
    "manylinux_2_27",
    "manylinux_2_28",
    "manylinux_2_34",
)
LIMIT_S = 1800


@dataclass(frozen=True)
class Board:
    """What a runtime sees of a Raspberry Pi; it chooses its kernels by the processor."""

    model: str
    cpu: str
    """As QEMU calls it."""
    part: str
    """The processor's part number, with variant and revision as /proc/cpuinfo has them."""
    variant: str
    revision: int
    features: str


_ARMV8 = "fp asimd evtstrm crc32 cpuid"
_ARMV82 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
BOARDS = {
    "pi3": Board("Raspberry Pi 3 Model B Plus Rev 1.3", "cortex-a53", "0xd03", "0x0", 4, _ARMV8),
    "pi4": Board("Raspberry Pi 4 Model B Rev 1.4", "cortex-a72", "0xd08", "0x0", 3, _ARMV8),
    "pi5": Board("Raspberry Pi 5 Model B Rev 1.0", "cortex-a76", "0xd0b", "0x4", 1, _ARMV82),
}


@dataclass(frozen=True)
class System:
    """A release of Debian with its Python, and the lock whose wheels are there."""

    release: str
    python: str
    lock: str


class EmulationError(Exception):
    """Packages, wheels or the counter could not be made: the message says which."""


def run(*command: str | Path, **environment: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        [*map(str, command)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode != 0:
        raise EmulationError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def cached(name: str, inputs: object, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills from these inputs, made at most once; a kill leaves none."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    folder = CACHE / f"{name}-{digest}"
    fresh = folder.with_name(f".{folder.name}.new")
    if not folder.exists():
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        make(fresh)
        fresh.rename(folder)
    return folder


# --- Debian's packages ------------------------------------------------------------------------

_APT = """\
APT::Architecture "{architecture}"; APT::Architectures {{"{architecture}";}};
APT::Install-Recommends "false"; APT::Sandbox::User ""; Debug::NoLocking "true";
Dir "{folder}"; Dir::State "{folder}/state"; Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache"; Dir::Etc "{folder}/etc"; Dir::Etc::trustedparts "{folder}/etc";
"""


def mirror() -> str:
    """The Debian archive that this machine's apt uses, or `DEBIAN_MIRROR`."""
    if named := os.environ.get("DEBIAN_MIRROR"):
        return named
    try:
        return archive_of_apt("debian")
    except ImageError as error:
        raise EmulationError(str(error)) from error


def debian(release: str, architecture: str, packages: Sequence[str]) -> Path:
    """A folder with the packages and all that they need, unpacked; nothing is configured or run."""
    return cached(
        f"{release}-{architecture}",
        [_APT, release, architecture, packages],
        lambda folder: _unpack(folder, release, architecture, packages),
    )


def _unpack(folder: Path, release: str, architecture: str, packages: Sequence[str]) -> None:
    apt = folder / ".apt"
    for name in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "etc" / "sources.list").write_text(
        f"deb [signed-by={KEYRING}] {mirror()} {release} main\n"
    )
    configuration = apt / "apt.conf"
    configuration.write_text(_APT.format(architecture=architecture, folder=apt))
    run("apt-get", "update", "-qq", APT_CONFIG=str(configuration))
    options = ("install", "--download-only", "-qq", "-y")
    run("apt-get", *options, *packages, APT_CONFIG=str(configuration))
    for package in sorted((apt / "cache" / "archives").glob("*.deb")):
        run("dpkg-deb", "-x", package, folder)
    shutil.rmtree(apt)
    # Newer releases have no /lib of their own; that link is made when a system is set up.
    for name in ("lib", "lib64", "bin"):
        if (folder / "usr" / name).is_dir() and not (folder / name).exists():
            (folder / name).symlink_to(f"usr/{name}")


# --- wheels -----------------------------------------------------------------------------------


@cache
def wheels(lock: str, python: str) -> Path:
    """A folder with the wheels of a lock for aarch64, unpacked."""
    # The markers of a lock ask for a full version; none of ours tells one patch from another.
    board = fetch_wheels.Board(f"{python}.0", "aarch64", "2.36")
    text = fetch_wheels.narrowed((ROOT / lock).read_text("utf-8"), board)
    return cached(f"wheels-{python}", [text, PLATFORMS], lambda f: _fetch(f, text, python))


def _fetch(folder: Path, lock: str, python: str) -> None:
    (folder / ".lock").write_text(lock)
    target = [f"--platform={name}_aarch64" for name in PLATFORMS]
    target += [f"--abi={abi}" for abi in (f"cp{python.replace('.', '')}", "abi3", "none")]
    target += ["--implementation=cp", f"--python-version={python}", "--only-binary=:all:"]
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    options = ("--require-hashes", "--no-deps", "--dest", folder / ".wheels")
    run(*pip, *options, *target, "-r", folder / ".lock")
    for wheel in (folder / ".wheels").glob("*.whl"):
        unpack_wheel(wheel, folder)
    shutil.rmtree(folder / ".wheels")


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Put a wheel's files where Python finds them."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


# --- machines ---------------------------------------------------------------------------------


@cache
def qemu() -> tuple[str, ...]:
    """The command of QEMU 7.2, the release that `instructions.c` is written for."""
    architecture = run("dpkg", "--print-architecture").strip()
    folder = debian("bookworm", architecture, ("qemu-user",))
    loader = next(folder.glob("lib*/ld-linux-*.so.*"))
    libraries = ":".join(str(path) for path in folder.glob("**/lib/*-linux-gnu"))
    return (str(loader), "--library-path", libraries, str(folder / "usr/bin/qemu-aarch64"))


@cache
def counting_plugin() -> Path:
    """The plugin that counts instructions, compiled."""
    source = Path(__file__).with_name("instructions.c")

    def compile_it(folder: Path) -> None:
        options = ("-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
        run("cc", *options, "-o", folder / "instructions.so", source)

    return cached("plugin", source.read_text(), compile_it) / "instructions.so"


@dataclass(frozen=True)
class Machine:
    """One board with one system; `python` runs programs on it."""

    board: Board
    folder: Path
    """Its root: the system's files, and what only this board's kernel would show."""
    interpreter: Path
    wheels: Path

    def python(
        self, *arguments: str | Path, our_wheel: Path, given: str = "", counter: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the board's Python with the device's wheel unpacked in a folder."""
        places = (our_wheel, self.wheels)
        plugin = ("-plugin", f"{counting_plugin()},count={counter}") if counter else ()
        command = (*qemu(), *plugin, "-cpu", self.board.cpu, "-L", self.folder, self.interpreter)
        return subprocess.run(
            [*map(str, command), *map(str, arguments)],
            cwd=self.folder,
            env={"PYTHONPATH": ":".join(map(str, places)), "PYTHONUTF8": "1"},
            input=given,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )


def machine(board: Board, system: System, folder: Path) -> Machine:
    """A board's root in a new folder: links to the system's files, and its own /proc."""
    root = debian(system.release, "arm64", PYTHON_PACKAGES)
    folder.mkdir(parents=True)
    for path in root.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "proc" / "device-tree").mkdir(parents=True)
    (folder / "proc" / "cpuinfo").write_text(_cpuinfo(board))
    (folder / "proc" / "device-tree" / "model").write_text(f"{board.model}\0")
    interpreter = folder / "usr" / "bin" / f"python{system.python}"
    return Machine(board, folder, interpreter, wheels(system.lock, system.python))


def _cpuinfo(board: Board) -> str:
    cores = "".join(
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {board.features}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: {board.variant}\n"
        f"CPU part\t: {board.part}\nCPU revision\t: {board.revision}\n\n"
        for number in range(4)
    )
    return f"{cores}Model\t\t: {board.model}\n"
