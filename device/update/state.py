"""What updates remember: a small file for each of the two processes, which survives power cuts.

`Checks` belongs to the process with the network, `Progress` to the one that installs.
"""

from dataclasses import dataclass, field

from device.settings.reader import setting
from device.telemetry.updates import Health
from device.update.trust.floor import Uptime

STATE_FILE = "state.json"
IDLE, INSTALLING, TRIAL, WATCH, BACK = STAGES = ("", "installing", "trial", "watch", "going back")
"""What is being done about a release: nothing; it is being written; it is current, and not
confirmed yet; it is confirmed, and watched for a day; it has failed, and the one before returns."""


@dataclass(frozen=True)
class Checks:
    """What the process with the network knows."""

    of: str = ""
    """What was asked for: another address or root has other timestamps."""
    floor_s: float = 0.0
    """No time before it is believed, Unix time."""
    uptime: Uptime = field(default_factory=Uptime)
    checked_unix_s: float = 0.0
    """When the server last answered with success, by clock or floor; 0: never."""
    due_s: float = 0.0
    """When to ask again, as `Uptime.total_s`."""
    hurry: int = 0
    """The last `Asked.hurry` that was followed."""
    verified: bool = False
    """Whether a time server had set the clock at the last check."""
    problem: str = ""
    """Why the last check failed; empty if it did not."""
    away: str = ""
    """What is waited for before anything can be asked, which is no fault; empty if nothing is."""
    cut: bool = False
    """Whether it went away while it was read: what was fetched may not fit together yet."""
    expired: bool = False
    """Whether it failed only because all is too old by this clock."""
    timestamp_version: int = 0
    fresh_s: float = 0.0
    """When a newer timestamp last came, as `Uptime.total_s`."""
    frozen: bool = False
    """Whether none has come for so long that somebody may be holding them back."""
    latest: int = 0
    """The newest release meant for this board; 0: none."""
    unknown_group: str = ""
    """The board's group, if nothing was ever rolled out to it; empty otherwise."""
    software: int = 0
    """The same of the software's own releases."""
    software_problem: str = ""
    """Why that is not known, or not fetched; empty if it is."""
    by: str = ""
    """Which software asked, as `device.telemetry.updates.running_software` names it."""


@dataclass(frozen=True)
class Progress:
    """What the process that installs knows."""

    of: str = ""
    """Whose releases these are, by root and name: numbers of others mean nothing."""
    floor_s: float = 0.0
    """As in `Checks`, but its own."""
    uptime: Uptime = field(default_factory=Uptime)
    taken: int = 0
    """The highest release that was tried; none of a lower or equal number is taken any more."""
    applied: int = 0
    """The release that was confirmed last; 0: none."""
    returns_to: int = 0
    """What `applied` was before it."""
    release: int = 0
    """The release that the stage is about."""
    digest: str = ""
    """Of its manifest; of software, of its wheels and lock."""
    stage: str = setting(IDLE, choices=STAGES)
    attempts: int = 0
    """How often installing it was begun."""
    began_s: float = 0.0
    """When the stage began, as `Uptime.total_s`."""
    served_s: float = 0.0
    """How long the service has run with frames in this stage."""
    before: Health = field(default_factory=Health)
    """The service before the release came."""
    failed: tuple[str, ...] = ()
    """Releases that led back, each with its reason."""
    refused: tuple[str, ...] = ()
    """Their digests: the same under a higher number is the same."""
    problem: str = ""
    """Why the last one was not installed; empty if it was."""
    waits: str = ""
    """What the newest one waits for; empty if for nothing."""
    hurry: int = 0
    """How often somebody wanted a release now."""
    hurry_until_s: float = 0.0
    """Until then hours do not matter, as `Uptime.total_s`."""
    boots: int = 0
    """Starts in a row with software on trial, each of less than a minute."""
    by: str = ""
    """Which software did the last pass."""
