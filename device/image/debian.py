"""Does what the installation scripts of the base system's packages would do.

The scripts need arm64 programs; this module produces the same files without running any. It covers
only the packages in recipe/packages.txt.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from device.image import archive

COPIES = {
    "etc/group": "usr/share/base-passwd/group.master",
    "etc/passwd": "usr/share/base-passwd/passwd.master",
    "etc/nsswitch.conf": "usr/share/libc-bin/nsswitch.conf",
    "etc/profile": "usr/share/base-files/profile",
    "etc/ssh/sshd_config": "usr/share/openssh/sshd_config",
}
"""Settings files that packages contain as templates."""
LINKS = {
    "usr/bin/awk": "mawk",
    "usr/bin/nc": "nc.openbsd",
    "usr/bin/netcat": "nc.openbsd",
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    "etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf",
    # The Wi-Fi channels that each country allows.
    "usr/lib/firmware/regulatory.db": "regulatory.db-debian",
    "usr/lib/firmware/regulatory.db.p7s": "regulatory.db.p7s-debian",
    # Disabled: it would wait for answers at a console.
    "etc/systemd/system/systemd-firstboot.service": "/dev/null",
}
TEXTS = {
    # Not known yet: the first boot creates an id, and enables the packages' services.
    "etc/machine-id": "uninitialized\n",
    # For wpa_supplicant; the other users of packages are in sysusers.d already.
    "etc/sysusers.d/netdev.conf": "g netdev -\n",
    "etc/shells": "/bin/sh\n/bin/bash\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/pam.d/common-auth": (
        "auth [success=1 default=ignore] pam_unix.so\n"
        "auth requisite pam_deny.so\n"
        "auth required pam_permit.so\n"
    ),
    "etc/pam.d/common-account": (
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n"
        "account requisite pam_deny.so\n"
        "account required pam_permit.so\n"
    ),
    "etc/pam.d/common-password": (
        "password [success=1 default=ignore] pam_unix.so obscure yescrypt\n"
        "password requisite pam_deny.so\n"
        "password required pam_permit.so\n"
    ),
    "etc/pam.d/common-session": (
        "session required pam_permit.so\n"
        "session required pam_unix.so\n"
        "session optional pam_systemd.so\n"
    ),
    "etc/pam.d/common-session-noninteractive": (
        "session required pam_permit.so\nsession required pam_unix.so\n"
    ),
}
LEFT_OUT = (
    # The card needs no manuals or translations, and a camera no list of keyboards (hwdb), which
    # the first boot would compile.
    "usr/lib/udev/hwdb.d/",
    "usr/share/i18n/",
    "usr/share/locale/",
    "usr/share/man/",
)
AUTHORITIES, BUNDLED = "usr/share/ca-certificates/mozilla/", "etc/ssl/certs/ca-certificates.crt"
CHANGED_DAYS = 20_000
"""Date of the last password change, in days since 1970; a fixed value, as there are none."""


def entries(base: Path) -> Iterator[archive.Entry]:
    """Files and links that complete the unpacked packages in the tar `base`."""
    found = _read(base)
    texts: dict[str, str | bytes] = {name: found[source] for name, source in COPIES.items()}
    authorities = [data for name, data in sorted(found.items()) if name.startswith(AUTHORITIES)]
    texts[BUNDLED] = b"".join(authorities)
    yield from archive.of_files({**TEXTS, **texts})
    yield from _shadows(found)
    for name, target in LINKS.items():
        yield archive.folder(str(Path(name).parent))
        yield archive.link(name, target)


def _read(base: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(base) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in COPIES.values() or name.startswith(AUTHORITIES):
                data = tar.extractfile(member)
                found[name] = data.read() if data else b""
    return found


def _shadows(found: dict[str, bytes]) -> Iterator[archive.Entry]:
    """The shadow files: nobody has a password, and only root may read them."""
    users = found[COPIES["etc/passwd"]].decode().splitlines()
    groups = found[COPIES["etc/group"]].decode().splitlines()
    lines = {
        "etc/shadow": [f"{line.split(':')[0]}:*:{CHANGED_DAYS}:0:99999:7:::" for line in users],
        "etc/gshadow": [f"{line.split(':')[0]}:*::" for line in groups],
    }
    for name, rows in lines.items():
        info, data = archive.file(name, "".join(f"{row}\n" for row in rows).encode())
        info.mode = 0o600
        yield info, data
