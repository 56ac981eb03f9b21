"""Promises of the image's parts: a table that boots, and the same bytes from the same files."""

import lzma
import os
import shutil
import subprocess
import tarfile
import time
from itertools import pairwise
from pathlib import Path

import pytest

from device.image import archive, customise, debian, disk, layout, payload, system
from device.image.build import Parts
from device.image.errors import ImageError
from device.image.identity import Identity, seed
from device.image.layout import BOOT, DATA, MIB, PARTITIONS, ROOT_A, ROOT_B
from device.image.native import unpacked
from device.image.tools import PACKAGES, cached, find
from device.update import slots
from tests.support.places import BUILD


def need(*tools: str) -> None:
    missing = [tool for tool in tools if find(tool) is None]
    if missing:
        packages = sorted({PACKAGES[tool] for tool in missing})
        pytest.skip(f"not installed: apt install {' '.join(packages)}")


def test_partitions_follow_one_another_without_overlap() -> None:
    for before, after in pairwise(PARTITIONS):
        assert before.start_mib + before.size_mib == after.start_mib
    assert BOOT.start_mib >= 1 and PARTITIONS[-1] is DATA
    assert [partition.number for partition in PARTITIONS] == [1, 2, 3, 4]


def test_both_systems_are_the_same_size() -> None:
    """What fits one must fit the other."""
    assert ROOT_A.size_mib == ROOT_B.size_mib


def test_the_kernel_finds_each_system_by_the_table() -> None:
    assert f"root=PARTUUID={ROOT_A.partuuid} " in system.boot_files()["cmdline.txt"]
    assert f"root=PARTUUID={ROOT_B.partuuid} " in system.boot_files()["cmdline-b.txt"]
    # The firmware reads the one that this names; a person changes it to start the twin.
    assert "\ncmdline=cmdline.txt\n" in system.boot_files()["config.txt"]
    assert ROOT_A.partuuid == f"{layout.DISK_ID:08x}-02"


def test_the_table_is_written_as_planned(tmp_path: Path) -> None:
    need("sfdisk")
    image = whole(tmp_path)
    with image.open("rb") as stream:
        sector = stream.read(512)
    for index, partition in enumerate(PARTITIONS):
        entry = sector[446 + 16 * index : 462 + 16 * index]
        assert int.from_bytes(entry[8:12], "little") * 512 == partition.start_bytes
        assert int.from_bytes(entry[12:16], "little") * 512 == partition.size_bytes
        assert f"{entry[4]:x}" == partition.kind
    assert int.from_bytes(sector[440:444], "little") == layout.DISK_ID
    assert disk.boot_start_bytes(image) == BOOT.start_bytes


def whole(folder: Path) -> Path:
    """A disk whose partitions hold their names."""
    parts = {}
    for partition in PARTITIONS:
        parts[partition.name] = folder / partition.name
        parts[partition.name].write_bytes(partition.name.encode() * 1000)
    disk.assemble(parts, folder / "disk.img")
    return folder / "disk.img"


def test_each_partition_holds_its_own(tmp_path: Path) -> None:
    need("sfdisk")
    image = whole(tmp_path)
    assert image.stat().st_size == layout.SIZE_BYTES
    with image.open("rb") as stream:
        for partition in PARTITIONS:
            stream.seek(partition.start_bytes)
            assert stream.read(len(partition.name)) == partition.name.encode()


def test_a_part_that_is_too_large_is_refused(tmp_path: Path) -> None:
    need("sfdisk")
    huge = tmp_path / "huge"
    with huge.open("wb") as stream:
        stream.truncate(BOOT.size_bytes + 1)
    parts = dict.fromkeys((partition.name for partition in PARTITIONS), huge)
    with pytest.raises(ImageError, match="larger than partition boot"):
        disk.assemble(parts, tmp_path / "disk.img")


