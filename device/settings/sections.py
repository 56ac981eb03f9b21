"""The settings of the service, as in `fieldguide.toml`; each section belongs to one part.

`fieldguide.example.toml`, in the folder above, documents every setting and shows the defaults. The
docstrings here add only what it leaves out.
"""

import ipaddress
import re
from dataclasses import dataclass, field, fields
from pathlib import Path

from device.contract.photos import MAX_FRAME_PIXELS
from device.contract.runtimes import AUTO, FASTEST_FIRST
from device.errors import ConfigError
from device.settings import address, reader
from device.settings.mqtt import MqttConfig, check_mqtt
from device.settings.reader import setting
from device.settings.sink import SinkConfig
from device.settings.update import UpdateConfig, check_update

OPEN_TIMEOUT_S = 8.0
"""Limit for connecting to a stream and probing it; a dead server is noticed after this time."""
FIRST_FRAMES = 10
"""A CSI camera holds back about this many until exposure and colours are right."""
EXAMPLE = Path(__file__).parents[1] / "fieldguide.example.toml"
LOOK_AUTO, LOOK_CHANGE, LOOK_WHOLE = "auto", "change", "whole"
MIN_TOKEN_CHARACTERS = 16
ADDRESSES = ("camera.source", "update.url")
"""Settings that are secret only in part."""
ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class BundleConfig:
    """Which bundle to run."""

    path: str = "/var/lib/fieldguide/current"
    """Bundle folder or tar; if it is replaced while the service runs, it is tested, then used."""
    check_interval_s: float = setting(3.0, low=0.1, high=3600)


@dataclass(frozen=True)
class CameraConfig:
    """Where frames come from (`device.camera.source`)."""

    source: str = setting("auto", secret=True)
    width_px: int = setting(640, low=16, high=8192)
    """Asked of CSI and V4L2 cameras; streams and files come as they are."""
    height_px: int = setting(480, low=16, high=8192)
    fps: float = setting(30.0, low=0.1, high=1000)
    """Asked of CSI and V4L2 cameras, and how often single pictures are fetched."""
    region: tuple[float, float, float, float] = setting((0.0, 0.0, 1.0, 1.0), low=0, high=1)
    look: str = setting(LOOK_AUTO, choices=(LOOK_AUTO, LOOK_CHANGE, LOOK_WHOLE))
    """Whether only what differs from the background is classified (`device.inference.looking`)."""
    mask: str = ""
    """A picture of where to look, white; empty: the one drawn on the page (`state.own_mask`)."""
    most_subjects: int = setting(1, low=1, high=2)
    absorb_s: int = setting(600, low=1, high=1_000_000)
    stall_timeout_s: float = setting(5.0, low=0.2, high=600)
    """Without a frame for this long the camera counts as stalled and is opened again."""
    longest_wait_s: float = setting(5.0, low=0.1, high=600)
    """Longest pause between attempts to open a lost camera."""

    @property
    def stall_limit_s(self) -> float:
        """`stall_timeout_s`, but at least the time of two frames of a slow camera."""
        return max(self.stall_timeout_s, 2 / self.fps)

    @property
    def open_limit_s(self) -> float:
        """How long an opened camera may take until its first frame."""
        return OPEN_TIMEOUT_S + FIRST_FRAMES / self.fps


@dataclass(frozen=True)
class InferenceConfig:
    """What runs the model (`device.inference.trial`)."""

    runtime: str = setting(AUTO, choices=(AUTO, *FASTEST_FIRST))
    """auto uses the first one, in this order, that passes the self-test."""
    threads: int = setting(0, low=0, high=64)
    max_fps: float = setting(30.0, low=0.01, high=1000)
    """Most frames classified per second; fewer save power."""
    hot_fps: float = setting(2.0, low=0.01, high=1000)
    """The same while the firmware throttles or the board is hotter than `hot_c`."""
    rest_fps: float = setting(5.0, low=0.01, high=1000)
    """The same for a camera while nothing is there; fewer of a calm place (`pace.Rest`)."""
    hot_c: float = setting(80.0, low=0, high=150)
    load_timeout_s: float = setting(60.0, low=1, high=3600)


