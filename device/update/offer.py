"""What is offered to this board, and the files of it: the same questions for both processes."""

import platform
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from device.contract.release import record, rollout
from device.contract.release.naming import ROLLOUT_TARGET, SOFTWARE
from device.contract.release.record import Release, ReleaseFile, system_key
from device.errors import UnfitError, UpdateError
from device.update.asked import Asked
from device.update.trust.fetch import Wanted

if TYPE_CHECKING:
    from device.update.trust.trusted import Trusted

MOST_BYTES = 32 * 1024 * 1024
"""Of a model's release, packed or unpacked: it is in memory as a whole."""
MOST_SOFTWARE_BYTES = 512 * 1024 * 1024
"""Of software, for one board."""
LOCK, WHEEL = "lock.txt", ".whl"

Get = Callable[[Wanted], bytes]
"""Returns a file's bytes, compared with what was signed."""


def newest(trusted: "Trusted", get: Get, asked: Asked, name: str) -> int:
    """The number of the release of this name that the board may have; 0: none.

    Raises:
        FieldguideError: if that cannot be known.
    """
    stage = _rollout(trusted, get).stage(asked.group, name)
    return stage.offered(name, asked.device) if stage else 0


def unknown_group(trusted: "Trusted", get: Get, asked: Asked) -> str:
    """The board's own group, if nothing was ever rolled out to it; empty otherwise.

    Raises:
        FieldguideError: if that cannot be known.
    """
    known = (rollout.ALL, *_rollout(trusted, get).groups)
    return "" if asked.group in known else asked.group


def _rollout(trusted: "Trusted", get: Get) -> rollout.Rollout:
    return rollout.parse(get(trusted.wanted(ROLLOUT_TARGET, rollout.MAX_BYTES)))


def release(trusted: "Trusted", get: Get, name: str, number: int) -> Release:
    """What a release is made of.

    Raises:
        FieldguideError: if it is not signed by who may, damaged, or too large.
    """
    target = record.record_target(name, number)
    found = record.parse(get(trusted.wanted(target, record.MAX_BYTES)), name, number)
    most = _most(found)
    if sum(file.bytes for file in files_for_board(found)) > most:
        raise UpdateError(f"{found.id}: more than {most:,} bytes")
    return found


def files_for_board(found: Release) -> Sequence[ReleaseFile]:
    """What this board needs of a release.

    Raises:
        UnfitError: if the software has nothing for boards of this kind.
    """
    if found.name != SOFTWARE:
        return found.files
    python, machine = platform.python_version(), platform.machine()
    system = system_key(python, machine)
    if not any(system in file.systems for file in found.files):
        raise UnfitError(f"{found.id} is not for Python {python} on {machine}")
    kept = [file for file in found.files if file.is_for(system)]
    return [file for file in kept if file.name == LOCK or file.name.endswith(WHEEL)]


def wanted(trusted: "Trusted", found: Release) -> list[tuple[ReleaseFile, Wanted]]:
    """What to fetch for each file of a release.

    Raises:
        UpdateError: if one is not signed by who may, or all are too large.
    """
    most = _most(found)
    files = [(file, trusted.wanted(file.target, most)) for file in files_for_board(found)]
    for file, each in files:
        if not file.packed and each.size_bytes != file.bytes:
            raise UpdateError(f"{file.target}: its length is not what the release says")
    if sum(each.size_bytes for _, each in files) > most:
        raise UpdateError(f"{found.id}: more than {most:,} bytes")
    return files


def _most(found: Release) -> int:
    return MOST_SOFTWARE_BYTES if found.name == SOFTWARE else MOST_BYTES
