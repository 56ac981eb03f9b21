"""Releases of the software side by side, links to two of them, and room for another.

Two processes ask: that with the network before it fetches, that which installs before it writes.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from device.errors import UpdateError
from device.update.asked import Places

RELEASES, LIVE, CONFIRMED = "releases", "venv", "confirmed"
OURS = "software-"
"""Begins the names of releases that were made here."""
READY = "ready"
"""A file in each release that a deployment, a card or this package has finished."""
UNPACKED = 5
"""So many times the size of its wheels takes a release, with copies of them while it is made."""
SPARE_BYTES = 32 * 1024 * 1024


def named(installed: Path, link: str) -> str:
    """The release that a link leads to; empty if it is no such link."""
    path = installed / link
    target = os.readlink(path) if path.is_symlink() else ""
    folder, _, name = target.removesuffix(f"/{LIVE}").rpartition("/")
    return name if (folder, target) == (RELEASES, f"{RELEASES}/{name}/{LIVE}") else ""


def unused(places: Places) -> Iterator[Path]:
    """Releases that nothing leads to, and that nobody is making or has prepared."""
    installed = places.installed
    kept = {named(installed, LIVE), named(installed, CONFIRMED), _prepared(places.deploying)}
    for folder in [*(installed / RELEASES).glob("*")]:
        ours = folder.name.startswith(OURS) or (folder / READY).exists()
        if ours and folder.name not in kept:
            yield folder


def check_room(places: Places, wheels_bytes: int, missing_bytes: int = 0) -> None:
    """See that a release fits beside what is used.

    Args:
        places: where releases are.
        wheels_bytes: of the release, in all.
        missing_bytes: how many of them are still to be fetched, onto the same disk.

    Raises:
        UpdateError: if it does not.
        OSError: if the disk cannot be asked.
    """
    installed = places.installed
    needed = missing_bytes + UNPACKED * wheels_bytes + SPARE_BYTES
    if (free := free_bytes(installed)) < needed:
        # What is removed before another is written; looked at only if that decides.
        free += sum(_size_bytes(folder / LIVE) for folder in unused(places))
    if free < needed:
        raise UpdateError(f"{installed}: no room: {free:,} of {needed:,} bytes are free")


def free_bytes(folder: Path) -> int:
    """What anybody may still write on the disk of a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _prepared(deploying: Path) -> str:
    """The release that a deployment is preparing; empty if none is."""
    try:
        return deploying.read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""


def _size_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
