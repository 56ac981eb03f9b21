"""Root works in another user's folder as that user, so links there cannot mislead it."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def acting_as_owner(folder: Path) -> Iterator[None]:
    """Become the owner of a folder for a while, if this is root and the owner is not.

    Files that the owner may not touch are then out of reach, whatever the owner put into the
    folder. The change applies to all threads of the process.
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
    """All groups of the owner, also those that let the service's user use an Edge TPU."""
    try:
        return os.getgrouplist(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:
        return [owner.st_gid]
