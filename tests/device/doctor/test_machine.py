"""Promises of `doctor` about cameras, boards, disks and ports."""

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.doctor.finding import FAILED, OK, WARNING, Finding
from device.doctor.host import Host
from device.doctor.machine import camera_ready, clock, disk, edgetpu, heat_and_power, ports, visits
from device.settings.mqtt import MqttConfig
from device.settings.sections import (
    CollectConfig,
    Config,
    OutputConfig,
    PrometheusConfig,
    VisitsConfig,
    WebConfig,
)
from device.telemetry.board import BoardSensors
from tests.support.device.fake_host import Machine, states, the


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def cameras(
    host: Host, source: str = "auto", *, usb: bool = True, csi: bool = False
) -> list[Finding]:
    return list(camera_ready(source, host, usb=usb, csi=csi))


# --- camera ---------------------------------------------------------------------------------------


def test_a_camera_that_is_there_allowed_and_free_is_fine(machine: Machine) -> None:
    machine.write("dev/video0")
    assert set(states(cameras(machine.host())).values()) == {OK}


def test_no_camera_is_said(machine: Machine) -> None:
    (finding,) = cameras(machine.host())
    assert finding.state == FAILED and "cable" in finding.fix


def test_video_nodes_that_are_no_cameras_are_no_cameras(machine: Machine) -> None:
    machine.write("dev/video10")
    finding = the(cameras(machine.host(), usb=False), "camera")
    assert finding.state == FAILED and "rpicam-hello" in finding.fix
    assert the(cameras(machine.host(), "picamera2", usb=True), "camera").state == FAILED
    assert the(cameras(machine.host(), "picamera2", csi=True), "camera").state == OK


def test_a_missing_node_of_the_settings_is_named(machine: Machine) -> None:
    machine.write("dev/video0")
    (finding,) = cameras(machine.host(), "/dev/video7")
    assert finding.state == FAILED and "/dev/video7" in finding.found


@pytest.mark.parametrize("name", ["dev/v4l/by-id/usb-046d_HD-index0", "dev/char/81:0", "dev/cam"])
def test_a_camera_may_be_named_by_a_link_that_outlives_a_restart(
    name: str, machine: Machine
) -> None:
    node, link = machine.write("dev/video2"), machine.root / name
    machine.write("dev/video0")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(node, link.parent))
    machine.process(411, "motion", "motion -n", "/dev/video2")
    found = cameras(machine.host(), f"/{name}")
    assert the(found, "camera").state == OK
    assert "motion (process 411)" in the(found, "camera holder").found
    node.unlink()
    (finding,) = cameras(machine.host(), f"/{name}")
    assert finding.state == FAILED and "is not there" in finding.found
    link.unlink()
    link.symlink_to(link.name)
    assert states(cameras(machine.host(), f"/{name}")) == {"camera": FAILED}


@pytest.mark.parametrize(
    ("groups", "cure"), [((), "sudo usermod -aG video pi"), (("video",), "udev rule")]
)
def test_a_user_without_permission_learns_which_group(
    groups: tuple[str, ...], cure: str, machine: Machine
) -> None:
    machine.closed.add(machine.write("dev/video0"))
    (finding,) = cameras(machine.host(groups=groups))
    assert finding.state == FAILED and cure in finding.fix


def test_who_holds_the_camera_is_named_with_its_process(machine: Machine) -> None:
    machine.write("dev/video0")
    machine.process(411, "motion", "motion -n", "/dev/video0", "/dev/null")
    machine.process(412, "bash", "bash", "/dev/tty1")
    finding = the(cameras(machine.host()), "camera holder")
    assert finding.state == FAILED
    assert "motion (process 411) uses /dev/video0" in finding.found and "kill 411" in finding.fix


