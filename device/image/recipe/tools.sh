#!/bin/sh
# Downloads programs of Debian 13 for the workstation's own processor, as a tar: a Python to compile
# byte code for the board's Python, and an mke2fs that reads tars. They are unpacked, never installed.
# Usage: tools.sh OUTPUT.tar MIRROR SECURITY_MIRROR
set -eu
exec mmdebstrap --quiet --variant=extract \
  --include=python3.13,libpython3.13-stdlib,e2fsprogs,libarchive13t64 trixie "$1" \
  "deb $2 trixie main" "deb $2 trixie-updates main" "deb $3 trixie-security main"
