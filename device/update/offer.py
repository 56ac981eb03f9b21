"""What is offered to this board, and the files of it: the same questions for both processes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from device.contract.release import record, rollout
from device.contract.release.naming import ROLLOUT_TARGET
from device.contract.release.record import Release, ReleaseFile
from device.errors import UpdateError
from device.update.asked import Asked
from device.update.trust.fetch import Wanted

if TYPE_CHECKING:
    from device.update.trust.trusted import Trusted

MOST_BYTES = 32 * 1024 * 1024
"""Of a model's release, packed or unpacked: it is in memory as a whole."""

Get = Callable[[Wanted], bytes]
"""Returns a file's bytes, compared with what was signed."""


def newest(trusted: "Trusted", get: Get, asked: Asked) -> int:
    """The number of the release that this board may have; 0: none.

    Raises:
        FieldguideError: if that cannot be known.
    """
    data = get(trusted.wanted(ROLLOUT_TARGET, rollout.MAX_BYTES))
    stage = rollout.parse(data).stage(asked.group, asked.name)
    return stage.offered(asked.name, asked.device) if stage else 0


def release(trusted: "Trusted", get: Get, name: str, number: int) -> Release:
    """What a release is made of.

    Raises:
        FieldguideError: if it is not signed by who may, damaged, or too large.
    """
    target = record.record_target(name, number)
    found = record.parse(get(trusted.wanted(target, record.MAX_BYTES)), name, number)
    if sum(file.bytes for file in found.files) > MOST_BYTES:
        raise UpdateError(f"{found.id}: more than {MOST_BYTES:,} bytes")
    return found


def wanted(trusted: "Trusted", found: Release) -> list[tuple[ReleaseFile, Wanted]]:
    """What to fetch for each file of a release.

    Raises:
        UpdateError: if one is not signed by who may, or all are too large.
    """
    files = [(file, trusted.wanted(file.target, MOST_BYTES)) for file in found.files]
    for file, each in files:
        if not file.packed and each.size_bytes != file.bytes:
            raise UpdateError(f"{file.target}: its length is not what the release says")
    if sum(each.size_bytes for _, each in files) > MOST_BYTES:
        raise UpdateError(f"{found.id}: more than {MOST_BYTES:,} bytes")
    return files
