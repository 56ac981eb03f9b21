"""A new fleet: keys and first metadata, made in a hidden folder that becomes the fleet at once."""

import shutil
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import DelegatedRole, Metadata, Role, Root, Targets

from device.contract.release.naming import (
    ROLLOUT_ROLE,
    ROLLOUT_TARGET,
    SOFTWARE,
    paths_of,
    role_of,
)
from device.contract.release.rollout import Rollout
from device.files import sync
from device.fleet.errors import FleetError
from device.fleet.signing.change import Change
from device.fleet.signing.folder import Fleet
from device.fleet.signing.keys import Keyring, create
from device.fleet.signing.roles import PUBLISHER, ROOT, TARGETS, TOP, expiry, terms
from device.fleet.signing.state import State


def finish(fleet: Fleet) -> bool:
    """Finish what was cut short when all was written; whether that was so."""
    hidden = Fleet(fleet.hidden)
    cut_short = fleet.keys.exists() and hidden.public.exists() and not fleet.public.exists()
    if cut_short:
        _show(hidden.public, fleet.public)
    if fleet.public.exists():
        shutil.rmtree(hidden.path, ignore_errors=True)
    return cut_short


def make(fleet: Fleet, secret: str) -> None:
    """Make keys and metadata of all roles.

    Args:
        fleet: its folder exists.
        secret: the passphrase of the keys that are not the publisher's; empty: none.

    Raises:
        FleetError: if keys lie there already.
        OSError: if the disk refuses; there is no fleet then, and the folder can be used again.
    """
    if fleet.keys.exists():
        raise FleetError(
            f"{fleet.keys} exists, but {fleet.public} does not: move the keys away, or copy back "
            "what is served"
        )
    hidden = Fleet(fleet.hidden)
    shutil.rmtree(hidden.path, ignore_errors=True)
    _first(hidden, secret).write()
    _show(hidden.keys, fleet.keys)
    _show(hidden.public, fleet.public)
    hidden.path.rmdir()


def add_releases(state: State, keys: Path, name: str, secret: str) -> list[CryptoSigner]:
    """Let a new role sign releases of a name; returns its keys, which are made.

    Raises:
        ReleaseError: if that is no name.
    """
    return _delegate(state, keys, role_of(name), paths_of(name), secret)


def _first(hidden: Fleet, secret: str) -> Change:
    """All keys, and all metadata in its first version."""
    state = State(Metadata(Root(consistent_snapshot=True)), {TARGETS: Metadata(Targets())})
    for role in TOP:
        _top(state.root.signed, role, hidden.keys, "" if role in PUBLISHER else secret)
    _delegate(state, hidden.keys, ROLLOUT_ROLE, [ROLLOUT_TARGET], "")
    _delegate(state, hidden.keys, SOFTWARE, paths_of(SOFTWARE), secret)
    change = Change(hidden, Keyring([hidden.keys], ask=lambda _: secret), state)
    for role in (ROOT, *state.roles):
        change.touch(role)
    change.add_file(ROLLOUT_ROLE, ROLLOUT_TARGET, Rollout().to_json())
    return change


def _top(root: Root, role: str, keys: Path, secret: str) -> None:
    root.roles[role] = Role([], terms(role).threshold)
    for _ in range(terms(role).keys):
        root.add_key(create(role, keys, secret).public_key, role)


def _delegate(
    state: State, keys: Path, role: str, paths: list[str], secret: str
) -> list[CryptoSigner]:
    signers = [create(role, keys, secret) for _ in range(terms(role).keys)]
    public: dict[str, Key] = {each.public_key.keyid: each.public_key for each in signers}
    delegations = state.delegations
    delegations.keys.update(public)
    known = dict(delegations.roles or {})
    known[role] = DelegatedRole(role, [*public], terms(role).threshold, True, paths)
    delegations.roles = known
    state.roles[role] = Metadata(Targets(expires=expiry(role)))
    return signers


def _show(hidden: Path, path: Path) -> None:
    hidden.rename(path)
    sync(path.parent)
