"""Not being root where root is not needed."""

import os
from pathlib import Path


def become_owner_of(folder: Path) -> None:
    """If this process is root, make it for good the user and group to whom a folder belongs.

    In a folder of the service's user root would follow any link that this user puts there, and
    write through it. A folder that is not there, or is root's own, changes nothing.
    """
    if os.geteuid() != 0:
        return
    try:
        found = folder.stat()
    except OSError:
        return
    if found.st_uid == 0:
        return
    os.setgroups([found.st_gid])
    os.setresgid(found.st_gid, found.st_gid, found.st_gid)
    os.setresuid(found.st_uid, found.st_uid, found.st_uid)
