"""A stock image as somebody else makes one: Debian that knows nothing of Fieldguide.

It stands in for Raspberry Pi OS where `make image BASE=` is tested: a FAT partition in front that
cloud-init reads, and Python 3.13. Made of the parts that `make image` keeps.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from device.image import archive, debian, disk, system
from device.image.identity import Identity, seed
from device.image.layout import BOOT, DATA, MIB, ROOT_A, ROOT_B
from device.image.native import unpacked


def make(parts: Path, out: Path) -> None:
    """Write the image; `parts` is the folder of `make image`."""
    tools, base, kernel = (_kept(parts, name) for name in ("tools", "base", "kernel"))
    with TemporaryDirectory(dir=out.parent) as temporary, unpacked(tools) as native:
        folder = Path(temporary)
        tar, root, boot, empty = (folder / name for name in ("root.tar", "root", "boot", "empty"))
        archive.overlay(base, tar, _entries(base, kernel), debian.LEFT_OUT)
        disk.write_ext4(native, tar, ROOT_A, root)
        disk.write_boot(kernel, system.boot_files() | seed(Identity()), boot)
        empty.write_bytes(bytes(MIB))
        names = {BOOT.name: boot, ROOT_A.name: root, ROOT_B.name: empty, DATA.name: empty}
        disk.assemble(names, out)


def _kept(parts: Path, name: str) -> Path:
    (path,) = parts.glob(f"{name}-*.tar")
    return path


def _entries(base: Path, kernel: Path) -> Iterator[archive.Entry]:
    """A system as `device.image.system` makes it, but for all that is ours."""
    theirs = ("etc/hosts", "etc/cloud/", "etc/systemd/system/cloud-init")
    files = {name: text for name, text in system.root_files().items() if name.startswith(theirs)}
    files["etc/hostname"] = "raspberrypi\n"
    # Raspberry Pi OS has an ssh server that does not run.
    files["etc/systemd/system-preset/00-stock.preset"] = "disable ssh.service\ndisable ssh.socket\n"
    files["etc/fstab"] = f"PARTUUID={BOOT.partuuid} /{system.BOOT_FOLDER} vfat umask=0077 0 2\n"
    yield from archive.of_files(files)
    yield archive.folder(system.BOOT_FOLDER)
    yield from archive.members(kernel, "usr/lib/modules")
    yield from debian.entries(base)
