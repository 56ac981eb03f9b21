"""Checks of `device.doctor` that concern the machine: camera, Edge TPU, board, disk, network."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from device.contract.runtimes import EDGETPU
from device.doctor.finding import FAILED, OK, WARNING, Finding
from device.doctor.host import Host, nearest
from device.inference.runtime import EDGETPU_NEEDS
from device.settings.address import AUTO, PICAMERA2, is_device, shown
from device.settings.sections import Config
from device.telemetry.board import NOW, BoardSensors, explain

EARLIEST_YEAR = 2025
MIN_FREE_MB = 100

# --- camera -----------------------------------------------------------------------------------


def camera_ready(source: str, host: Host, *, usb: bool, csi: bool) -> Iterator[Finding]:
    """Whether the camera in the settings exists, may be used and is free.

    Args:
        source: `camera.source` of the settings.
        host: the machine.
        usb: whether a V4L2 node delivers pictures.
        csi: whether picamera2 sees a camera.
    """
    local = source in (AUTO, PICAMERA2) or is_device(source)
    nodes = host.video_device_paths()
    if is_device(source):
        # Stable names, such as /dev/v4l/by-id/..., are links to one of them.
        meant = os.path.realpath(host.root / source.lstrip("/"))
        nodes = [node for node in nodes if os.path.realpath(node) == meant]
    if not local:
        yield other_source(source)
    elif not nodes:
        found = f"{source} is not there" if is_device(source) else "none in /dev"
        yield Finding("camera", FAILED, found, "check the cable and its plugs")
    else:
        permission = camera_permission(host, nodes)
        yield permission
        if permission.state == OK:
            yield camera_found(source, usb=usb, csi=csi)
            yield camera_holder(host, nodes)


def other_source(source: str) -> Finding:
    """Whether a file or folder exists; `device.doctor.network` checks streams."""
    remote = "://" in source
    if remote or os.path.exists(source):
        return Finding("camera", OK, shown(source))
    return Finding("camera", FAILED, f"{shown(source)} is not there", "correct camera.source")


def camera_found(source: str, *, usb: bool, csi: bool) -> Finding:
    """Whether one of the nodes is a camera; a Raspberry Pi has many that are not."""
    kinds = [name for name, here in (("CSI", csi), ("USB", usb)) if here]
    if source == PICAMERA2 and not csi:
        kinds = []
    if kinds or is_device(source):
        return Finding("camera", OK, " and ".join(kinds) or source)
    fix = "check the cable and its plugs; for a CSI camera also rpicam-hello --list-cameras"
    return Finding("camera", FAILED, "none of the video nodes is a usable camera", fix)


def camera_permission(host: Host, nodes: list[Path]) -> Finding:
    """Whether this user may use the camera."""
    closed = [node.name for node in nodes if not host.usable(node)]
    if not closed:
        return Finding("camera permission", OK, f"user {host.user} may use it")
    if "video" in host.groups:
        fix = f"a udev rule does not let group video use it: ls -l /dev/{closed[0]}"
    else:
        fix = f"sudo usermod -aG video {host.user}, then log in again or restart the service"
    return Finding("camera permission", FAILED, f"{host.user} may not use /dev/{closed[0]}", fix)


def camera_holder(host: Host, nodes: list[Path]) -> Finding:
    """Whether another program has the camera (raspberrypi/picamera2#991)."""
    holders = host.holders(nodes)
    others = [process for process in holders if not process.is_service]
    if others:
        names = ", ".join(f"{process} uses {holders[process][0]}" for process in others)
        pids = " ".join(str(process.pid) for process in others)
        return Finding("camera holder", FAILED, names, f"end it: sudo kill {pids}")
    if holders:
        return Finding("camera holder", OK, "the service itself")
    hidden = "" if host.user == "root" else ", as far as this user can see (sudo sees all)"
    return Finding("camera holder", OK, f"nobody{hidden}")


# --- Edge TPU -----------------------------------------------------------------------------------


def edgetpu(host: Host, wanted: str, *, library: str) -> Finding:
    """Whether an Edge TPU is there with its library and permission (google-coral/edgetpu#873).

    Args:
        host: the machine.
        wanted: `inference.runtime` of the settings.
        library: where libedgetpu is; empty if it is not.
    """
    usb, pcie = host.edgetpu_usb(), host.edgetpu_pcie()
    if not usb and not pcie:
        if wanted == EDGETPU:
            fix = "plug it into a USB 3 port with its own cable, or set inference.runtime"
            return Finding("edge tpu", FAILED, "none found, but the settings ask for it", fix)
        return Finding("edge tpu", OK, "none, the CPU runs the model")
    if not library:
        state = FAILED if wanted == EDGETPU else WARNING
        fix = f"install {EDGETPU_NEEDS}"
        found = "it is plugged in, but libedgetpu.so.1 is not installed"
        return Finding("edge tpu", state, found, fix)
    closed = [node for node in (*usb, *pcie) if not host.usable(node)]
    if closed:
        group = "plugdev" if closed[0] in usb else "apex"
        fix = (
            f"sudo usermod -aG {group} {host.user}, and plug it in again (udev rules of libedgetpu)"
        )
        return Finding("edge tpu", FAILED, f"{host.user} may not use {closed[0]}", fix)
    holders = [p for p in host.holders([*usb, *pcie]) if not p.is_service]
    if holders:
        found = f"{holders[0]} uses it"
        return Finding("edge tpu", FAILED, found, f"end it: sudo kill {holders[0].pid}")
    return Finding("edge tpu", OK, f"{'USB' if usb else 'PCIe'}, {library}")


# --- board ------------------------------------------------------------------------------------


def heat_and_power(board: BoardSensors, hot_c: float) -> Iterator[Finding]:
    """Temperature, and what the firmware reports about power and heat, now and since boot."""
    celsius = board.temperature_c()
    if celsius is None:
        yield Finding("temperature", OK, "no sensor")
    elif celsius >= hot_c:
        fix = "a heat sink or fan, shade, or a lower inference.max_fps"
        found = f"{celsius:.0f} degrees C, so fewer frames are classified"
        yield Finding("temperature", WARNING, found, fix)
    else:
        yield Finding("temperature", OK, f"{celsius:.0f} degrees C")
    word = board.throttled()
    if word is None:
        yield Finding("throttling", OK, "the firmware does not report it")
    elif not explain(word):
        yield Finding("throttling", OK, "none since boot")
    else:
        power = word & 0x10001
        fix = "a stronger power supply or shorter cable" if power else "a heat sink or fan"
        state = FAILED if word & NOW else WARNING
        yield Finding("throttling", state, f"{', '.join(explain(word))} ({word:#x})", fix)


def clock(host: Host, now_unix_s: float) -> Finding:
    """Whether the time can be right; without it labels still come, but with wrong times."""
    now = datetime.fromtimestamp(now_unix_s, UTC)
    if now.year < EARLIEST_YEAR:
        fix = "connect it to a network with NTP, or add a clock module; TLS fails until then"
        return Finding("clock", FAILED, f"it says {now:%Y-%m-%d}", fix)
    if not host.clock_is_synchronized():
        fix = "timedatectl set-ntp true, and connect it to a network"
        return Finding("clock", WARNING, f"{now:%Y-%m-%d %H:%M} UTC, not set by a time server", fix)
    return Finding("clock", OK, f"{now:%Y-%m-%d %H:%M} UTC, synchronized")


# --- disk and network -------------------------------------------------------------------------


def disk(host: Host, settings: Config) -> Iterator[Finding]:
    """Whether there is room on the disk, and permission to write."""
    free_mb = host.free_bytes(Path(settings.bundle.path)) // 1_000_000
    if free_mb < MIN_FREE_MB:
        fix = "journalctl --vacuum-size=100M, or remove files that are not needed"
        yield Finding("disk", FAILED, f"{free_mb} MB free on the bundle's disk", fix)
    else:
        yield Finding("disk", OK, f"{free_mb:,} MB free on the bundle's disk")
    collect = settings.output.collect
    if not collect.enabled:
        return
    folder = Path(collect.path)
    if not _may_write(host, folder):
        yield _closed("collect", host, folder, "output.collect.path")
    elif host.free_bytes(folder) < collect.min_free_mb * 1_000_000:
        fix = "make room, or lower output.collect.min_free_mb"
        yield Finding("collect", WARNING, "not enough room: nothing new is saved", fix)
    else:
        yield Finding("collect", OK, str(folder))


def visits(host: Host, settings: Config) -> Iterator[Finding]:
    """Whether visits can be kept; for cameras that are looked at."""
    folder = Path(settings.visits.path)
    if settings.visits.enabled and _may_write(host, folder):
        yield Finding("visits", OK, str(folder))
    elif settings.visits.enabled:
        yield _closed("visits", host, folder, "visits.path")


def _may_write(host: Host, folder: Path) -> bool:
    there = nearest(folder)
    return there.is_dir() and host.usable(there)


def _closed(name: str, host: Host, folder: Path, setting: str) -> Finding:
    fix = f"sudo chown -R {host.user} {folder}, or set {setting}"
    return Finding(name, FAILED, f"{host.user} may not write {folder}", fix)


def ports(host: Host, settings: Config) -> Iterator[Finding]:
    """Whether the ports of outputs are free, or used by the service itself."""
    for name, section in settings.output.listeners().items():
        port = section.port
        if not port:
            # 0 means any free port.
            continue
        holder = host.listener(port)
        if not host.is_listening(port):
            yield Finding(f"port of {name}", OK, f"{port} is free")
        elif holder is not None and holder.is_service:
            yield Finding(f"port of {name}", OK, f"{port} is used by the service")
        elif holder is not None:
            fix = f"end it, or set output.{name}.port"
            yield Finding(f"port of {name}", FAILED, f"{holder} uses port {port}", fix)
        else:
            fix = "run this with sudo to see who; if it is not the service, set another port"
            yield Finding(f"port of {name}", WARNING, f"{port} is taken", fix)
