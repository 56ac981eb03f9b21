#!/bin/sh
# Makes the base system as a tar: Debian's packages for arm64, unpacked.
# Usage: base.sh OUTPUT.tar MIRROR SECURITY_MIRROR
#
# Their installation scripts do not run: these are programs of arm64, which would take an emulator
# and many minutes. What they would do for the few packages here `device/image/system.py` does. So
# there is no apt on the board: a system is replaced as a whole, which is what its twin is for.
# The same packages give the same bytes. Runs as root or, with user namespaces, as anybody.
set -eu
recipe=$(dirname "$(readlink -f "$0")")
packages=$(sed -e 's/#.*//' -e '/^ *$/d' "$recipe/packages.txt" | paste -sd,)
components='main non-free-firmware'
exec mmdebstrap --quiet --arch=arm64 --variant=extract --include="$packages" trixie "$1" \
  "deb $2 trixie $components" "deb $2 trixie-updates $components" \
  "deb $3 trixie-security $components"
