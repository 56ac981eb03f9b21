"""What the service and the updater tell each other, in small files in a folder of theirs.

The service writes `health.json`, and `wanted` when somebody wants a release now. The updater
(`device.update`) writes `status.json`. Fields that a reader does not know are passed over: software
that leads back leaves files of a newer one.
"""

import json
import sys
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from device.errors import ConfigError, UpdateError, one_line
from device.files import write_bytes
from device.settings import reader

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Kept = TypeVar("Kept", bound=DataclassInstance)

HEALTH_FILE, STATUS_FILE, WANTED_FILE = "health.json", "status.json", "wanted"
MOST_BYTES = 64 * 1024


def running_software() -> str:
    """Which software runs here: the name of the folder that its venv is in."""
    return Path(sys.prefix).resolve().parent.name


@dataclass(frozen=True)
class Health:
    """What the service tells about itself."""

    model_sha256: str = ""
    """Of the model that runs; empty before the first."""
    streaming: bool = False
    """Whether frames come."""
    answers: int = 0
    """Answers of this model: a new one counts, not each frame that repeats it."""
    unknown: int = 0
    """How many of them were unknown."""
    running_s: float = 0.0
    """How long this model has run."""
    slowed_s: float = 0.0
    """How long of that the board was slowed by heat or power."""
    crashes: int = 0
    """How often the service ended without having closed, whatever its model; not by power cuts."""
    served_s: float = 0.0
    """How long it has run in all."""
    open: bool = False
    """Whether it has not closed since."""
    boot: str = ""
    """In which start of the board it was opened."""
    problem: str = ""
    """Why the newest bundle was refused; empty if it was not."""
    software: str = ""
    """Which software the service is, as `running_software` names it."""


@dataclass(frozen=True)
class ReleaseStatus:
    """What the updater tells people of releases, the model's or the software's own."""

    installed: int = 0
    """The release that was found working last; 0: none."""
    latest: int = 0
    """The newest release meant for this board; 0: none, or not known."""
    stage: str = ""
    """What is being done about it; empty: nothing."""
    doing: str = ""
    """The same in words, as of the last pass: since when, what ends it, and what if it fails."""
    problem: str = ""
    """Why nothing is fetched or installed; empty if all is well."""
    waits: str = ""
    """What the newest release waits for; empty if for nothing."""
    failed: tuple[str, ...] = ()
    """Releases that led back, each with its reason, the newest last."""

    @property
    def failed_last(self) -> int:
        """The number of the newest release that led back; 0: none."""
        number = self.failed[-1].partition(":")[0] if self.failed else ""
        return int(number) if number.isdecimal() else 0


@dataclass(frozen=True)
class SoftwareStatus(ReleaseStatus):
    """Of the device package itself."""

    version: str = ""
    """Of what runs."""
    runs: str = ""
    """The folder that it runs from; of a release that was fetched it begins with `software-`."""
    fetched: bool = False
    """Whether its releases are."""


@dataclass(frozen=True)
class UpdateStatus(ReleaseStatus):
    """Of the model, and what is known of the server."""

    source: str = ""
    """The address of the releases, without secrets."""
    name: str = ""
    """Which model of them."""
    unknown_group: str = ""
    """The board's group, if nothing was ever rolled out to it; empty otherwise."""
    away: str = ""
    """What is waited for before anything can be asked, which is no fault; empty if nothing is."""
    checked_unix_s: float = 0.0
    """When the server last answered with success; 0: never."""
    verified: bool = False
    """Whether a time server had set the clock then."""
    expired: bool = False
    """Whether nothing is taken only because it is too old by this clock."""
    frozen: bool = False
    """Whether nothing newer was signed for so long that somebody may be holding it back."""
    software: SoftwareStatus = field(default_factory=SoftwareStatus)

    @property
    def group_note(self) -> str:
        """What follows from an unknown group, which may be misspelt; empty if it is known."""
        group = self.unknown_group
        return group and f"nothing was ever rolled out to group {group}: the stage of all counts"


def read(cls: "type[Kept]", path: Path) -> "Kept":
    """Read what was kept; the beginning if there is no file.

    Raises:
        UpdateError: if it cannot be read, or is of another form.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return cls()
    except OSError as error:
        raise UpdateError(f"{path}: {error.strerror}") from error
    return parse(cls, data, path)


def parse(cls: "type[Kept]", data: bytes, path: Path) -> "Kept":
    """The same from its bytes.

    Raises:
        UpdateError: if they are of another form.
    """
    try:
        table: Any = json.loads(data)
        if not isinstance(table, Mapping) or len(data) > MOST_BYTES:
            raise ValueError("not a table")
        return reader.read(cls, _known(cls, table))
    except (ValueError, RecursionError, ConfigError) as error:
        raise UpdateError(f"{path}: damaged ({one_line(error)}): remove it") from error


def _known(cls: type, table: Mapping[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {
        name: _known(hints[name], value)
        if is_dataclass(hints[name]) and isinstance(value, Mapping)
        else value
        for name, value in table.items()
        if name in hints
    }


def write(path: Path, kept: "DataclassInstance") -> None:
    """Keep it; a power cut leaves the old or the new one.

    Raises:
        OSError: if the disk refuses.
    """
    data = json.dumps(asdict(kept)).encode()
    write_bytes(path, data, mode=0o640, durable=True)
