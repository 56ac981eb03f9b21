"""What boards are offered: raising a stage, halting it."""

from dataclasses import replace

from device.contract.release.naming import (
    ROLLOUT_ROLE,
    ROLLOUT_TARGET,
    check_name,
    release_id,
)
from device.contract.release.rollout import Rollout, Stage
from device.fleet import releases
from device.fleet.errors import FleetError
from device.fleet.signing.change import Change
from device.fleet.signing.roles import ROOT, TARGETS


def promote(
    change: Change,
    name: str,
    percent: float,
    group: str,
    *,
    number: int = 0,
    lower: bool = False,
    resume: bool = False,
) -> Stage:
    """The stage that is to be offered.

    Args:
        change: of the fleet.
        name: of the releases.
        percent: of the group's boards, 0..100.
        group: of boards.
        number: of the release; 0: the newest.
        lower: whether the percentage may fall.
        resume: whether a halted release may go on.

    Raises:
        FleetError: if this would take back what was said, and neither `lower` nor `resume` allow
            it, or if there is no such release.
    """
    wanted = _release(change, name, number)
    old = releases.read_rollout(change.fleet, change.state).stage(group, name)
    if old is None:
        return Stage(wanted, percent)
    if wanted == old.release:
        return _same_release(name, group, replace(old, percent=percent), old, lower, resume)
    if wanted < old.release:
        raise FleetError(
            f"boards of {group} are offered {release_id(name, old.release)} and never go to a "
            "lower number: publish the old bundle again, which gives it a new one"
        )
    base = old.release if old.percent == 100 and not old.halted else old.base
    return Stage(wanted, percent, base=base)


def groups(change: Change, name: str) -> list[str]:
    """The groups that have a stage of their own for releases of a name, sorted."""
    rollout = releases.read_rollout(change.fleet, change.state)
    return sorted(group for group, named in rollout.groups.items() if name in named)


def halt(change: Change, name: str, group: str) -> Stage:
    """The stage with no more boards.

    Raises:
        FleetError: if nothing is offered.
    """
    old = releases.read_rollout(change.fleet, change.state).stage(group, check_name(name))
    if old is None:
        raise FleetError(f"boards of {group} are offered no {name}: nothing to halt")
    return replace(old, halted=True)


def write(change: Change, name: str, group: str, stage: Stage) -> None:
    """Sign and write what boards are offered.

    Raises:
        FleetError: if a key is missing or does not open; nothing was written then.
        OSError: if the disk refuses.
    """
    change.state.check_expired(ROOT, TARGETS)
    known = releases.read_rollout(change.fleet, change.state)
    write_rollout(change, known.with_stage(group, name, stage))


def write_rollout(change: Change, rollout: Rollout) -> None:
    """Sign and write what all boards are offered; errors as for `write`."""
    change.add_file(ROLLOUT_ROLE, ROLLOUT_TARGET, rollout.to_json())
    change.write()


def _release(change: Change, name: str, number: int) -> int:
    known = releases.numbers(change.state, check_name(name))
    if not known:
        raise FleetError(f"nothing is published as {name}: `make publish NAME={name} BUNDLE=...`")
    if number and number not in known:
        raise FleetError(f"there is no {release_id(name, number)}; the newest is {known[-1]}")
    return number or known[-1]


def _same_release(
    name: str, group: str, new: Stage, old: Stage, lower: bool, resume: bool
) -> Stage:
    what = f"{release_id(name, old.release)} in {group}"
    if old.halted and not resume:
        raise FleetError(f"{what} is halted: publish a better one, or let it go on with RESUME=1")
    if new.percent < old.percent and not lower:
        raise FleetError(
            f"{what} is at {old.percent:g}%: LOWER=1 offers it to fewer boards; those that have it "
            "keep it"
        )
    return replace(new, halted=False)
