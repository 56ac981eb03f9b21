"""Names that a fleet has, so that a misspelt one is refused before anything is signed.

They are read from the files of the folder by the standard library alone, and nothing is verified:
`make` asks before it installs what verifies. Whoever signs compares all signatures then.
"""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device.contract.release import rollout
from device.contract.release.naming import (
    ROLLOUT_ROLE,
    ROLLOUT_TARGET,
    SOFTWARE,
    check_name,
    is_name,
)
from device.errors import ReleaseError
from device.fleet.errors import FleetError
from device.fleet.signing.folder import Fleet, all_versions
from device.fleet.signing.roles import TOP

MODEL = "model-"
"""A role that signs releases of a model begins with this."""


def check_release(fleet: Fleet, name: str) -> None:
    """Refuse a name of which nothing was ever published.

    Raises:
        FieldguideError: naming those that there are.
    """
    known = _releases(fleet)
    if check_name(name) not in known:
        raise FleetError(
            f"nothing is published as {name}; {_told(known, name)}: "
            f"`make publish NAME={name} BUNDLE=...` makes the first"
        )


def check_to_publish(fleet: Fleet, name: str, *, new: bool) -> None:
    """Refuse to begin releases of another name, unless somebody said that it is new.

    That of the device package is published by another command. The first name of a fleet is taken
    as it is: there is none that it could be a slip for.

    Raises:
        FieldguideError: naming those that there are.
    """
    known = [each for each in _releases(fleet) if each != SOFTWARE]
    if check_name(name) == SOFTWARE:
        raise FleetError("software is the name of the device package: `make publish-software`")
    if name not in known and known and not new:
        raise FleetError(
            f"nothing was published as {name} before; {_told(known, name)}: if it is to begin, "
            "give NEW=1"
        )


def check_group(fleet: Fleet, group: str, *, new: bool = False) -> None:
    """Refuse a group that nothing was ever rolled out to, unless somebody said that it is new.

    Raises:
        FieldguideError: naming those that there are.
    """
    if not is_name(group):
        raise FleetError(f"GROUP={group}: up to 32 of a-z, 0-9 and -, such as garden")
    known = list(dict.fromkeys([rollout.ALL, *_rollout(fleet).groups]))
    if group not in known and not new:
        raise FleetError(
            f"GROUP={group}: nothing was ever rolled out to this group; {_told(known, group)}: "
            "if boards are in it all the same, give NEW=1"
        )


def check_role(fleet: Fleet, role: str) -> None:
    """Refuse a role that the fleet has not.

    Raises:
        FleetError: naming those that there are.
    """
    known = [*TOP, *(each for each in sorted(all_versions(fleet)) if each not in TOP)]
    if role not in known:
        raise FleetError(f"no role is called {role!r}; {_told(known, role)}")


def _releases(fleet: Fleet) -> list[str]:
    roles = sorted(all_versions(fleet))
    return [*(each.removeprefix(MODEL) for each in roles if each.startswith(MODEL)), SOFTWARE]


def _rollout(fleet: Fleet) -> rollout.Rollout:
    """What the newest file says; as empty as a fleet begins if there is none."""
    versions = all_versions(fleet).get(ROLLOUT_ROLE)
    if not versions:
        return rollout.Rollout()
    path = fleet.metadata / f"{max(versions)}.{ROLLOUT_ROLE}.json"
    try:
        signed: Any = json.loads(path.read_bytes())["signed"]
        digest = str(signed["targets"][ROLLOUT_TARGET]["hashes"]["sha256"])
        path = fleet.targets / f"{Path(digest).name}.{ROLLOUT_TARGET}"
        return rollout.parse(path.read_bytes())
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; copy it back from what is served") from error
    except (ValueError, LookupError, TypeError, RecursionError, ReleaseError) as error:
        raise FleetError(f"{path}: damaged; copy it back from what is served") from error


def _told(known: Sequence[str], name: str) -> str:
    """Which names there are, and which of them was meant."""
    near = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}{meant}"
