"""What Fieldguide adds to a system, as two tars.

One holds the software (venv, service, settings), the other the content of the slots: a bundle.

Both are made on the workstation from the wheels that pip has for the board, without running any of
the board's code, and are the same for this project's image and for a stock Raspberry Pi OS. They
include byte code: the service's user may not write it, so each start would compile again.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from device import child
from device.contract.bundle import from_files, read_files
from device.deploy.fetch_wheels import Board, narrowed
from device.image import archive
from device.image.native import PYTHON, Native
from device.image.tools import run
from device.update import slots

DEPLOY = Path(__file__).parent.parent / "deploy"
SETTINGS = Path(__file__).parent.parent / "fieldguide.example.toml"
BOARD = Board(python=f"{PYTHON}.5", machine="aarch64", glibc="2.41")
"""Debian 13 on a Raspberry Pi."""
UNIT = "etc/systemd/system/fieldguide.service"
SOFTWARE = "opt/fieldguide"
RELEASE = "releases/image"
VENV = f"{SOFTWARE}/{RELEASE}/venv"
"""As `make deploy` lays releases out, so that the board can go back from one that it fetches."""
STATE = "var/lib/fieldguide"

COMMAND = f"""#!/{VENV}/bin/python3
import sys

from device.__main__ import main

sys.exit(main())
"""
UNUSED = ("bin", "securesystemslib/_vendor/ed25519/test_data")
"""Commands of libraries, made for the workstation's Python; 2.4 MB of another project's tests."""
VENV_SETTINGS = f"""home = /usr/bin
include-system-site-packages = true
version = {PYTHON}
executable = /usr/bin/python{PYTHON}
"""

BOOT_UNIT = "fieldguide-software-boot.service"
STICK_UNIT = "media-fieldguide.mount"
UPDATE_UNITS = (
    *(
        f"fieldguide-{part}.{kind}"
        for part in ("update", "install", "software")
        for kind in ("service", "timer", "path")
    ),
    BOOT_UNIT,
    STICK_UNIT,
)
"""What fetches and installs signed releases; without root metadata they do nothing."""
ENABLED = {
    "fieldguide.service": "multi-user.target",
    BOOT_UNIT: "multi-user.target",
    STICK_UNIT: r"dev-disk-by\x2dlabel-FIELDGUIDE.device",
    **{name: "timers.target" for name in UPDATE_UNITS if name.endswith(".timer")},
    **{name: "paths.target" for name in UPDATE_UNITS if name.endswith(".path")},
}
"""Units that are started at boot, or when a stick is plugged in, and by what."""
GUARDED = {"etc/fieldguide": 0o750, "etc/fieldguide/fieldguide.toml": 0o640}
"""Settings hold passwords. Only root may read them until the first boot gives access to the
service's group (tmpfiles.conf), whose number is not known here."""
INSTALLED = {
    UNIT: DEPLOY / "fieldguide.service",
    **{f"etc/systemd/system/{name}": DEPLOY / name for name in UPDATE_UNITS},
    "etc/sysusers.d/fieldguide.conf": DEPLOY / "sysusers.conf",
    "etc/tmpfiles.d/fieldguide.conf": DEPLOY / "tmpfiles.conf",
    "etc/fieldguide/fieldguide.toml": SETTINGS,
}


def download(requirements: Path, folder: Path) -> None:
    """Download the board's wheels and check their hashes; skips those in `folder` already.

    Raises:
        ImageError: if pip cannot get one.
    """
    with _for_the_board(requirements) as lock:
        run(
            *child.command("-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--require-hashes", "--requirement", lock, "--dest", folder),
            *_target(BOARD.platforms()),
        )


def write_software(native: Native, wheels: Path, requirements: Path, out: Path) -> None:
    """Write the tar of everything but the bundle; `wheels` also holds the package's own wheel.

    Raises:
        ImageError: if a wheel is missing or does not unpack.
    """
    with TemporaryDirectory(dir=out.parent) as temporary:
        stage = Path(temporary) / "stage"
        _install(wheels, requirements, stage)
        native.compile_python(stage / VENV, stage)
        _configure(stage)
        archive.write(out, map(_guarded, archive.of_tree(stage)))


