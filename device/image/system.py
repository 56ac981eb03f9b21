"""Files that turn Debian into our image: booting, mounts, and first-boot settings."""

from collections.abc import Iterator
from pathlib import Path

from device.image import archive
from device.image.layout import BOOT, DATA, ROOT_A, ROOT_B, Partition
from device.image.payload import STATE

BOOT_FOLDER = "boot/firmware"
GROW_UNIT = "fieldguide-grow.service"

CONFIG = """# The first file that the firmware of a Raspberry Pi reads.
arm_64bit=1
kernel=vmlinuz
initramfs initrd.img followkernel
upstream_kernel=1
enable_uart=1
disable_splash=1
# The system to start: cmdline.txt for system A, cmdline-b.txt for system B.
cmdline=cmdline.txt
"""
MOUNTS = f"""# The kernel's command line names the root file system: A or B.
# The service waits for the data partition (StateDirectory=); without it ssh still works.
PARTUUID={BOOT.partuuid} /{BOOT_FOLDER} vfat umask=0077,nofail 0 2
PARTUUID={DATA.partuuid} /{STATE} ext4 nofail,noatime,nodev,nosuid,x-systemd.growfs 0 2
"""
CLOUD = f"""# First-boot settings are on the boot partition, as on Raspberry Pi OS.
datasource_list: [NoCloud, None]
datasource:
  NoCloud:
    seedfrom: file:///{BOOT_FOLDER}/
growpart:
  mode: "off"
resize_rootfs: false
apt_preserve_sources_list: true
"""
DATA_DEVICE = f"/dev/disk/by-partuuid/{DATA.partuuid}"
DATA_UNIT = f"dev-disk-by\\x2dpartuuid-{DATA.partuuid.replace('-', chr(92) + 'x2d')}"
"""The name that `systemd-escape --path` gives."""
GROW = f"""# Grows the data partition to the end of the card; then `x-systemd.growfs` grows its
# file system.
[Unit]
Description=Grow the data partition to the size of the card
DefaultDependencies=no
Requires={DATA_UNIT}.device
After={DATA_UNIT}.device
Before=systemd-fsck@{DATA_UNIT}.service {STATE.replace("/", "-")}.mount

[Service]
Type=oneshot
# growpart ends with 1 if there is nothing to do.
ExecStart=/bin/sh -c 'growpart /dev/$$(lsblk -nro PKNAME {DATA_DEVICE}) {DATA.number} \\
  || [ $$? = 1 ]'
"""
FOUND_BY_NAME = """# Answer for HOSTNAME.local.
[Network]
MulticastDNS=yes
"""
NETWORKS = ("10-netplan-wired", "10-netplan-wlan0")
"""netplan's names for the interfaces of `device.image.identity`."""
SEED_IS_MOUNTED = f"""[Unit]
RequiresMountsFor=/{BOOT_FOLDER}
"""
LINKS = {
    f"etc/systemd/system/{STATE.replace('/', '-')}.mount.wants/{GROW_UNIT}": f"../{GROW_UNIT}",
}


def boot_files() -> dict[str, str]:
    """Text files of the boot partition: system A, unless `CONFIG` is changed to name B."""
    return {
        "config.txt": CONFIG,
        "cmdline.txt": kernel_line(ROOT_A),
        "cmdline-b.txt": kernel_line(ROOT_B),
    }


def root_files() -> dict[str, str]:
    """Text files of both systems."""
    return {
        "etc/fstab": MOUNTS,
        "etc/hostname": "fieldguide\n",
        "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
        "etc/cloud/cloud.cfg.d/99-fieldguide.cfg": CLOUD,
        f"etc/systemd/system/{GROW_UNIT}": GROW,
        "etc/systemd/system/cloud-init-local.service.d/seed.conf": SEED_IS_MOUNTED,
        # Read after Debian's own file, which turns it off.
        "etc/systemd/resolved.conf.d/99-fieldguide.conf": "[Resolve]\nMulticastDNS=yes\n",
        **{f"etc/systemd/network/{name}.network.d/mdns.conf": FOUND_BY_NAME for name in NETWORKS},
    }


def entries(software: Path, kernel: Path) -> Iterator[archive.Entry]:
    """What both systems add to Debian: our files, mount points, software, modules."""
    yield from archive.of_files(root_files())
    for name, target in LINKS.items():
        yield archive.folder(str(Path(name).parent))
        yield archive.link(name, target)
    for folder in (BOOT_FOLDER, STATE):
        yield archive.folder(folder)
    yield from archive.members(software)
    yield from archive.members(kernel, "usr/lib/modules")


def kernel_line(root: Partition) -> str:
    """The kernel's parameters; messages for people go to the last console."""
    return (
        f"console=ttyS1,115200 console=tty0 root=PARTUUID={root.partuuid} rw rootwait "
        "net.ifnames=0 quiet\n"
    )
