"""File systems and the disk image, written to plain files without root or loop devices."""

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from device.image import layout
from device.image.errors import ImageError
from device.image.layout import BOOT, DATA, PARTITIONS, ROOT_A, ROOT_B, Partition
from device.image.native import Native
from device.image.tools import EPOCH_S, run

UUIDS = {
    ROOT_A.name: "f1e1d6d1-0000-4000-8000-00000000000a",
    ROOT_B.name: "f1e1d6d1-0000-4000-8000-00000000000b",
    DATA.name: "f1e1d6d1-0000-4000-8000-00000000000d",
}
"""Fixed, so that the same files give the same bytes."""
BOOT_SERIAL = "f1e1d6d1"
FIRMWARE = ("usr/lib/raspi-firmware/", "usr/lib/linux-image-", "boot/")
DEBUGGING = ("_db.", "_x.", "4db.", "4x.")
"""Variants of the Pi's firmware that a camera does not need."""


def write_ext4(native: Native, tar: Path, partition: Partition, out: Path) -> None:
    """Write a partition's file system with the tar's content."""
    native.make_ext4(
        tar, out, label=partition.name, uuid=UUIDS[partition.name], size_mib=partition.size_mib
    )


def write_boot(kernel: Path, texts: Mapping[str, str], out: Path) -> None:
    """Write the boot partition: firmware and device trees, kernel and initrd, texts."""
    with TemporaryDirectory(dir=out.parent) as temporary, tarfile.open(kernel) as tar:
        files = Path(temporary)
        for member in tar:
            name = member.name.removeprefix("./")
            if member.isreg() and _boots(name):
                data = tar.extractfile(member)
                assert data is not None
                (files / Path(name).name).write_bytes(data.read())
        for name, text in texts.items():
            (files / name).write_text(text, encoding="utf-8")
        out.unlink(missing_ok=True)
        with out.open("wb") as stream:
            stream.truncate(BOOT.size_bytes)
        run("mformat", "-i", out, "-F", "-v", "bootfs", "-N", BOOT_SERIAL, "::")
        _copy_in(out, 0, files)


def _boots(name: str) -> bool:
    if not name.startswith(FIRMWARE) or any(kind in name for kind in DEBUGGING):
        return False
    return name.endswith((".bin", ".dat", ".elf", ".dtb", "/vmlinuz", "/initrd.img"))


def write_texts(image: Path, texts: Mapping[str, str]) -> None:
    """Put text files on the boot partition of a whole image, replacing existing ones."""
    with TemporaryDirectory() as temporary:
        for name, text in texts.items():
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        write_files(image, Path(temporary))


def write_files(image: Path, folder: Path) -> None:
    """Put a folder's files and folders on the boot partition of a whole image.

    Raises:
        ImageError: if the image has no boot partition, or it is full.
    """
    _copy_in(image, boot_start_bytes(image), folder)


def _copy_in(image: Path, offset: int, folder: Path) -> None:
    """Copy a folder's files and folders, sorted and with one date."""
    paths = sorted(folder.rglob("*"))
    for path in paths:
        run("touch", "-d", f"@{EPOCH_S}", path)
    run("mcopy", "-Qosm", "-i", f"{image}@@{offset}", *sorted(folder.iterdir()), "::")


def boot_start_bytes(image: Path) -> int:
    """Where an image's first partition starts.

    Raises:
        ImageError: if the file is not an image whose first partition is FAT.
    """
    with image.open("rb") as stream:
        sector = stream.read(512)
    entry = sector[446:462]
    if len(sector) < 512 or sector[510:] != b"\x55\xaa" or entry[4] not in (0x0B, 0x0C, 0x0E):
        raise ImageError(f"{image}: not an SD-card image with a FAT partition to boot from")
    return int.from_bytes(entry[8:12], "little") * 512


def assemble(parts: Mapping[str, Path], out: Path) -> None:
    """Write the disk: partition table and file systems by the names of their partitions."""
    with out.open("wb") as stream:
        stream.truncate(layout.SIZE_BYTES)
    run("sfdisk", "--quiet", out, text=layout.table())
    for partition in PARTITIONS:
        _place(parts[partition.name], partition, out)


def _place(part: Path, partition: Partition, out: Path) -> None:
    if part.stat().st_size > partition.size_bytes:
        raise ImageError(f"{part}: larger than partition {partition.name}")
    run("dd", f"if={part}", f"of={out}", "bs=4M", f"seek={partition.start_bytes}",
        "oflag=seek_bytes", "conv=notrunc,sparse")  # fmt: skip


def copy_with_uuid(root: Path, partition: Partition, out: Path) -> None:
    """Copy a system for another partition, with its own UUID and label."""
    shutil.copyfile(root, out)
    dated = {"E2FSPROGS_FAKE_TIME": str(EPOCH_S)}
    run("tune2fs", "-U", UUIDS[partition.name], "-L", partition.name, out, **dated)
