"""Where the service keeps what it knows of its place: a folder beside that of collected photos."""

from pathlib import Path

from device.settings.sections import Config

MASK_NAME = "mask.png"
"""The picture of allowed places that is drawn on the web page: white means look here."""
BACKGROUND_NAME = "background"
"""What the camera shows when nothing is there (`device.inference.kept`)."""


def state_folder(config: Config) -> Path:
    """The folder of background and mask; the service may write there."""
    return Path(config.output.collect.path).parent


def background_file(config: Config) -> Path:
    """Where the background is kept."""
    return state_folder(config) / BACKGROUND_NAME


def drift_folder(config: Config) -> Path:
    """What is known of usual days, and pictures of then (`device.outputs.drift`)."""
    return state_folder(config) / "drift"


def drift_file(config: Config) -> Path:
    """What is known of usual days."""
    return drift_folder(config) / "state"


def own_mask(config: Config) -> Path:
    """Where the web page saves its mask; `[camera] mask` may name another file."""
    return state_folder(config) / MASK_NAME


def mask_in_use(config: Config) -> Path:
    """The mask that the camera uses, if there is such a file."""
    return Path(config.camera.mask) if config.camera.mask else own_mask(config)


def updates_folder(config: Config) -> Path:
    """What the updater and the service know of releases (`device.telemetry.updates`)."""
    return state_folder(config) / "updates"