@pytest.mark.parametrize(
    "command",
    [
        "/opt/fieldguide/venv/bin/python /opt/fieldguide/venv/bin/fieldguide serve --config x",
        "python -m device serve --config x",
    ],
)
def test_the_running_service_may_hold_its_own_camera(command: str, machine: Machine) -> None:
    machine.write("dev/video0")
    machine.process(99, "fieldguide", command, "/dev/video0")
    assert the(cameras(machine.host()), "camera holder").state == OK


def test_a_stream_s_password_is_not_shown(machine: Machine) -> None:
    (finding,) = cameras(machine.host(), "rtsp://me:secret@cam/1")
    assert finding.state == OK and "secret" not in finding.line()


def test_a_folder_that_is_not_there_is_named(machine: Machine) -> None:
    (finding,) = cameras(machine.host(), str(machine.root / "none"))
    assert finding.state == FAILED


def test_this_process_is_found_by_what_it_has_open(tmp_path: Path) -> None:
    held = tmp_path / "held"
    with held.open("w"):
        holders = Host().holders([held])
    assert [process.pid for process in holders] == [os.getpid()]


# --- Edge TPU -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vendor", "product"), [("1a6e", "089a"), ("18d1", "9302")])
def test_an_edge_tpu_is_seen_before_and_after_it_got_its_firmware(
    vendor: str, product: str, machine: Machine
) -> None:
    node = machine.usb(vendor, product)
    host = machine.host()
    assert host.edgetpu_usb() == [node]
    assert edgetpu(host, "auto", library="/usr/lib/x").state == OK
    missing = edgetpu(host, "auto", library="")
    assert missing.state == WARNING and "built for this runtime" in missing.fix
    assert edgetpu(host, "edgetpu", library="").state == FAILED
    machine.closed.add(node)
    closed = edgetpu(host, "auto", library="/usr/lib/x")
    assert closed.state == FAILED and "usermod -aG plugdev pi" in closed.fix


def test_who_holds_the_edge_tpu_is_named(machine: Machine) -> None:
    machine.write("dev/apex_0")
    machine.process(7, "frigate", "frigate", "/dev/apex_0")
    finding = edgetpu(machine.host(), "auto", library="/usr/lib/x")
    assert finding.state == FAILED and "frigate (process 7)" in finding.found


def test_a_missing_edge_tpu_matters_only_to_those_who_ask_for_it(machine: Machine) -> None:
    machine.usb("1d6b", "0003")
    assert edgetpu(machine.host(), "auto", library="x").state == OK
    assert edgetpu(machine.host(), "edgetpu", library="x").state == FAILED


# --- board, clock, disk ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "state", "words"),
    [
        ("0", OK, "none since boot"),
        ("10000", WARNING, "under-voltage since boot"),
        ("50005", FAILED, "under-voltage, throttled"),
        ("8", FAILED, "soft temperature limit"),
    ],
)
def test_throttling_now_and_since_boot_is_told(
    word: str, state: str, words: str, machine: Machine
) -> None:
    file = machine.write("throttled", word)
    machine.write("thermal/thermal_zone0/temp", "51200")
    board = BoardSensors(machine.root / "thermal", file)
    finding = the(heat_and_power(board, 80.0), "throttling")
    assert finding.state == state and words in finding.found
    if "under-voltage" in words:
        assert "power supply" in finding.fix
    temperature = the(heat_and_power(board, 80.0), "temperature")
    assert (temperature.state, temperature.found) == (OK, "51 degrees C")
    assert the(heat_and_power(board, 50.0), "temperature").state == WARNING


def test_a_clock_that_was_never_set_fails_and_one_without_a_server_warns(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine.root))
    assert clock(machine.host(), 60.0).state == FAILED
    assert clock(machine.host(), 1.8e9).state == WARNING
    machine.write("run/systemd/timesync/synchronized")
    assert clock(machine.host(), 1.8e9).state == OK


