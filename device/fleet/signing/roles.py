"""Who signs what: roles, their numbers of keys, and for how long their word holds.

`root` says which keys the other top roles have, `targets` says who may sign which releases, and
each name of releases has a role of its own. These are signed with keys that lie elsewhere. The
publisher, which may be a server with a timer, has only the keys of `PUBLISHER`: whoever steals
them can delay, or choose among signed releases, and make none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from device.contract.release.naming import ROLLOUT_ROLE, SOFTWARE

ROOT, TARGETS, SNAPSHOT, TIMESTAMP = "root", "targets", "snapshot", "timestamp"
TOP = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
"""Roles whose keys `root` names; `targets` names those of all others."""
PUBLISHER = (ROLLOUT_ROLE, SNAPSHOT, TIMESTAMP)


@dataclass(frozen=True)
class Terms:
    """What a role begins with."""

    keys: int
    threshold: int
    """How many of them must sign."""
    days: int
    """From signing until it expires."""


_TERMS = {
    ROOT: Terms(keys=3, threshold=2, days=730),
    TARGETS: Terms(keys=2, threshold=1, days=365),
    SOFTWARE: Terms(keys=2, threshold=2, days=365),
    ROLLOUT_ROLE: Terms(keys=1, threshold=1, days=30),
    SNAPSHOT: Terms(keys=1, threshold=1, days=30),
    TIMESTAMP: Terms(keys=1, threshold=1, days=14),
}
_MODEL = Terms(keys=1, threshold=1, days=365)


def terms(role: str) -> Terms:
    """The terms of a role; those that sign models have equal ones."""
    return _TERMS.get(role, _MODEL)


def now() -> datetime:
    """The time by this workstation's clock, UTC, in whole seconds as metadata has it."""
    return datetime.now(UTC).replace(microsecond=0)


def expiry(role: str) -> datetime:
    """When what is signed now expires."""
    return now() + timedelta(days=terms(role).days)


def is_due(role: str, expires: datetime) -> bool:
    """Whether less than half of a role's time is left, so that it is time to sign again."""
    return expires - now() < timedelta(days=terms(role).days) / 2
