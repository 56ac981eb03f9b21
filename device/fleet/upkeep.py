"""Signing again before it expires, and other keys."""

from collections.abc import Iterator, Sequence

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Key

from device.contract.release.naming import ROLLOUT_ROLE
from device.fleet.signing import keys
from device.fleet.signing.change import Change
from device.fleet.signing.roles import (
    PUBLISHER,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP,
    is_due,
    now,
    terms,
)


def refresh(change: Change) -> None:
    """Sign `timestamp` again, and what else of the publisher is due or not offered yet.

    Raises:
        FleetError: if the publisher's keys are not here; nothing was written then.
        OSError: if the disk refuses.
    """
    rollout = change.state.roles[ROLLOUT_ROLE].signed
    if is_due(ROLLOUT_ROLE, rollout.expires):
        change.touch(ROLLOUT_ROLE)
    change.touch(TIMESTAMP)
    change.write()


def renew(change: Change, role: str) -> None:
    """Sign a role again with its keys, so that it expires later.

    Raises:
        FleetError: if there is no such role, or its keys are not here; nothing was written then.
        OSError: if the disk refuses.
    """
    change.state.role(role)
    change.touch(role)
    change.write()


def rotate(change: Change, roles: Sequence[str], secret: str) -> dict[str, list[Key]]:
    """Give roles other keys; returns the old ones by role.

    The old keys sign what boards already trust once more, where they are here, so that a board
    that knows only the old root accepts it, too.

    Args:
        change: of the fleet.
        roles: which.
        secret: the passphrase of the new keys; empty: none.

    Raises:
        FleetError: if there is no such role, or who must sign it is not here; nothing was made.
        OSError: if the disk refuses.
    """
    state = change.state
    old = {role: state.keys(role) for role in roles}
    judges = {ROOT if role in TOP else TARGETS for role in roles}
    also = {role: _signers(change, role) for role in roles}
    _check_keys(change, {*judges, *_of_publisher(roles)} - {*roles} | judges & {ROOT})
    for role in roles:
        made = "" if role in PUBLISHER else secret
        new = [keys.create(role, change.fleet.keys, made) for _ in range(terms(role).keys)]
        change.keyring.remember(new)
        _replace(change, role, [each.public_key for each in new])
        change.touch(role, also[role])
    for judge in judges:
        change.touch(judge)
    change.write()
    return old


def warnings(change: Change) -> Iterator[str]:
    """A line for each key that nobody needs, and each role that a person must sign again soon."""
    state = change.state
    named = {keys.file_name("", key.keyid) for role in state.names() for key in state.keys(role)}
    for path in sorted(change.fleet.keys.glob("*.pem")):
        if not any(path.name.endswith(each) for each in named):
            yield f"{path} signs for no role: destroy it"
    for role in change.state.names():
        signed = change.state.signed(role)
        if role in PUBLISHER or signed is None:
            continue
        left = (signed.expires - now()).days
        if left < 0:
            yield f"{role} has expired: boards refuse what is new; `make fleet-renew ROLE={role}`"
        elif left < terms(role).days / 4:
            yield f"{role} expires in {left} days: `make fleet-renew ROLE={role}`"


def _signers(change: Change, role: str) -> list[CryptoSigner]:
    """The old keys that sign for boards that know only them; root cannot do without."""
    known, threshold = change.state.keys(role), change.state.role(role).threshold
    needed = role == ROOT or (role in TOP and change.keyring.has(known, threshold))
    return change.keyring.signers(role, known, threshold) if needed else []


def _of_publisher(roles: Sequence[str]) -> set[str]:
    """Who else must sign at once, so that no board is locked out by half of a change."""
    return {SNAPSHOT, TIMESTAMP} if {*roles} & {TARGETS, SNAPSHOT, TIMESTAMP} else set()


def _check_keys(change: Change, roles: set[str]) -> None:
    # Before new keys are made, which nothing would name.
    for role in sorted(roles):
        change.keyring.signers(role, change.state.keys(role), change.state.role(role).threshold)


def _replace(change: Change, role: str, new: list[Key]) -> None:
    judge = change.state.root.signed if role in TOP else change.state.targets
    for keyid in list(change.state.role(role).keyids):
        judge.revoke_key(keyid, role)
    for key in new:
        judge.add_key(key, role)
