"""`release.json`: the files of one release. It is itself a signed target, so all of it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from device.contract.release.naming import (
    PACKED,
    RECORD_FILE,
    SOFTWARE,
    WHEELS,
    is_file_name,
    is_name,
    is_number,
    release_id,
    target_of,
)
from device.errors import ReleaseError

SCHEMA = 1
MAX_BYTES = 256 * 1024
"""Most of `release.json`."""
MAX_FILES = 500
MAX_FILE_BYTES = 512 * 2**20
MAX_ABOUT = 200
"""Most characters of `Release.about`."""


@dataclass(frozen=True)
class ReleaseFile:
    """One file of a release."""

    name: str
    """What it is called on the board."""
    target: str
    """Where it is in the repository: of this release, or a wheel that releases share."""
    bytes: int
    """Its length on the board, after unpacking; 0..`MAX_FILE_BYTES`."""
    systems: tuple[str, ...] = ()
    """The boards that need it, as `system_key` names them; empty: all."""

    @property
    def packed(self) -> bool:
        """Whether the target is compressed."""
        return self.target == f"{self.target.rpartition('/')[0]}/{self.name}{PACKED}"

    def is_for(self, system: str) -> bool:
        """Whether a board of this system needs it."""
        return not self.systems or system in self.systems


@dataclass(frozen=True)
class Release:
    """What one release is made of."""

    name: str
    """Of which releases it is one: a model's name, or `software`."""
    number: int
    """1 and up; never twice."""
    about: str
    """For people: a bundle's name and commit, or a version."""
    files: tuple[ReleaseFile, ...]
    """Without `release.json` itself."""

    @property
    def id(self) -> str:
        """`NAME/NUMBER`."""
        return release_id(self.name, self.number)

    def to_json(self) -> bytes:
        """What `release.json` holds."""
        record = {"schema": SCHEMA, **asdict(self)}
        return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def record_target(name: str, number: int) -> str:
    """The target that says what a release is made of.

    Raises:
        ReleaseError: if name or number are not allowed.
    """
    return target_of(name, number, RECORD_FILE)


def system_key(python: str, machine: str) -> str:
    """How a release names boards of one Python and processor.

    Args:
        python: such as 3.11 or 3.11.2.
        machine: such as aarch64.
    """
    return f"{'.'.join(python.split('.')[:2])}-{machine}"


def parse(data: bytes, name: str, number: int) -> Release:
    """Read the record of a release that was asked for.

    Args:
        data: of `release.json`.
        name: of which releases it must be one.
        number: that it must have.

    Raises:
        ReleaseError: if it is damaged, of another release, or of a newer schema.
    """
    wanted = release_id(name, number)
    try:
        record = json.loads(data[: MAX_BYTES + 1])
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{RECORD_FILE} of {wanted} is not JSON") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ReleaseError(
            f"{RECORD_FILE} of {wanted} is of another version: update the device package"
        )
    # Fields that this version does not know are left alone: a newer publisher may add some.
    if (record.get("name"), record.get("number")) != (name, number) or not _is_whole(record):
        raise ReleaseError(f"{RECORD_FILE} of {wanted} is damaged, or of another release")
    files = tuple(_file(each, wanted) for each in record["files"])
    if len({file.name for file in files}) != len(files):
        raise ReleaseError(f"{RECORD_FILE} of {wanted} names a file twice")
    return Release(name, number, record["about"], files)


def _is_whole(record: Mapping[str, Any]) -> bool:
    about, files = record.get("about"), record.get("files")
    return (
        is_name(record.get("name"))
        and is_number(record.get("number"))
        and isinstance(about, str)
        and len(about) <= MAX_ABOUT
        and isinstance(files, list)
        and 1 <= len(files) <= MAX_FILES
    )


def _file(record: Any, wanted: str) -> ReleaseFile:
    """One file's record; its target must be of this release, or a shared wheel of software."""
    known = record if isinstance(record, dict) else {}
    name, length, systems = known.get("name"), known.get("bytes"), known.get("systems")
    places = [wanted, WHEELS] if wanted.startswith(f"{SOFTWARE}/") else [wanted]
    allowed = [f"{place}/{name}{end}" for place in places for end in ("", PACKED)]
    whole = (
        is_file_name(name)
        and name != RECORD_FILE
        and known.get("target") in allowed
        and isinstance(length, int)
        and not isinstance(length, bool)
        and 0 <= length <= MAX_FILE_BYTES
        and isinstance(systems, list)
        and all(is_file_name(system) for system in systems)
    )
    if not whole:
        raise ReleaseError(f"{RECORD_FILE} of {wanted}: the record of a file is damaged")
    return ReleaseFile(str(name), known["target"], known["bytes"], tuple(known["systems"]))
