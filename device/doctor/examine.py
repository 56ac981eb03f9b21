"""Runs all checks of `python -m device doctor`: what keeps the service from working here.

Every check is a small function from facts (`device.doctor.host`, settings, versions) to findings.
If a check exists because of an upstream bug, it names the issue.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from device.camera.v4l2 import first_camera, video_nodes
from device.doctor import machine, network, software
from device.doctor.drift import drift
from device.doctor.finding import FAILED, OK, WARNING, Finding
from device.doctor.host import Host
from device.doctor.releases import releases
from device.errors import ConfigError
from device.settings import sections
from device.settings.address import AUTO, PICAMERA2, shown
from device.settings.reader import secrets
from device.settings.sections import Config
from device.telemetry.board import BoardSensors


def examine(path: Path, host: Host | None = None) -> Iterator[Finding]:
    """Make all checks, the slow ones last.

    Args:
        path: the settings file; if it cannot be used, the defaults are checked.
        host: the machine.
    """
    host = host or Host()
    yield software.python()
    yield software.numpy_abi(software.installed)
    settings, finding = config_file(path)
    yield finding
    yield from camera_checks(settings.camera.source, host)
    yield machine.edgetpu(host, settings.inference.runtime, library=software.edgetpu_library())
    yield from machine.heat_and_power(BoardSensors(), settings.inference.hot_c)
    yield machine.clock(host, time.time())
    yield from machine.disk(host, settings)
    yield from drift(settings)
    yield from releases(settings)
    yield from software.servers(settings, software.installed)
    yield from machine.ports(host, settings)
    if settings.output.mqtt.enabled:
        yield from network.broker(settings.output.mqtt)
    if "://" in settings.camera.source:
        yield network.camera_picture(settings.camera)
    yield software.runtime(software.in_child)
    yield from software.current_bundle(settings, host)


def camera_checks(source: str, host: Host) -> Iterator[Finding]:
    """picamera2, if it matters, then the camera itself."""
    usb, csi = False, False
    if source in (AUTO, PICAMERA2):
        usb = first_camera(video_nodes(host.root / "dev")) is not None
        if source == PICAMERA2 or host.is_raspberry_pi():
            finding = software.picamera2(software.in_child, needed=source == PICAMERA2)
            csi = finding.state == OK
            yield finding
    yield from machine.camera_ready(source, host, usb=usb, csi=csi)


def secrecy(path: Path, settings: Config) -> Finding:
    """Whether other users can read settings that hold a password."""
    # An address counts only if it holds a secret.
    held = [
        name
        for name, value in secrets(settings)
        if name not in sections.ADDRESSES or shown(value) != value
    ]
    if held and path.stat().st_mode & 0o004:
        found = f"{path} holds {', '.join(held)}, and every user of this machine may read it"
        fix = f"sudo chgrp fieldguide {path} && sudo chmod 640 {path}"
        return Finding("settings", WARNING, found, fix)
    return Finding("settings", OK, str(path))


def config_file(path: Path) -> tuple[Config, Finding]:
    """Whether the settings are valid; if not, the defaults are used for the other checks."""
    try:
        settings = sections.load(path)
        return settings, secrecy(path, settings)
    except ConfigError as error:
        fix = f"correct the file; {sections.EXAMPLE} explains every setting"
        if isinstance(error.__cause__, FileNotFoundError):
            fix = f"cp {sections.EXAMPLE} {path}, or name another with --config"
        elif isinstance(error.__cause__, PermissionError):
            fix = software.AS_SERVICE
        return Config(), Finding("settings", FAILED, str(error), fix)