@dataclass(frozen=True)
class SmoothingConfig:
    """From scores of single frames to a steady label (`device.inference.smoothing`)."""

    time_constant_s: float = setting(1.0, low=0, high=3600)
    """After this time a new sight has 63% of the weight; 0: each frame by itself."""
    hysteresis: float = setting(0.05, low=0, high=1)
    """Another label must lead by this much to replace the current one."""
    threshold: float | None = setting(None, low=0, high=1)
    """Below it the label is "unknown"; not set: the bundle's own threshold."""
    top_k: int = setting(3, low=1, high=1000)
    """How many of the best labels are published with their scores."""


@dataclass(frozen=True)
class VisitsConfig(SinkConfig):
    """Visits, and where they are kept; for cameras that are looked at (`device.visits`)."""

    enabled: bool = True
    end_s: float = setting(5.0, low=0.5, high=600)
    """A visit has ended after this long without anything seen."""
    path: str = "/var/lib/fieldguide/visits"
    """A folder; only files of these names in it are ever removed."""
    max_mb: int = setting(100, low=10, high=10_000_000)
    """Limit of the folder; the oldest pictures are removed first."""
    max_age_days: float = setting(30.0, low=1, high=36500)
    """Limit for visits, applied only if the clock was set (`device.clock`)."""


@dataclass(frozen=True)
class DriftConfig(SinkConfig):
    """Whether camera and answers are watched for change (`device.drift`)."""

    enabled: bool = True


@dataclass(frozen=True)
class JsonConfig(SinkConfig):
    """One JSON line per observation (`device.outputs.json_lines`)."""

    enabled: bool = True
    path: str = "-"
    """A file to append to; - is standard output."""
    only_changes: bool = False
    """Only lines in which the label changed."""


@dataclass(frozen=True)
class ServerConfig(SinkConfig):
    """Settings that all servers of the device have (`device.outputs.http`)."""

    address: str = "127.0.0.1"
    """The address to listen at; any other than loopback needs a token."""
    port: int = setting(8080, low=0, high=65535)
    """0: any free one."""
    token: str = setting("", secret=True)
    """At least 16 characters."""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrometheusConfig(ServerConfig):
    """Metrics at /metrics (`device.outputs.prometheus`)."""

    port: int = setting(9464, low=0, high=65535)


@dataclass(frozen=True)
class WebConfig(ServerConfig):
    """A page with the live picture (`device.outputs.web.sink`)."""

    frame_ancestors: tuple[str, ...] = ()
    """Origins of pages that may show it in a frame."""


@dataclass(frozen=True)
class CollectConfig(SinkConfig):
    """Frames saved for retraining (`device.outputs.collect.sink`)."""

    path: str = "/var/lib/fieldguide/collected"
    """The folder; only photos that were saved there by this sink are ever removed."""
    margin: float = setting(0.2, low=0, high=1)
    """A frame is uncertain if its best score is this close to the second, or to the threshold."""
    changes: bool = True
    """Also save frames in which the label changed."""
    max_per_minute: float = setting(6.0, low=0.01, high=600)
    """Most of these frames in a minute; random ones do not count."""
    random_per_day: float = setting(12.0, low=0, high=1440)
    """Moments drawn at random in 24 hours of running (`device.outputs.collect.moments`)."""
    max_mb: int = setting(500, low=1, high=10_000_000)
    """Limit of the folder; the oldest unlabelled photos are removed, labelled ones never."""
    max_age_days: float = setting(30.0, low=0.01, high=36500)
    """Limit for unlabelled photos, applied only if the clock was set (`device.clock`)."""
    min_free_mb: int = setting(500, low=0, high=10_000_000)
    """Space kept free on the disk, whatever else fills it."""
    jpeg_quality: int = setting(90, low=50, high=95)


@dataclass(frozen=True)
class OutputConfig:
    """One section per sink; a new sink adds its own here and in `device.outputs.registry`."""

    json: JsonConfig = JsonConfig()
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    prometheus: PrometheusConfig = PrometheusConfig()
    web: WebConfig = WebConfig()
    collect: CollectConfig = CollectConfig()

    def enabled(self) -> dict[str, SinkConfig]:
        """The enabled sections by name."""
        sections: dict[str, SinkConfig] = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: section for name, section in sections.items() if section.enabled}

    def listeners(self) -> dict[str, ServerConfig]:
        """The enabled sections that listen at a port, by name."""
        return {
            name: section
            for name, section in self.enabled().items()
            if isinstance(section, ServerConfig)
        }