def test_a_time_service_other_than_systemd_s_is_known_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("timedatectl", "#!/bin/sh\necho yes\n").chmod(0o755)
    monkeypatch.setenv("PATH", f"{machine.root}:{os.environ['PATH']}")
    assert clock(machine.host(), 1.8e9).state == OK


def collecting(folder: Path) -> Config:
    config = Config()
    collect = CollectConfig(enabled=True, path=str(folder / "collected"))
    return replace(config, output=replace(config.output, collect=collect))


def keeping_visits(folder: Path) -> Config:
    return replace(Config(), visits=VisitsConfig(path=str(folder / "visits")))


def test_a_full_disk_is_told(machine: Machine) -> None:
    class Full(Host):
        free = 0

        def free_bytes(self, path: Path) -> int:
            return self.free

    settings = collecting(machine.root)
    host = Full()
    found = states(disk(host, settings))
    assert found == {"disk": FAILED, "collect": WARNING}
    Full.free = 10**10
    assert set(states(disk(host, settings)).values()) == {OK}


def test_a_folder_that_cannot_be_written_is_told(machine: Machine) -> None:
    machine.closed.add(machine.root)
    finding = the(disk(machine.host(), collecting(machine.root)), "collect")
    assert finding.state == FAILED and "sudo chown -R pi" in finding.fix


def test_a_folder_of_visits_that_cannot_be_written_is_told(machine: Machine) -> None:
    settings = keeping_visits(machine.root)
    assert [finding.state for finding in visits(machine.host(), settings)] == [OK]
    machine.closed.add(machine.root)
    (finding,) = visits(machine.host(), settings)
    assert finding.state == FAILED and finding.fix.endswith("visits, or set visits.path")


def test_visits_cannot_be_kept_below_a_file(machine: Machine) -> None:
    file = machine.write("file", "")
    (finding,) = visits(machine.host(), keeping_visits(file))
    assert finding.state == FAILED and "may not write" in finding.found
    assert the(disk(machine.host(), collecting(file)), "collect").state == FAILED


def test_visits_that_are_turned_off_need_no_folder(machine: Machine) -> None:
    machine.closed.add(machine.root)
    settings = keeping_visits(machine.root)
    off = replace(settings, visits=replace(settings.visits, enabled=False))
    assert not list(visits(machine.host(), off))


# --- ports ----------------------------------------------------------------------------------------


def test_the_ports_of_all_enabled_servers_are_looked_at_and_no_others(machine: Machine) -> None:
    def looked_at(**sections: Any) -> dict[str, str]:
        settings = Config(output=OutputConfig(**sections))
        return {f.check: f.found for f in ports(machine.host(), settings)}

    assert looked_at() == {}
    every = {"web": WebConfig(enabled=True), "prometheus": PrometheusConfig(enabled=True)}
    found = {"port of web": "8080 is free", "port of prometheus": "9464 is free"}
    assert looked_at(**every) == looked_at(**every, mqtt=MqttConfig(enabled=True)) == found
    assert looked_at(web=WebConfig(enabled=True, port=0)) == {}, "it takes any that is free"


@pytest.mark.parametrize(
    ("command", "state"), [("nginx", FAILED), ("/opt/fieldguide serve --config x", OK)]
)
def test_a_taken_port_is_told_unless_it_is_the_service_s(
    command: str, state: str, machine: Machine
) -> None:
    settings = Config(output=OutputConfig(web=WebConfig(enabled=True)))
    assert states(ports(machine.host(), settings)) == {"port of web": OK}
    machine.listen(8080, 4321)
    assert states(ports(machine.host(), settings)) == {"port of web": WARNING}
    machine.process(31, "holder", command, "socket:[4321]")
    finding = the(ports(machine.host(), settings), "port of web")
    assert finding.state == state
    assert state == OK or "holder (process 31) uses port 8080" in finding.found


def test_the_kernel_s_list_of_listeners_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        holder = Host().listener(port)
        assert holder is not None and holder.pid == os.getpid()
    assert not Host().is_listening(port)
