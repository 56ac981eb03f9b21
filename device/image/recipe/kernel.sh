#!/bin/sh
# Makes a tar with everything that a board boots from: Debian's kernel with its modules and device
# trees, the firmware of the Raspberry Pi, and our own initrd.
# Usage: kernel.sh OUTPUT.tar MIRROR SECURITY_MIRROR
#
# The packages are unpacked and not installed: installing would make an initrd inside the emulated
# system, which takes more than twenty minutes. So apt on the board never replaces the kernel; a new
# kernel comes with a new image.
set -eu
recipe=$(dirname "$(readlink -f "$0")")
work=$(mktemp -d "$1.XXXXXX")
trap 'rm -rf "$work"' EXIT
components='main non-free-firmware'
mmdebstrap --quiet --arch=arm64 --variant=extract \
  --include=linux-image-arm64,raspi-firmware,busybox-static trixie "$work/packages.tar" \
  "deb $2 trixie $components" "deb $2 trixie-updates $components" \
  "deb $3 trixie-security $components"
mkdir "$work/root"
tar -xf "$work/packages.tar" -C "$work/root" --wildcards './boot/vmlinuz-*' './usr/bin/busybox' \
  './usr/lib/modules' './usr/lib/linux-image-*/broadcom/bcm2*-rpi-*' './usr/lib/raspi-firmware'
sh "$recipe/initrd.sh" "$work/root" "$recipe/init"
tar -cf "$1" -C "$work/root" --sort=name --owner=0 --group=0 --numeric-owner \
  --mtime="@$SOURCE_DATE_EPOCH" --mode=u+rwX,go=rX ./boot ./usr/lib
