"""What the process with the network is told: it may not read the settings, which hold passwords.

The process that installs, which is the service's user, writes it into a folder in which the other
one may only read.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from device.files import write_bytes
from device.telemetry.updates import MOST_BYTES, parse, running_software
from device.update.trust.fetch import NotThereError
from device.update.trust.regular import read_regular

FETCHED = Path("/var/lib/fieldguide-update")
ASKED = Path("/run/fieldguide-asked/asked.json")
SOFTWARE = Path("/var/lib/fieldguide-software")
INSTALLED = Path("/opt/fieldguide")
RUN = Path("/run/fieldguide-software")
DEPLOYING = Path("/run/fieldguide-deploying")
WHEELS_FOLDER = "wheels"
"""Below `Places.installed`: what a deployment brought."""


@dataclass(frozen=True)
class Places:
    """Where the processes meet."""

    fetched: Path = FETCHED
    """Of the user fieldguide-update, who has the network; the service's user may read there."""
    asked: Path = ASKED
    """Of the service's user; fieldguide-update may read it."""
    software: Path = SOFTWARE
    """Of root, who installs software; the service's user may read there."""
    installed: Path = INSTALLED
    """Of root: the software (`device.update.software.place`)."""
    deploying: Path = DEPLOYING
    """Of root: a deployment that goes on names the release that it prepares."""
    run: Path = RUN
    """Of root, and gone when its process ends."""
    runs: str = field(default_factory=running_software)
    """Which software this process is."""


@dataclass(frozen=True)
class Asked:
    """What to look for, and where; nothing if `url` is empty."""

    url: str = ""
    name: str = ""
    group: str = ""
    device: str = ""
    """The board's own id, which decides when it is its turn in a rollout."""
    interval_s: float = 900.0
    require_time: bool = False
    root: str = ""
    """The file of the first root metadata."""
    taken: int = 0
    """Releases up to this number are not wanted."""
    software: bool = False
    """Whether releases of the software are wanted, too."""
    software_taken: int = 0
    """Those up to this number are not."""
    hurry: int = 0
    """Rises when somebody wants an answer now."""


def read(path: Path) -> Asked:
    """Read it; nothing is asked if there is no file.

    Raises:
        UpdateError: if it cannot be read.
    """
    try:
        return parse(Asked, read_regular(path, MOST_BYTES), path)
    except NotThereError:
        return Asked()


def write(path: Path, asked: Asked) -> None:
    """Write it if anything is new: the other process starts when it changes.

    Raises:
        OSError: if the disk refuses.
    """
    data = json.dumps(asdict(asked)).encode()
    if not path.exists() or path.read_bytes() != data:
        write_bytes(path, data, mode=0o640)
