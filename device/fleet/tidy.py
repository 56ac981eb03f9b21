"""Removes what no board can want any more: lists that were replaced long ago, and their files.

What boards may fetch is what a list names that is current, or that was replaced so short a time ago
that a slow cache may still show it to a board whose clock is wrong. Only a file that an old list
names, and no list that stays, is removed: whatever else lies in the folder is somebody else's.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tuf.api.metadata import Metadata, Snapshot, Targets

from device.contract.release.naming import SIGNED_FIELD
from device.fleet.errors import FleetError
from device.fleet.signing.folder import Fleet, all_versions
from device.fleet.signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, now, terms
from device.fleet.signing.state import State, load

Versions = Mapping[int, Metadata[Targets] | Metadata[Snapshot]]
"""What a role signed, oldest first."""


@dataclass(frozen=True)
class Gone:
    """A file that is to be removed."""

    path: Path
    since: datetime
    """When what named it, or replaced it, was signed."""


def plan(fleet: Fleet, state: State) -> list[Gone]:
    """What to remove, in an order in which a kill anywhere leaves what another call removes.

    Raises:
        FleetError: if what boards may fetch is not known for sure; nothing was removed.
        OSError: if the folder cannot be read.
    """
    # By a clock that is years ahead everything would be old, and these would have expired.
    state.check_expired(ROOT, TARGETS)
    if not state.is_complete():
        raise FleetError("boards are not told yet all that is signed: `make fleet-refresh` first")
    below = {k: v for k, v in all_versions(fleet).items() if k not in (ROOT, TIMESTAMP)}
    known = {role: _versions(fleet, role, found) for role, found in below.items()}
    stays = _staying(known)
    kept = {path for role, number in stays for path in _named(fleet, known[role][number])}
    files: dict[Path, datetime] = {}
    lists = []
    for role, versions in known.items():
        for number, replaced in _replaced(versions).items():
            if (role, number) in stays:
                continue
            lists.append(Gone(fleet.metadata / f"{number}.{role}.json", replaced))
            for path in _named(fleet, versions[number]):
                files[path] = max(replaced, files.get(path, replaced))
    # A list goes after what it names: what is left after a kill is still known to be old.
    found = [Gone(path, since) for path, since in files.items() if path not in kept]
    return [*sorted((each for each in found if each.path.is_file()), key=_by_path), *lists]


def remove_empty_folders(fleet: Fleet) -> None:
    """Remove folders of releases of which nothing is left.

    Raises:
        OSError: if the disk refuses.
    """
    for folder in sorted(fleet.targets.rglob("*/"), reverse=True):
        if not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()


def longest() -> timedelta:
    """For how long what any role signs holds."""
    return timedelta(days=terms(ROOT).days)


def _by_path(gone: Gone) -> Path:
    return gone.path


def _versions(fleet: Fleet, role: str, numbers: Collection[int]) -> Versions:
    found: dict[int, Metadata[Targets] | Metadata[Snapshot]] = {}
    for number in range(min(numbers), max(numbers) + 1):
        # One that is missing stops all: only it would say what boards may still fetch.
        path = fleet.metadata / f"{number}.{role}.json"
        found[number] = load(path, Snapshot) if role == SNAPSHOT else load(path, Targets)
    return found


def _staying(known: Mapping[str, Versions]) -> set[tuple[str, int]]:
    """Each role's newest, what was replaced lately, and what a snapshot names that stays."""
    oldest = now() - longest()
    stays = set()
    for role, versions in known.items():
        replaced = _replaced(versions)
        stays |= {(role, n) for n in versions if n not in replaced or replaced[n] > oldest}
    for number, found in known[SNAPSHOT].items():
        if (SNAPSHOT, number) in stays and isinstance(found.signed, Snapshot):
            named = found.signed.meta.items()
            stays |= {(name.removesuffix(".json"), meta.version) for name, meta in named}
    first = {role: min(number for each, number in stays if each == role) for role in known}
    # And all that came after: a gap would be taken for a list that is missing.
    return {(role, n) for role, versions in known.items() for n in versions if n >= first[role]}


def _replaced(versions: Versions) -> dict[int, datetime]:
    """When the next version was signed, of all that have one."""
    return {number: _signed(versions[number + 1]) for number in versions if number + 1 in versions}


def _signed(found: Metadata[Targets] | Metadata[Snapshot]) -> datetime:
    """When it was signed; now if it does not say so."""
    moment_s = found.signed.unrecognized_fields.get(SIGNED_FIELD)
    return datetime.fromtimestamp(moment_s, UTC) if isinstance(moment_s, int) else now()


def _named(fleet: Fleet, found: Metadata[Targets] | Metadata[Snapshot]) -> Iterator[Path]:
    """The files that a list names, as they are kept; none outside of the folder."""
    targets = found.signed.targets if isinstance(found.signed, Targets) else {}
    home = fleet.targets.resolve()
    for target in targets.values():
        path = fleet.targets / target.get_prefixed_paths()[0]
        if path.resolve().is_relative_to(home):
            yield path
