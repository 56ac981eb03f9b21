#!/bin/sh
# Installs Fieldguide on a stock Raspberry Pi OS from its boot partition; cloud-init runs it at
# the first boot. Running it again does no harm.
set -eu
here=$(dirname "$(readlink -f "$0")")
if ! python3 -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))'; then
  echo "fieldguide: this system has no Python 3.13: use Raspberry Pi OS Trixie, 64-bit" >&2
  exit 1
fi
tar -xzf "$here/software.tar.gz" -C / --keep-directory-symlink
systemd-sysusers fieldguide.conf
systemd-tmpfiles --create fieldguide.conf
# As the service's user, who owns the folder: root would follow any link in it.
runuser -u fieldguide -- tar -xf - -C /var/lib/fieldguide < "$here/state.tar"
sync
touch /opt/fieldguide/installed
systemctl daemon-reload
# It starts with the rest of the system.
systemctl --no-block start fieldguide fieldguide-update.timer fieldguide-update.path \
  fieldguide-install.timer fieldguide-install.path \
  fieldguide-software.timer fieldguide-software.path