# --- the boot partition --------------------------------------------------------------------------


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A tar as recipe/kernel.sh makes it, with little in it."""
    path = tmp_path / "kernel.tar"
    archive.write(
        path,
        archive.of_files(
            {
                "boot/vmlinuz": "the kernel",
                "boot/initrd.img": "the initrd",
                "usr/lib/linux-image-6/broadcom/bcm2837-rpi-3-b.dtb": "a board",
                "usr/lib/raspi-firmware/start4.elf": "firmware",
                "usr/lib/raspi-firmware/start4db.elf": "firmware for its makers",
                "usr/lib/modules/6/kernel/fs/ext4.ko.xz": "a module",
            }
        ),
    )
    return path


def boot_partition(kernel: Path, out: Path) -> Path:
    need("mformat", "mcopy")
    disk.write_boot(kernel, system.boot_files() | seed(Identity()), out)
    return out


def read(fat: Path, name: str, offset: int = 0) -> bytes:
    return subprocess.run(
        ["mtype", "-i", f"{fat}@@{offset}", f"::{name}"], check=True, capture_output=True
    ).stdout


def test_the_boot_partition_has_what_firmware_kernel_and_cloud_init_read(
    kernel: Path, tmp_path: Path
) -> None:
    fat = boot_partition(kernel, tmp_path / "boot.fat")
    listed = subprocess.run(["mdir", "-b", "-i", fat, "::"], check=True, capture_output=True)
    names = {line.removeprefix("::/") for line in listed.stdout.decode().split()}
    assert names == {
        *("vmlinuz", "initrd.img", "bcm2837-rpi-3-b.dtb", "start4.elf"),
        *("config.txt", "cmdline.txt", "cmdline-b.txt"),
        *("user-data", "meta-data", "network-config"),
    }
    assert read(fat, "vmlinuz") == b"the kernel"


def test_the_boot_partition_is_the_same_bytes_each_time(kernel: Path, tmp_path: Path) -> None:
    first = boot_partition(kernel, tmp_path / "first.fat")
    os.utime(kernel, (0, 0))
    assert boot_partition(kernel, tmp_path / "second.fat").read_bytes() == first.read_bytes()


def test_a_made_image_takes_other_settings(kernel: Path, tmp_path: Path) -> None:
    need("sfdisk")
    parts = dict.fromkeys((partition.name for partition in PARTITIONS), kernel)
    parts[BOOT.name] = boot_partition(kernel, tmp_path / "boot.fat")
    image = tmp_path / "disk.img"
    disk.assemble(parts, image)
    disk.write_texts(image, seed(Identity(hostname="hedge")))
    assert b'"hostname": "hedge"' in read(image, "user-data", BOOT.start_bytes)
    assert read(image, "vmlinuz", BOOT.start_bytes) == b"the kernel"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", bytes(4096), b"\0" * 510 + b"\x55\xaa"])
def test_a_file_that_is_no_image_is_told(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "raspios.img"
    path.write_bytes(data)
    with pytest.raises(ImageError, match="not an SD-card image"):
        disk.boot_start_bytes(path)


# --- tars ----------------------------------------------------------------------------------------


def test_a_tree_is_the_same_tar_whoever_made_it_when(tmp_path: Path) -> None:
    for name, mask, order in (("one", 0o022, ("b", "a")), ("two", 0o077, ("a", "b"))):
        before = os.umask(mask)
        try:
            for file in order:
                folder = tmp_path / name / file
                folder.mkdir(parents=True)
                (folder / "file").write_text(file)
                os.utime(folder / "file", (len(name) * mask, 0))
            (tmp_path / name / "run").write_text("#!/bin/sh\n")
            (tmp_path / name / "run").chmod(0o700)
        finally:
            os.umask(before)
        archive.write(tmp_path / f"{name}.tar", archive.of_tree(tmp_path / name))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        modes = {member.name: member.mode for member in tar}
        assert modes == {"a": 0o755, "a/file": 0o644, "b": 0o755, "b/file": 0o644, "run": 0o755}
        assert {(member.uid, member.gid) for member in tar} == {(0, 0)}


def test_our_files_replace_the_base_systems_and_the_rest_stays(tmp_path: Path) -> None:
    base, out = tmp_path / "base.tar", tmp_path / "out.tar"
    archive.write(base, archive.of_files({"etc/fstab": "theirs", "etc/passwd": "root"}))
    above = [*archive.of_files({"etc/fstab": "ours", "opt/new": "ours"})]
    archive.overlay(base, out, above)
    with tarfile.open(out) as tar:
        names = tar.getnames()
        assert sorted(names) == ["etc", "etc/fstab", "etc/passwd", "opt", "opt/new"]
        assert names.index("opt") < names.index("opt/new")
        fstab = tar.extractfile("etc/fstab")
        assert fstab is not None and fstab.read() == b"ours"


def test_the_bundle_is_current_in_slot_a(tiny_bundle: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.tar"
    payload.write_state(tiny_bundle.with_name("bundle.tar"), state)
    with tarfile.open(state) as tar:
        tar.extractall(tmp_path / "data")
    a, b = slots.status(tmp_path / "data")
    assert (a.current, a.problem, b.current) == (True, "", False)


def test_what_was_made_is_kept_until_its_inputs_change(tmp_path: Path) -> None:
    source = tmp_path / "source"
    made = []

    def make(out: Path) -> None:
        made.append(out)
        out.write_bytes(source.read_bytes())

    source.write_text("one")
    first = cached(tmp_path / "kept", "part.tar", [source], make)
    os.utime(source, (0, 0))
    assert cached(tmp_path / "kept", "part.tar", [source], make) == first and len(made) == 1
    source.write_text("two")
    second = cached(tmp_path / "kept", "part.tar", [source], make)
    assert second.read_text() == "two"
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [second.name]


def test_what_failed_half_way_is_made_again(tmp_path: Path) -> None:
    def fail(out: Path) -> None:
        out.write_text("half")
        raise ImageError("no more")

    with pytest.raises(ImageError):
        cached(tmp_path, "part.tar", [b"input"], fail)
    assert list(tmp_path.iterdir()) == []

    def copy(out: Path) -> None:
        shutil.copy(__file__, out)

    whole_part = cached(tmp_path, "part.tar", [b"input"], copy)
    assert whole_part.read_bytes() == Path(__file__).read_bytes()


def test_sizes_are_whole_mebibytes() -> None:
    assert layout.SIZE_BYTES % MIB == 0


# --- a stock image -------------------------------------------------------------------------------


def stock(folder: Path, kernel: Path) -> Path:
    """An image as somebody else makes one: only its boot partition concerns us."""
    image, boot = folder / "raspios.img", boot_partition(kernel, folder / "stock.fat")
    end = BOOT.start_bytes + BOOT.size_bytes
    with image.open("wb") as stream:
        stream.truncate(end + 16 * MIB)
    table = f"label: dos\nstart={BOOT.start_mib}MiB, size={BOOT.size_mib}MiB, type=c\ntype=83\n"
    command = [find("sfdisk") or "", "--quiet", str(image)]
    subprocess.run(command, input=table, text=True, check=True)
    with image.open("r+b") as stream:
        stream.seek(BOOT.start_bytes)
        stream.write(boot.read_bytes())
        stream.write(b"somebody's system " * 1000)
    return image


def parts_of(folder: Path) -> Parts:
    """Parts with little in them."""
    paths = {
        name: folder / f"{name}.tar" for name in ("tools", "base", "kernel", "software", "state")
    }
    for name, path in paths.items():
        archive.write(path, archive.of_files({f"opt/{name}": name}))
    return Parts(**paths)


@pytest.mark.slow
def test_a_stock_image_is_changed_on_its_boot_partition_alone(kernel: Path, tmp_path: Path) -> None:
    need("sfdisk")
    base = stock(tmp_path, kernel)
    before = base.read_bytes()
    packed = tmp_path / "raspios.img.xz"
    packed.write_bytes(lzma.compress(before, preset=0))
    (tmp_path / "out").mkdir()
    owner = Identity(hostname="hedge", ssh_key="ssh-ed25519 AAAAC3 me")
    image = customise.customise(packed, parts_of(tmp_path), tmp_path / "out", owner)
    after = image.read_bytes()
    end = BOOT.start_bytes + BOOT.size_bytes
    assert after[: BOOT.start_bytes] == before[: BOOT.start_bytes] and after[end:] == before[end:]
    assert b"opt/state" in read(image, "fieldguide/state.tar", BOOT.start_bytes)
    assert b"install.sh" in read(image, "user-data", BOOT.start_bytes)
    # What starts the ssh server of Raspberry Pi OS.
    assert read(image, "ssh", BOOT.start_bytes) == b""
    # It holds the Wi-Fi's password.
    assert image.stat().st_mode & 0o077 == 0
    assert read(image, "vmlinuz", BOOT.start_bytes) == b"the kernel"


@pytest.mark.parametrize("data", [b"no xz at all", lzma.compress(bytes(1 << 16))[:-20]])
def test_a_damaged_stock_image_is_told_and_leaves_nothing(data: bytes, tmp_path: Path) -> None:
    base, out = tmp_path / "raspios.img.xz", tmp_path / "out"
    base.write_bytes(data)
    out.mkdir()
    with pytest.raises(ImageError, match="download it again"):
        customise.customise(base, parts_of(tmp_path), out, Identity())
    assert list(out.iterdir()) == []


# --- the systems ---------------------------------------------------------------------------------


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tar as recipe/base.sh makes it, with little in it."""
    patterns = {source: f"pattern of {name}\n" for name, source in debian.COPIES.items()}
    patterns["usr/share/base-passwd/passwd.master"] = "root:*:0:0:root:/root:/bin/bash\n"
    patterns["usr/share/base-passwd/group.master"] = "root:*:0:\nvideo:*:44:\n"
    patterns[f"{debian.AUTHORITIES}a.crt"] = "first authority\n"
    patterns[f"{debian.AUTHORITIES}b.crt"] = "second authority\n"
    archive.write(tmp_path / "base.tar", archive.of_files(patterns))
    return tmp_path / "base.tar"


