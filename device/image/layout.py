"""The partitions of the card: one to boot from, two systems, and the data.

It uses an MBR, because the firmware of every Raspberry Pi can read one. The data partition is last,
so that the first boot can grow it to the size of the card.
"""

from dataclasses import dataclass

MIB = 1 << 20
DISK_ID = 0x46474431
"""The id of the partition table; with a partition number the kernel finds its root by it."""
FAT32, LINUX = "c", "83"


@dataclass(frozen=True)
class Partition:
    """One entry of the table."""

    name: str
    number: int
    start_mib: int
    size_mib: int
    kind: str

    @property
    def partuuid(self) -> str:
        """As in the kernel's `root=PARTUUID=`."""
        return f"{DISK_ID:08x}-{self.number:02x}"

    @property
    def start_bytes(self) -> int:
        """Where it begins on the disk."""
        return self.start_mib * MIB

    @property
    def size_bytes(self) -> int:
        """How long it is."""
        return self.size_mib * MIB


BOOT = Partition("boot", 1, 4, 252, FAT32)
ROOT_A = Partition("root-a", 2, 256, 1536, LINUX)
ROOT_B = Partition("root-b", 3, 1792, 1536, LINUX)
DATA = Partition("data", 4, 3328, 256, LINUX)
PARTITIONS = (BOOT, ROOT_A, ROOT_B, DATA)
SIZE_BYTES = DATA.start_bytes + DATA.size_bytes


def table() -> str:
    """The partition table in the words of sfdisk(8)."""
    rows = [
        f"start={p.start_mib}MiB, size={p.size_mib}MiB, type={p.kind}"
        + (", bootable" if p is BOOT else "")
        for p in PARTITIONS
    ]
    return "\n".join(["label: dos", f"label-id: {DISK_ID:#010x}", *rows, ""])