@dataclass(frozen=True)
class Config:
    """All settings."""

    bundle: BundleConfig = BundleConfig()
    camera: CameraConfig = CameraConfig()
    inference: InferenceConfig = InferenceConfig()
    smoothing: SmoothingConfig = SmoothingConfig()
    visits: VisitsConfig = VisitsConfig()
    drift: DriftConfig = DriftConfig()
    output: OutputConfig = OutputConfig()
    update: UpdateConfig = field(default_factory=UpdateConfig)

    def sinks(self) -> dict[str, SinkConfig]:
        """The sections of the enabled sinks, by name; if a section is unchanged, so is its sink."""
        # Also where frames are not looked at: a visit may go on from before.
        kept: dict[str, SinkConfig] = {
            "visits": self.visits,
            "drift": self.drift,
            "update": self.update,
        }
        always = {name: section for name, section in kept.items() if section.enabled}
        return {**self.output.enabled(), **always}


def load(path: Path) -> Config:
    """Read and check a settings file.

    Raises:
        ConfigError: naming the file, the setting and its allowed values.
    """
    config = reader.read_file(Config, path)
    _remember(config)
    try:
        _check(config)
    except ConfigError as error:
        raise type(error)(f"{path}: {error}") from error
    return config


def _remember(config: Config) -> None:
    """Remember all secrets before any message can repeat one."""
    for name, secret in reader.secrets(config):
        # A source may be something other than an address, and "auto" is not secret.
        keep = address.remember if name in ADDRESSES else address.remember_secret
        keep(secret)


def _check(config: Config) -> None:
    left, top, right, bottom = config.camera.region
    if left >= right or top >= bottom:
        raise ConfigError("camera.region: left must be below right, and top below bottom")
    width_px, height_px = config.camera.width_px, config.camera.height_px
    if width_px * height_px > MAX_FRAME_PIXELS:
        raise ConfigError(
            f"camera.width_px={width_px}, height_px={height_px}: at most {MAX_FRAME_PIXELS:,} "
            "pixels together, as of 4096x2160"
        )
    if wrong := address.problem(config.camera.source):
        raise ConfigError(f"camera.source: {wrong}")
    output = config.output
    places = {
        "bundle.path": config.bundle.path,
        "camera.source": config.camera.source,
        "visits.path": config.visits.path,
        "output.json.path": output.json.path,
        "output.collect.path": output.collect.path,
    }
    for name, place in places.items():
        # Empty would mean the current folder of the service.
        if not place:
            raise ConfigError(f"{name} must not be empty; leave it out for the default")
    for name, server in (("output.web", output.web), ("output.prometheus", output.prometheus)):
        if server.enabled:
            check_server(name, server)
    check_frame_ancestors(output.web.frame_ancestors)
    if output.mqtt.enabled:
        check_mqtt(output.mqtt)
    if config.update.enabled:
        check_update(config.update)


def check_frame_ancestors(origins: tuple[str, ...]) -> None:
    """Check that each is one origin: anything else would allow more pages, or none.

    Raises:
        ConfigError: naming the setting and what to write.
    """
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"output.web.frame_ancestors: {origin!r}: write the beginning of the other page's "
                'address, without a path: "http://homeassistant.local:8123"'
            )


def check_server(section: str, config: ServerConfig) -> None:
    """Check that address and token keep strangers out.

    Raises:
        ConfigError: naming the setting and what to write.
    """
    try:
        loopback = ipaddress.ip_address(config.address).is_loopback
    except ValueError as error:
        raise ConfigError(
            f"{section}.address={config.address!r}: write an IP address: 127.0.0.1 (this machine), "
            "0.0.0.0 (every network) or one of this machine's addresses"
        ) from error
    if not loopback and not config.token:
        raise ConfigError(
            f"{section}.address={config.address!r} lets the network in: set {section}.token, "
            f"{MIN_TOKEN_CHARACTERS} characters or more (openssl rand -hex 16)"
        )
    visible = config.token.isascii() and config.token.isprintable() and " " not in config.token
    if config.token and not (visible and len(config.token) >= MIN_TOKEN_CHARACTERS):
        raise ConfigError(
            f"{section}.token: write {MIN_TOKEN_CHARACTERS} or more letters, digits and symbols "
            "without spaces (openssl rand -hex 16)"
        )
