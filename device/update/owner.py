"""Root works in a folder of another user as that user: links that lie there lead it nowhere."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def acting_as_owner(folder: Path) -> Iterator[None]:
    """Become the owner of a folder for a while, if this is root and the owner is not.

    What the owner may not touch is then out of reach, whatever the owner put into the folder
    meanwhile. It holds for all threads of the process.
    """
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        os.setgroups(_groups(owner))
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _groups(owner: os.stat_result) -> list[int]:
    """Also those by which a service's user may use an Edge TPU."""
    try:
        return os.getgrouplist(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        return [owner.st_gid]
