"""The settings of updates, and their checks."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from device.errors import ConfigError
from device.settings import address
from device.settings.reader import setting
from device.settings.sink import SinkConfig

LOCAL = "file"
SCHEMES = ("http", "https", LOCAL)
EVERYBODY = "all"


@dataclass(frozen=True)
class UpdateConfig(SinkConfig):
    """Signed releases that the board fetches by itself (`device.update`)."""

    url: str = setting("", secret=True)
    """The folder that holds `metadata` and `targets`: on a web server, or on this board."""
    name: str = ""
    """Which model of that folder."""
    group: str = EVERYBODY
    """The board's group in a rollout."""
    interval_s: float = setting(900.0, low=300, high=604_800)
    hours: tuple[int, int] = setting((0, 24), low=0, high=24)
    """From and to, by the board's clock and zone; when releases may be installed."""
    software: bool = True
    """Whether releases of the device package itself are taken, too, once one is rolled out."""
    require_time: bool = False
    """Whether nothing is taken before a time server has set the clock."""
    root: str = "/etc/fieldguide-update/root.json"
    """The root metadata of who may sign; public."""


def check_update(config: UpdateConfig) -> None:
    """Check address, name and hours.

    Raises:
        ConfigError: naming the setting.
    """
    scheme = config.url.partition("://")[0].lower()
    if scheme not in SCHEMES or (scheme == LOCAL and local_folder(config.url) is None):
        raise ConfigError("update.url: write http:// or https://, or file:/// and a whole path")
    if scheme != LOCAL and (wrong := address.problem(config.url)):
        raise ConfigError(f"update.url: {wrong}")
    if "?" in config.url or "#" in config.url:
        raise ConfigError("update.url: a folder has neither ? nor #")
    if not config.name:
        raise ConfigError("update.name must not be empty: which model is fetched?")
    if config.hours[0] == config.hours[1]:
        raise ConfigError("update.hours: from and to are equal: [0, 24] means always")


def local_folder(url: str) -> Path | None:
    """The folder on this board that an address names; None if it names none."""
    scheme, mark, encoded = url.partition("://")
    path = unquote(encoded)
    if scheme.lower() != LOCAL or not mark or not path.startswith("/"):
        return None
    is_plain = path.isprintable() and ".." not in path.split("/")
    return Path(path) if is_plain and path.strip("/") else None
