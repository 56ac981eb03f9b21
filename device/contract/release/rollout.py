"""`rollout.json`: which release each group of boards may have. It is a signed target.

A board is in a stage if a hash of the release and of its own id is below the percentage. So
raising the percentage only adds boards, no list of boards is needed, and another release begins
with other boards.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from device.contract.release.naming import ROLLOUT_TARGET, is_name, is_number, release_id
from device.errors import ReleaseError

SCHEMA = 1
MAX_BYTES = 1024 * 1024
"""Most of `rollout.json`."""
ALL = "all"
"""The group of boards whose own group says nothing of a name."""
MILLION = 1_000_000
MAX_DECIMALS = 4
"""Of a percentage: 0.0001% is one board of a million."""


@dataclass(frozen=True)
class Stage:
    """How far one release has come in one group."""

    release: int
    """Its number."""
    percent: float
    """The share of boards that may have it, 0..100, with up to `MAX_DECIMALS` decimals."""
    halted: bool = False
    """Whether no more boards take it."""
    base: int = 0
    """The newest release that every board of the group may have; 0: none."""

    def offered(self, name: str, device_id: str) -> int:
        """The number of the release that a board may have; 0: none.

        Args:
            name: of the releases.
            device_id: of the board.
        """
        taken = not self.halted and is_in(release_id(name, self.release), self.percent, device_id)
        return self.release if taken else self.base


@dataclass(frozen=True)
class Rollout:
    """What all boards may have: stages by group and name."""

    groups: Mapping[str, Mapping[str, Stage]] = field(default_factory=dict)

    def stage(self, group: str, name: str) -> Stage | None:
        """What counts for boards of a group: its own stage, or else that of `ALL`; or None."""
        own = self.groups.get(group, {}).get(name)
        return own or self.groups.get(ALL, {}).get(name)

    def with_stage(self, group: str, name: str, stage: Stage) -> "Rollout":
        """The same with one stage put in."""
        return Rollout({**self.groups, group: {**self.groups.get(group, {}), name: stage}})

    def to_json(self) -> bytes:
        """What `rollout.json` holds."""
        groups = {
            group: {name: asdict(stage) for name, stage in stages.items()}
            for group, stages in self.groups.items()
        }
        record = {"schema": SCHEMA, "groups": groups}
        return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def is_in(release: str, percent: float, device_id: str) -> bool:
    """Whether a board is among the first so many percent for a release.

    Args:
        release: its id, `NAME/NUMBER`.
        percent: 0..100.
        device_id: of the board.
    """
    digest = hashlib.sha256(f"{release}\n{device_id}".encode()).digest()
    return int.from_bytes(digest, "big") % MILLION < round(percent * MILLION / 100)


def is_percent(value: object) -> bool:
    """Whether it is a percentage that a stage may have."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= 100 and math.isclose(value, round(value, MAX_DECIMALS), abs_tol=1e-9)


def parse(data: bytes) -> Rollout:
    """Read `rollout.json`.

    Raises:
        ReleaseError: if it is damaged or of a newer schema.
    """
    try:
        record = json.loads(data[: MAX_BYTES + 1])
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{ROLLOUT_TARGET} is not JSON") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ReleaseError(f"{ROLLOUT_TARGET} is of another version: update the device package")
    # Fields that this version does not know are left alone: a newer publisher may add some.
    groups = record.get("groups")
    if not isinstance(groups, dict) or not all(map(is_name, groups)):
        raise ReleaseError(f"{ROLLOUT_TARGET}: its groups are damaged")
    return Rollout({group: _stages(stages) for group, stages in groups.items()})


def _stages(record: Any) -> Mapping[str, Stage]:
    if not isinstance(record, dict) or not all(map(is_name, record)):
        raise ReleaseError(f"{ROLLOUT_TARGET}: its names are damaged")
    return {name: _stage(each) for name, each in record.items()}


def _stage(record: Any) -> Stage:
    known = record if isinstance(record, dict) else {}
    release, base = known.get("release"), known.get("base")
    whole = (
        is_number(release)
        and is_percent(known.get("percent"))
        and isinstance(known.get("halted"), bool)
        and (is_number(base) or (base == 0 and isinstance(base, int) and base is not False))
    )
    if not whole:
        raise ReleaseError(f"{ROLLOUT_TARGET}: a stage is damaged")
    return Stage(known["release"], known["percent"], known["halted"], known["base"])
