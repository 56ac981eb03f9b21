#!/bin/sh
# Makes the base system as a tar: Debian's packages for arm64, unpacked.
# Usage: base.sh OUTPUT.tar MIRROR SECURITY_MIRROR
#
# Their installation scripts do not run: they need arm64 programs, and so an emulator and many
# minutes. For the few packages here, `device/image/debian.py` does what the scripts would do. The
# board has no apt: a system is replaced as a whole, which is why there are two of them.
# The same packages give the same bytes. Runs as root or, with user namespaces, as any user.
set -eu
recipe=$(dirname "$(readlink -f "$0")")
packages=$(sed -e 's/#.*//' -e '/^ *$/d' "$recipe/packages.txt" | paste -sd,)
components='main non-free-firmware'
exec mmdebstrap --quiet --arch=arm64 --variant=extract --include="$packages" trixie "$1" \
  "deb $2 trixie $components" "deb $2 trixie-updates $components" \
  "deb $3 trixie-security $components"
