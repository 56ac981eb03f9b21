#!/bin/sh
# Makes /boot/initrd.img and /boot/vmlinuz below the folder $1, from the kernel and the busybox that
# are unpacked there. The initrd holds busybox, the drivers that a root file system may need, and $2
# as /init.
set -eu
PATH=$PATH:/usr/sbin:/sbin
root=$1 init=$2
version=$(basename "$root"/usr/lib/modules/*)
modules=$root/usr/lib/modules/$version
initrd=$root/initrd
mkdir -p "$initrd/bin" "$initrd/proc" "$initrd/sys" "$initrd/dev" "$initrd/system" \
  "$initrd/lib/modules/$version"
cp "$root/usr/bin/busybox" "$initrd/bin/busybox"
cp "$init" "$initrd/init"
chmod 755 "$initrd/init"
# Where the kernel looks for modprobe.
ln -s bin "$initrd/sbin"
depmod -b "$root/usr" "$version"

# SD card, USB and NVMe of any Raspberry Pi, virtio of virtual machines, and their dependencies.
drivers() {
  cd "$modules/kernel"
  find fs/ext4 crypto/crc32c* drivers/mmc drivers/block/virtio_blk.ko* drivers/usb/host drivers/usb/dwc2 \
    drivers/usb/storage drivers/scsi/sd_mod.ko* drivers/nvme/host drivers/reset drivers/clk/bcm \
    drivers/phy/broadcom drivers/dma/bcm2835* drivers/gpio/*raspberrypi* drivers/regulator \
    drivers/firmware drivers/soc/bcm drivers/pmdomain/bcm drivers/mailbox \
    -name '*.ko*' 2>/dev/null || true
}
for module in $(drivers); do
  modprobe -d "$root/usr" -S "$version" --show-depends "$(basename "${module%%.ko*}")"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r module; do
  target=$initrd/lib/modules/$version/kernel/${module##*/"$version"/kernel/}
  mkdir -p "$(dirname "$target")"
  xz -dc "$module" > "${target%.xz}"
done
cp "$modules/modules.order" "$modules/modules.builtin" "$modules/modules.builtin.modinfo" \
  "$initrd/lib/modules/$version/"
depmod -b "$initrd" "$version"
find "$initrd" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$initrd" && find . | LC_ALL=C sort |
  cpio --quiet --reproducible --format=newc --owner=0:0 -o) | gzip -n9 > "$root/boot/initrd.img"
mv "$root/boot/vmlinuz-$version" "$root/boot/vmlinuz"
rm -rf "$initrd"
