"""The settings of updates, and their checks."""

from dataclasses import dataclass

from device.errors import ConfigError
from device.settings import address
from device.settings.reader import setting
from device.settings.sink import SinkConfig

SCHEMES = ("http", "https")
EVERYBODY = "all"


@dataclass(frozen=True)
class UpdateConfig(SinkConfig):
    """Signed releases that the board fetches by itself (`device.update`)."""

    url: str = setting("", secret=True)
    """The folder on a web server that holds `metadata` and `targets`."""
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
    wrong = address.problem(config.url)
    if scheme not in SCHEMES or wrong:
        raise ConfigError(f"update.url: {wrong or 'write http:// or https:// and a folder'}")
    if "?" in config.url or "#" in config.url:
        raise ConfigError("update.url: a folder has neither ? nor #")
    if not config.name:
        raise ConfigError("update.name must not be empty: which model is fetched?")
    if config.hours[0] == config.hours[1]:
        raise ConfigError("update.hours: from and to are equal: [0, 24] means always")