def write_state(bundle: Path, out: Path) -> None:
    """Write the tar of what is below `STATE`: the bundle in slot a, current and confirmed.

    Raises:
        BundleError: if the bundle is not what its manifest says.
    """
    files = read_files(bundle)
    # Also checks labels and preprocessing before they go onto a card.
    from_files(files)
    below = {f"{slots.SLOTS}/a/{name}": data for name, data in files.items()}
    links = [archive.link(name, f"{slots.SLOTS}/a") for name in (slots.CURRENT, slots.CONFIRMED)]
    archive.write(out, [*archive.of_files(below), *links])


def _install(wheels: Path, requirements: Path, stage: Path) -> None:
    """A venv as `python3 -m venv --system-site-packages` would make it, with everything in it."""
    packages = stage / VENV / f"lib/python{PYTHON}/site-packages"
    packages.mkdir(parents=True)
    platforms = sorted({_platform(wheel) for wheel in wheels.glob("*.whl")} - {"any"})
    pip = child.command("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    where: tuple[str | Path, ...] = (
        "--target",
        packages,
        "--no-compile",
        "--no-index",
        # pip would check its own Python; the lock is already narrowed to the board's.
        "--ignore-requires-python",
        *_target(platforms),
    )
    with _for_the_board(requirements) as lock:
        run(*pip, *where, "--find-links", wheels, "--require-hashes", "--requirement", lock)
    # By name, not by file: pip would record the file's path.
    run(*pip, *where, "--find-links", wheels, "fieldguide-device")
    for name in UNUSED:
        shutil.rmtree(packages / name, ignore_errors=True)
    binaries = stage / VENV / "bin"
    binaries.mkdir()
    (binaries / "python3").symlink_to("/usr/bin/python3")
    (binaries / "python").symlink_to("python3")
    (binaries / "fieldguide").write_text(COMMAND)
    (binaries / "fieldguide").chmod(0o755)
    (stage / VENV / "pyvenv.cfg").write_text(VENV_SETTINGS)
    for link in ("venv", "confirmed"):
        (stage / SOFTWARE / link).symlink_to(f"{RELEASE}/venv")
    (stage / SOFTWARE / RELEASE / "fieldguide.service").write_bytes(
        (DEPLOY / "fieldguide.service").read_bytes()
    )
    (stage / SOFTWARE / RELEASE / "ready").touch()


@contextmanager
def _for_the_board(requirements: Path) -> Iterator[Path]:
    """The lock for the board's Python: pip would evaluate markers for its own."""
    with TemporaryDirectory() as temporary:
        lock = Path(temporary) / "requirements.txt"
        lock.write_text(narrowed(requirements.read_text(), BOARD))
        yield lock


def _target(platforms: list[str]) -> list[str]:
    named = [word for name in platforms for word in ("--platform", name)]
    abis = [word for abi in ("cp313", "abi3", "none") for word in ("--abi", abi)]
    return [
        *("--no-deps", "--only-binary=:all:", "--implementation", "cp"),
        *("--python-version", PYTHON, *abis, *named),
    ]


def _platform(wheel: Path) -> str:
    return wheel.stem.rsplit("-", 1)[-1].split(".")[0]


def _guarded(entry: archive.Entry) -> archive.Entry:
    info, data = entry
    info.mode = GUARDED.get(info.name, info.mode)
    return info, data


def _configure(stage: Path) -> None:
    for target, source in INSTALLED.items():
        path = stage / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    for name, target in ENABLED.items():
        enabled = stage / f"etc/systemd/system/{target}.wants/{name}"
        enabled.parent.mkdir(parents=True, exist_ok=True)
        enabled.symlink_to(f"/etc/systemd/system/{name}")