def test_the_unpacked_packages_are_completed(base: Path) -> None:
    added = {info.name: (info, data) for info, data in debian.entries(base)}
    assert added["etc/passwd"][1].startswith(b"root:*:0:0:")
    assert added["etc/nsswitch.conf"][1] == b"pattern of etc/nsswitch.conf\n"
    assert added[debian.BUNDLED][1] == b"first authority\nsecond authority\n"
    assert added["usr/bin/awk"][0].linkname == "mawk"


def test_nobody_has_a_password_and_only_root_may_look(base: Path) -> None:
    added = {info.name: (info, data) for info, data in debian.entries(base)}
    for name in ("etc/shadow", "etc/gshadow"):
        info, data = added[name]
        assert info.mode == 0o600
        assert [line.split(b":")[1] for line in data.splitlines()] == [b"*"] * data.count(b"\n")


def test_the_same_tar_is_the_same_file_system(base: Path, tmp_path: Path) -> None:
    tools = sorted((BUILD / "image").glob("tools-*.tar"))
    if not tools:
        pytest.skip("the programs that make file systems are not here: make image")
    with unpacked(tools[-1]) as native:
        for name in ("one.ext4", "two.ext4"):
            disk.write_ext4(native, base, DATA, tmp_path / name)
    assert (tmp_path / "one.ext4").read_bytes() == (tmp_path / "two.ext4").read_bytes()


def test_the_second_system_tells_no_time_either(tmp_path: Path) -> None:
    need("tune2fs")
    root = tmp_path / "root.ext4"
    subprocess.run(
        [find("mke2fs") or "", "-q", "-t", "ext4", "-L", ROOT_A.name, root, "16M"], check=True
    )
    disk.copy_with_uuid(root, ROOT_B, tmp_path / "one.ext4")
    # The superblock counts in seconds.
    time.sleep(1.1)
    disk.copy_with_uuid(root, ROOT_B, tmp_path / "two.ext4")
    copy = (tmp_path / "one.ext4").read_bytes()
    assert copy == (tmp_path / "two.ext4").read_bytes() and ROOT_B.name.encode() in copy[:2048]
