"""Makes an SD-card image from a bundle; parts are cached by the hash of their inputs."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from device.files import SECRET, replacing
from device.image import archive, debian, disk, payload, system
from device.image.identity import Identity, seed
from device.image.layout import BOOT, DATA, ROOT_A, ROOT_B
from device.image.native import PYTHON, unpacked
from device.image.tools import cached, check, run

HERE = Path(__file__).parent
RECIPE = HERE / "recipe"
NARROWING = HERE.parent / "deploy" / "fetch_wheels.py"
PYTHON_FOLDERS = ("./usr/lib/python3", f"./usr/lib/python{PYTHON}")


@dataclass(frozen=True)
class ImageConfig:
    """The inputs and output folder of an image."""

    bundle: Path
    wheel: Path
    """Folder with the device package's wheel."""
    requirements: Path
    out: Path
    mirror: str
    security_mirror: str


@dataclass(frozen=True)
class Parts:
    """Tars that are made once and cached."""

    tools: Path
    """Native programs: see `device.image.native`."""
    base: Path
    """Debian without a kernel."""
    kernel: Path
    """Kernel, modules, initrd, firmware."""
    software: Path
    """What Fieldguide adds to a system."""
    state: Path
    """The content of the slots: the bundle."""


def make_parts(config: ImageConfig) -> Parts:
    """Make the missing parts; the first time takes minutes, mostly for the base system.

    Raises:
        ImageError: if a tool, a package or a wheel is not available.
    """
    check()
    tools = _by_recipe(config, "tools")
    base = _by_recipe(config, "base", RECIPE / "packages.txt")
    kernel = _by_recipe(config, "kernel", RECIPE / "initrd.sh", RECIPE / "init")
    wheels = cached(
        config.out, "wheels.tar", [config.requirements, HERE / "payload.py", NARROWING],
        lambda out: _fetch(config, out),
    )  # fmt: skip
    ours = sorted(config.wheel.glob("*.whl"))
    sources = [HERE / "payload.py", *payload.INSTALLED.values()]
    software = cached(
        config.out,
        "software.tar",
        [tools.name.encode(), wheels.name.encode(), *ours, *sources],
        lambda out: _software(config, tools, wheels, out),
    )
    state = cached(
        config.out, "state.tar", [config.bundle, HERE / "payload.py"],
        lambda out: payload.write_state(config.bundle, out),
    )  # fmt: skip
    return Parts(tools, base, kernel, software, state)


def make_image(folder: Path, parts: Parts, identity: Identity) -> Path:
    """Write `fieldguide.img`, which boots a board and classifies.

    Raises:
        ImageError: if it cannot be made.
    """
    root_a = cached(
        folder, "root-a.ext4",
        [*(part.name.encode() for part in (parts.base, parts.kernel, parts.software)), *_sources()],
        lambda out: _root(parts, out),
    )  # fmt: skip
    data = cached(
        folder, "data.ext4", [parts.state.name.encode(), *_sources()],
        lambda out: _data(parts, out),
    )  # fmt: skip
    image = folder / "fieldguide.img"
    with TemporaryDirectory(dir=folder) as temporary, replacing(image, mode=SECRET) as part:
        root_b, boot = Path(temporary) / "root-b.ext4", Path(temporary) / "boot.fat"
        disk.copy_with_uuid(root_a, ROOT_B, root_b)
        disk.write_boot(parts.kernel, system.boot_files() | seed(identity), boot)
        names = {BOOT.name: boot, ROOT_A.name: root_a, ROOT_B.name: root_b, DATA.name: data}
        disk.assemble(names, part)
    return image


def _sources() -> list[Path]:
    return [
        HERE / name for name in ("system.py", "debian.py", "disk.py", "layout.py", "archive.py")
    ]


def _by_recipe(config: ImageConfig, name: str, *inputs: Path) -> Path:
    script, mirrors = RECIPE / f"{name}.sh", (config.mirror, config.security_mirror)

    def make(out: Path) -> None:
        print(f"# fetching the parts of {name}.tar", file=sys.stderr)
        run("sh", script, out, *mirrors)

    return cached(config.out, f"{name}.tar", [script, *inputs, *map(str.encode, mirrors)], make)


def _fetch(config: ImageConfig, out: Path) -> None:
    with TemporaryDirectory(dir=config.out) as temporary:
        payload.download(config.requirements, Path(temporary))
        archive.write(out, archive.of_tree(Path(temporary)))


def _software(config: ImageConfig, tools: Path, wheels: Path, out: Path) -> None:
    with unpacked(tools) as native, TemporaryDirectory(dir=config.out) as temporary:
        folder = Path(temporary)
        run("tar", "-xf", wheels, "-C", folder)
        for wheel in config.wheel.glob("*.whl"):
            shutil.copy(wheel, folder)
        payload.write_software(native, folder, config.requirements, out)


def _root(parts: Parts, out: Path) -> None:
    with unpacked(parts.tools) as native, TemporaryDirectory(dir=out.parent) as temporary:
        tar, stage = Path(temporary) / "root.tar", Path(temporary) / "stage"
        stage.mkdir()
        run("tar", "-xf", parts.base, "-C", stage, *PYTHON_FOLDERS)
        native.compile_python(stage, stage)
        ours = system.entries(parts.software, parts.kernel)
        added = chain(ours, debian.entries(parts.base), _byte_code(stage))
        archive.overlay(parts.base, tar, added, debian.LEFT_OUT)
        disk.write_ext4(native, tar, ROOT_A, out)


def _byte_code(stage: Path) -> Iterator[archive.Entry]:
    return (entry for entry in archive.of_tree(stage) if "__pycache__" in entry[0].name)


def _data(parts: Parts, out: Path) -> None:
    with unpacked(parts.tools) as native:
        disk.write_ext4(native, parts.state, DATA, out)
