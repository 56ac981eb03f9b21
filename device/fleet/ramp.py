"""Raises what boards are offered by stages, or halts it, by what the boards tell of it.

One look at a time, so that a timer can call it. What a look knows of those before is in
`ramp.json` beside the keys; if that file is lost, the stage's window begins again, and no more.
"""

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from device.contract.release.naming import check_name
from device.contract.release.rollout import Stage
from device.errors import ConfigError, one_line
from device.files import write_bytes
from device.fleet.boards import Ran, Told
from device.fleet.errors import FleetError
from device.fleet.releases import read_rollout
from device.fleet.signing.change import Change
from device.settings import reader
from device.workstation.measures import wilson

PERCENTS = (1.0, 10.0, 50.0, 100.0)
MOST_FAILED = 0.02
"""Of the boards that try a release in a stage."""
ENOUGH = 0.8
"""Of the boards that have begun, so many must be done before a stage is raised."""
BACK = "going back"
RAMP_FILE = "ramp.json"


@dataclass(frozen=True)
class Counts:
    """Boards, by what a release has come to on them."""

    answered: int = 0
    """All that fetch releases of this name."""
    confirmed: int = 0
    failed: int = 0
    working: int = 0
    """It is meant for them, and neither confirmed nor failed."""

    def words(self) -> str:
        """For people."""
        return (
            f"{self.confirmed} boards have confirmed it, {self.failed} went back from it, "
            f"{self.working} are not done; {self.answered} answered"
        )

    @property
    def tried(self) -> int:
        """Boards on which it has ended, well or badly."""
        return self.confirmed + self.failed

    def since(self, begin: "Counts") -> "Counts":
        """What has come since; no count is below 0."""
        failed = max(0, self.failed - begin.failed)
        return Counts(confirmed=max(failed, self.tried - begin.tried) - failed, failed=failed)


@dataclass(frozen=True)
class Known:
    """What is kept of a stage."""

    release: int = 0
    percent: float = 0.0
    halted: bool = False
    since_s: float = 0.0
    """When it began, Unix time."""
    begin: Counts = field(default_factory=Counts)
    """What had come before it."""
    latest: Counts = field(default_factory=Counts)
    """At the last look."""


@dataclass(frozen=True)
class Verdict:
    """What a look leads to: at most one of the three is not empty."""

    halt: str = ""
    """Why no more boards may take the release."""
    waits: str = ""
    """Why more boards may not take it yet."""
    percent: float = 0.0
    """What it is raised to; 0: it stays."""

    def words(self, stage: Stage) -> str:
        """For people, of a stage."""
        if self.halt or self.waits:
            return (
                f"halted: {self.halt}"
                if self.halt
                else f"stays at {stage.percent:g}%: {self.waits}"
            )
        return "all boards are offered it" if not self.percent else "all is well"


def offered(change: Change, name: str, group: str) -> Stage:
    """What boards of a group are offered.

    Raises:
        FleetError: if that is nothing yet: a person begins.
    """
    stage = read_rollout(change.fleet, change.state).stage(group, check_name(name))
    if stage is None or not stage.percent:
        raise FleetError(
            f"boards of {group} are offered no {name}: begin with `make promote NAME={name} "
            "PERCENT=1`"
        )
    return stage


def remember(change: Change, name: str, group: str, stage: Stage, counts: Counts) -> Known:
    """Note a look, for the next one; returns all that is known of the stage.

    Raises:
        FleetError: if what was kept is damaged.
        OSError: if the disk refuses.
    """
    path, key = change.fleet.path / RAMP_FILE, f"{group}/{name}"
    known = read(path)
    known[key] = advanced(known.get(key, Known()), stage, counts, time.time())
    write(path, known)
    return known[key]


def counted(told: Iterable[Told], name: str, number: int) -> Counts:
    """Count the boards of a group.

    Args:
        told: what they say.
        name: of the releases.
        number: of the release that is judged.
    """
    ours = [ran for each in told for ran in each.fetched if ran.name == name]
    states = [_state(each, number) for each in ours]
    return Counts(len(ours), *(states.count(one) for one in ("confirmed", "failed", "working")))


def advanced(known: Known, stage: Stage, counts: Counts, now_s: float) -> Known:
    """What is kept after this look: another stage begins a window of its own.

    Args:
        known: from the look before.
        stage: what is offered now.
        counts: of its release.
        now_s: Unix time.
    """
    now = (stage.release, stage.percent, stage.halted)
    if (known.release, known.percent, known.halted) != now:
        begin = known.latest if known.release == stage.release else Counts()
        known = Known(*now, since_s=now_s, begin=begin)
    # A clock that was set back must not hold a stage for ever.
    return replace(known, since_s=min(known.since_s, now_s), latest=counts)


def judged(known: Known, now_s: float, window_h: float) -> Verdict:
    """What a stage has shown.

    Args:
        known: of it, with this look.
        now_s: Unix time.
        window_h: for which each stage is watched, hours.
    """
    if known.halted:
        return Verdict(halt="it stays so; publish a better one, or `make promote ... RESUME=1`")
    counts, new = known.latest, known.latest.since(known.begin)
    if new.tried and wilson(new.failed / new.tried, new.tried)[0] > MOST_FAILED:
        return Verdict(halt=f"{new.failed} of {new.tried} boards that tried it went back")
    if waits := _waits(known, counts, now_s, window_h):
        return Verdict(waits=waits)
    return Verdict(percent=next((one for one in PERCENTS if one > known.percent), 0.0))


def read(path: Path) -> dict[str, Known]:
    """What is kept, by group and name.

    Raises:
        FleetError: if it is damaged.
    """
    try:
        record: Any = json.loads(path.read_bytes())
        if not isinstance(record, Mapping):
            raise ValueError("not a table")
        return {key: reader.read(Known, each) for key, each in record.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError, ConfigError) as error:
        raise FleetError(
            f"{path}: damaged ({one_line(error)}): remove it, and the stage is watched again"
        ) from error


def write(path: Path, known: Mapping[str, Known]) -> None:
    """Keep it.

    Raises:
        OSError: if the disk refuses.
    """
    record = {key: asdict(each) for key, each in known.items()}
    write_bytes(path, (json.dumps(record, indent=1) + "\n").encode(), durable=True)


def _state(ran: Ran, number: int) -> str:
    if ran.failed == number:
        return "failed"
    if ran.installed == number:
        return "working" if ran.stage == BACK else "confirmed"
    return "working" if ran.latest == number else "other"


def _waits(known: Known, counts: Counts, now_s: float, window_h: float) -> str:
    left_h = window_h - (now_s - known.since_s) / 3600
    if left_h > 0:
        return f"this stage is watched for {math.ceil(left_h)} more hours"
    if counts.confirmed < ENOUGH * (counts.confirmed + counts.working):
        return f"{counts.working} boards are not done with it"
    # Boards that a release has killed say nothing: too few are left then, by more than chance.
    due = counts.answered * known.percent / 100
    if counts.tried + counts.working < due - 3 * math.sqrt(due):
        return f"{counts.tried} boards tell of it, and about {due:.0f} should"
    return ""
