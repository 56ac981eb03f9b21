"""Promises of `make flash`: only a card is written, and only a whole one is called good."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.image import flash
from device.image.errors import DiskError, WriteError
from device.image.flash import Disk, examine, objection
from tests.support.cli import PROCESS_LIMIT_S
from tests.support.places import ROOT

GB = 10**9
CARD = Disk("/dev/sdx", False, 32 * GB, True, ())


def refusal(disk: Disk, *, force: bool = False) -> str | None:
    return objection(disk, image_bytes=3 * GB, limit_bytes=256 * GB, force=force)


def test_a_card_may_be_written() -> None:
    assert refusal(CARD) is None


@pytest.mark.parametrize(
    ("disk", "told"),
    [
        (replace(CARD, path="/dev/sdx1", is_partition=True), "is a partition"),
        (replace(CARD, mounted=("/media/card",)), "mounted at /media/card"),
        (replace(CARD, mounted=("/home", "/")), "disk of this system"),
        (replace(CARD, mounted=("swap",)), "disk of this system"),
        (replace(CARD, size_bytes=2 * GB), "too small"),
        (replace(CARD, size_bytes=2000 * GB), "2000.0 GB, more than a card's 256.0 GB"),
    ],
)
def test_other_disks_are_refused_even_by_force(disk: Disk, told: str) -> None:
    assert told in (refusal(disk) or "")
    assert told in (refusal(disk, force=True) or "")


def test_a_disk_that_is_not_removable_takes_force() -> None:
    fixed = replace(CARD, removable=False)
    assert "FORCE=1" in (refusal(fixed) or "")
    assert refusal(fixed, force=True) is None


@given(
    st.booleans(), st.integers(0, 4000 * GB), st.booleans(), st.lists(st.sampled_from(["/", "/x"]))
)
def test_what_is_written_is_whole_unused_and_of_a_cards_size(
    partition: bool, size_bytes: int, removable: bool, mounted: list[str]
) -> None:
    disk = Disk("/dev/sdx", partition, size_bytes, removable, tuple(mounted))
    if refusal(disk) is None:
        assert not partition and not mounted and removable
        assert 3 * GB <= size_bytes <= 256 * GB


# --- what a disk is like -------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """/sys and /proc of a machine with a disk in USB, its two partitions, and LVM on the second."""
    usb = tmp_path / "sys/devices/pci/usb1/1-1/block/sdx"
    (usb / "sdx1").mkdir(parents=True)
    (usb / "sdx2/holders/dm-0").mkdir(parents=True)
    held = tmp_path / "sys/devices/virtual/block/dm-0"
    held.mkdir(parents=True)
    for folder, number in ((usb, "8:0"), (usb / "sdx1", "8:1"), (usb / "sdx2", "8:2")):
        (folder / "dev").write_text(f"{number}\n")
        (folder / "size").write_text("62500000\n")
    (held / "dev").write_text("254:0\n")
    (usb / "removable").write_text("0\n")
    for number, folder in (("1", usb / "sdx1"), ("2", usb / "sdx2")):
        (folder / "partition").write_text(f"{number}\n")
    blocks = tmp_path / "sys/class/block"
    blocks.mkdir(parents=True)
    (blocks / "dm-0").symlink_to(held)
    numbers = tmp_path / "sys/dev/block"
    numbers.mkdir(parents=True)
    for number, folder in (("8:0", usb), ("8:1", usb / "sdx1")):
        (numbers / number).symlink_to(folder)
    (tmp_path / "proc/self").mkdir(parents=True)
    mounts(tmp_path)
    return tmp_path


def mounts(machine: Path, *lines: str) -> None:
    (machine / "proc/self/mountinfo").write_text("".join(f"{line}\n" for line in lines))


def seen(machine: Path, number: tuple[int, int] = (8, 0)) -> Disk:
    return flash.of_device("/dev/sdx", number, machine / "sys", machine / "proc")


def test_a_disk_in_usb_counts_as_removable(machine: Path) -> None:
    assert seen(machine) == Disk("/dev/sdx", False, 32 * GB, True, ())


def test_a_partition_is_known(machine: Path) -> None:
    assert seen(machine, (8, 1)).is_partition


def test_mounts_of_partitions_and_of_what_is_built_on_them_count(machine: Path) -> None:
    mounts(
        machine, "30 1 8:1 / /media/card rw - vfat /dev/sdx1 rw", "31 1 9:9 / / rw - ext4 /dev/y rw"
    )
    assert seen(machine).mounted == ("/media/card",)
    mounts(machine, "30 1 254:0 / / rw shared:1 - ext4 /dev/mapper/root rw")
    assert seen(machine).mounted == ("/",)
    mounts(machine, "30 1 0:44 / /data rw - btrfs /dev/sdx1 rw")
    assert seen(machine).mounted == ("/data",)


def test_swap_counts(machine: Path) -> None:
    (machine / "proc/swaps").write_text(
        "Filename Type Size Used Priority\n/dev/sdx2 partition 1 0 -2\n"
    )
    assert seen(machine).mounted == ("swap",)


def test_the_disk_of_this_system_is_refused() -> None:
    """With this machine's own /sys and /proc."""
    number = os.stat("/").st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    if not (device / "dev").exists():
        pytest.skip("the root file system is on no block device")
    disk = device.parent if (device / "partition").exists() else device
    path = Path("/dev") / disk.name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    assert "disk of this system" in (
        refusal(replace(examine(str(path)), size_bytes=CARD.size_bytes)) or ""
    )


# --- writing -------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Not a multiple of anything, with holes."""
    path = tmp_path / "fieldguide.img"
    with path.open("wb") as stream:
        stream.write(os.urandom(5 << 20))
        stream.seek(7 << 20)
        stream.write(b"end")
    return path


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A file as a card that was used before."""
    path = tmp_path / "card"
    path.write_bytes(b"\xff" * (9 << 20))
    return path


def make_flash(image: Path, disk: object, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "device.image", "flash", "--image", image, "--disk", str(disk),
         "--limit-gb", "256", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=PROCESS_LIMIT_S, check=False,
    )  # fmt: skip


def test_every_byte_is_written_and_nothing_old_shows_through(image: Path, card: Path) -> None:
    result = make_flash(image, card, "--force")
    assert result.returncode == 0 and "written and compared" in result.stdout, result.stderr
    assert card.read_bytes() == image.read_bytes() + b"\xff" * (
        card.stat().st_size - image.stat().st_size
    )


def test_a_file_that_is_no_card_is_kept(image: Path, card: Path) -> None:
    before = card.read_bytes()
    result = make_flash(image, card)
    assert result.returncode == 1 and "is a file, not a disk: set FORCE=1" in result.stderr
    assert card.read_bytes() == before


def test_an_empty_image_is_not_written(tmp_path: Path, card: Path) -> None:
    (tmp_path / "empty.img").touch()
    result = make_flash(tmp_path / "empty.img", card, "--force")
    assert result.returncode == 1 and "no such image; run make image" in result.stderr


def test_who_may_not_write_the_card_is_told_so(
    image: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DiskError, match="only root may write it: put sudo before"):
        flash.flash(image, str(card), limit_bytes=GB, force=True)


def test_without_a_disk_it_says_how_to_name_one(image: Path) -> None:
    result = make_flash(image, "")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: no DISK: make flash DISK=/dev/sdX")


@pytest.mark.parametrize("disk", ["/dev/null", "/nowhere", "/tmp"])
def test_what_is_no_disk_is_refused_in_one_line(image: Path, disk: str) -> None:
    result = make_flash(image, disk)
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr


def test_a_card_that_gives_back_other_bytes_is_told(
    image: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counterfeit cards take everything and keep the first part."""
    real = flash._write

    def forgetful(source: Path, open_card: FileIO) -> str:
        written = real(source, open_card)
        open_card.seek(4 << 20)
        open_card.write(b"lost")
        return written

    monkeypatch.setattr(flash, "_write", forgetful)
    with pytest.raises(WriteError, match="returns other bytes"):
        flash.flash(image, str(card), limit_bytes=GB, force=True)


def test_ctrl_c_says_that_the_card_is_not_usable(image: Path, tmp_path: Path) -> None:
    # A pipe stands in for a card so slow that it never takes the whole image.
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    program = (
        "import sys; from pathlib import Path; from device.console import guarded\n"
        "from device.image import flash\n"
        "flash.examine = lambda path: flash.Disk(path, False, 1 << 30, True, ())\n"
        "sys.exit(guarded(lambda: flash.flash(Path(sys.argv[1]), sys.argv[2],"
        " limit_bytes=1 << 40, force=False)))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program, image, slow], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    with slow.open("rb") as reader:
        reader.read(1)
        running.send_signal(2)
        _, told = running.communicate(timeout=PROCESS_LIMIT_S)
    assert running.returncode == 130
    assert "the card is not usable yet" in told and "Traceback" not in told


@pytest.fixture
def loop(card: Path) -> Iterator[str]:
    """A block device of this machine's kernel."""
    losetup = shutil.which("losetup", path="/usr/sbin:/sbin:/usr/bin")
    if losetup is None:
        pytest.skip("no losetup here")
    made = subprocess.run(
        [losetup, "--find", "--show", card], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip("no loop devices: not root, or the kernel has none")
    device = made.stdout.strip()
    yield device
    subprocess.run([losetup, "--detach", device], check=True)


def test_a_loop_device_is_not_removable_and_takes_force(image: Path, loop: str) -> None:
    refused = make_flash(image, loop)
    assert refused.returncode == 1 and "not removable" in refused.stderr
    forced = make_flash(image, loop, "--force")
    assert forced.returncode == 0, forced.stderr
    with open(loop, "rb") as stream:
        assert stream.read(image.stat().st_size) == image.read_bytes()


def test_a_mounted_card_is_refused_by_force_too(image: Path, loop: str, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", loop], check=True)
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = subprocess.run(["mount", loop, place], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        result = make_flash(image, loop, "--force")
        assert result.returncode == 1 and f"mounted at {place}" in result.stderr, result.stderr
    finally:
        subprocess.run(["umount", place], check=True)
