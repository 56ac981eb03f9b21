"""Promises of `doctor`: what keeps a camera service from working is named, with a cure."""

import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import Call, assert_one_error_line, device, read_folder, resealed, write_folder

from device import bundle as contract
from device import doctor, doctor_machine, doctor_software, findings
from device.board import Board
from device.bundle import load
from device.config import CollectConfig, Config, InferenceConfig
from device.errors import SelfTestError
from device.findings import FAILED, OK, WARNING, Finding
from device.guard import Check
from device.host import Host


class Machine:
    """A machine made out of files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.closed: set[Path] = set()

    def host(self, user: str = "pi", groups: Iterable[str] = ("video", "plugdev")) -> Host:
        closed = self.closed

        class Guarded(Host):
            def usable(self, path: Path) -> bool:
                return path not in closed

        return Guarded(self.root, user, frozenset(groups))

    def write(self, name: str, text: str = "") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def process(self, pid: int, name: str, command: str, *targets: str) -> None:
        self.write(f"proc/{pid}/comm", f"{name}\n")
        self.write(f"proc/{pid}/cmdline", command.replace(" ", "\0") + "\0")
        folder = self.root / "proc" / str(pid) / "fd"
        folder.mkdir()
        for number, target in enumerate(targets):
            (folder / str(number)).symlink_to(target)

    def listen(self, port: int, inode: int) -> None:
        head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
        row = (
            f"   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0"
        )
        self.write("proc/net/tcp", f"{head}\n{row} {inode} 1\n")

    def usb(self, vendor: str, product: str) -> Path:
        for name, text in (("idVendor", vendor), ("idProduct", product), ("busnum", "2")):
            self.write(f"sys/bus/usb/devices/2-1/{name}", f"{text}\n")
        self.write("sys/bus/usb/devices/2-1/devnum", "4\n")
        return self.write("dev/bus/usb/002/004")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def states(found: Iterable[Finding]) -> dict[str, str]:
    return {finding.check: finding.state for finding in found}


def the(found: Iterable[Finding], check: str) -> Finding:
    (finding,) = (finding for finding in found if finding.check == check)
    return finding


def cameras(
    host: Host, source: str = "auto", *, usb: bool = True, csi: bool = False
) -> list[Finding]:
    return list(doctor_machine.cameras(source, host, usb=usb, csi=csi))


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
    assert "motion (process 411) has /dev/video0" in finding.found and "kill 411" in finding.fix


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


# --- picamera2 ------------------------------------------------------------------------------------


def venv(tmp_path: Path, system: str) -> Path:
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr\ninclude-system-site-packages = {system}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("installed", "system", "problem", "state", "words"),
    [
        (False, "true", "", FAILED, "apt install python3-picamera2"),
        (True, "false", "", FAILED, "--system-site-packages"),
        (True, "true", "ValueError: numpy.dtype size changed", FAILED, "pip uninstall numpy"),
        (True, "true", "ImportError: libcamera.so", FAILED, "--reinstall"),
        (True, "true", doctor_software.NO_CAMERA, FAILED, "ribbon cable"),
        (True, "true", "", OK, ""),
    ],
)
def test_what_hides_csi_cameras_is_named(
    installed: bool, system: str, problem: str, state: str, words: str, tmp_path: Path
) -> None:
    packages = tmp_path / "dist-packages"
    (packages / "picamera2" if installed else packages).mkdir(parents=True)
    finding = doctor_software.picamera2(
        lambda _: problem, needed=True, system=packages, venv=venv(tmp_path, system)
    )
    assert finding.state == state and words in finding.fix
    optional = doctor_software.picamera2(
        lambda _: problem, needed=False, system=packages, venv=venv(tmp_path, system)
    )
    assert optional.state == (OK if state == OK else WARNING)


def test_the_question_for_a_csi_camera_can_be_answered(tmp_path: Path) -> None:
    module = tmp_path / "picamera2.py"
    text = "class Picamera2:\n    global_camera_info = staticmethod(lambda: {})\n"
    for answer, problem in (("[]", doctor_software.NO_CAMERA), ("[1]", "")):
        module.write_text(text.replace("{}", answer))
        statement = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        assert doctor_software.in_child(statement + doctor_software.CSI_CAMERA) == problem


# --- Edge TPU -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vendor", "product"), [("1a6e", "089a"), ("18d1", "9302")])
def test_an_edge_tpu_is_seen_before_and_after_it_got_its_firmware(
    vendor: str, product: str, machine: Machine
) -> None:
    node = machine.usb(vendor, product)
    host = machine.host()
    assert host.edgetpu_usb() == [node]
    assert doctor_machine.edgetpu(host, "auto", library="/usr/lib/x").state == OK
    missing = doctor_machine.edgetpu(host, "auto", library="")
    assert missing.state == WARNING and "libedgetpu1-std" in missing.fix
    assert doctor_machine.edgetpu(host, "edgetpu", library="").state == FAILED
    machine.closed.add(node)
    closed = doctor_machine.edgetpu(host, "auto", library="/usr/lib/x")
    assert closed.state == FAILED and "usermod -aG plugdev pi" in closed.fix


def test_who_holds_the_edge_tpu_is_named(machine: Machine) -> None:
    machine.write("dev/apex_0")
    machine.process(7, "frigate", "frigate", "/dev/apex_0")
    finding = doctor_machine.edgetpu(machine.host(), "auto", library="/usr/lib/x")
    assert finding.state == FAILED and "frigate (process 7)" in finding.found


def test_a_missing_edge_tpu_matters_only_to_those_who_ask_for_it(machine: Machine) -> None:
    machine.usb("1d6b", "0003")
    assert doctor_machine.edgetpu(machine.host(), "auto", library="x").state == OK
    assert doctor_machine.edgetpu(machine.host(), "edgetpu", library="x").state == FAILED


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
    board = Board(machine.root / "thermal", file)
    finding = the(doctor_machine.board(board, 80.0), "throttling")
    assert finding.state == state and words in finding.found
    if "under-voltage" in words:
        assert "power supply" in finding.fix
    temperature = the(doctor_machine.board(board, 80.0), "temperature")
    assert (temperature.state, temperature.found) == (OK, "51 degrees C")
    assert the(doctor_machine.board(board, 50.0), "temperature").state == WARNING


def test_a_clock_that_was_never_set_fails_and_one_without_a_server_warns(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine.root))
    assert doctor_machine.clock(machine.host(), 60.0).state == FAILED
    assert doctor_machine.clock(machine.host(), 1.8e9).state == WARNING
    machine.write("run/systemd/timesync/synchronized")
    assert doctor_machine.clock(machine.host(), 1.8e9).state == OK


def test_a_time_service_other_than_systemd_s_is_known_too(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("timedatectl", "#!/bin/sh\necho yes\n").chmod(0o755)
    monkeypatch.setenv("PATH", f"{machine.root}:{os.environ['PATH']}")
    assert doctor_machine.clock(machine.host(), 1.8e9).state == OK


def collecting(folder: Path) -> Config:
    config = Config()
    collect = CollectConfig(enabled=True, path=str(folder / "collected"))
    return replace(config, output=replace(config.output, collect=collect))


def test_a_full_disk_is_told(machine: Machine) -> None:
    class Full(Host):
        free = 0

        def free_bytes(self, path: Path) -> int:
            return self.free

    settings = collecting(machine.root)
    host = Full()
    found = states(doctor_machine.disk(host, settings))
    assert found == {"disk": FAILED, "collect": WARNING}
    Full.free = 10**10
    assert set(states(doctor_machine.disk(host, settings)).values()) == {OK}


def test_a_folder_that_cannot_be_written_is_told(machine: Machine) -> None:
    machine.closed.add(machine.root)
    finding = the(doctor_machine.disk(machine.host(), collecting(machine.root)), "collect")
    assert finding.state == FAILED and "sudo chown -R pi" in finding.fix


# --- ports and brokers ----------------------------------------------------------------------------


class Section:
    """Settings of an output that listens, or sends."""

    def __init__(self, **values: object) -> None:
        self.__dict__ |= values


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = {
        "json": Section(),
        "web": Section(address="127.0.0.1", port=8080),
        "mqtt": Section(host="broker", port=1883),
    }
    monkeypatch.setattr(doctor_machine.outputs, "enabled", lambda _: sections)


@pytest.mark.parametrize(
    ("command", "state"), [("nginx", FAILED), ("/opt/fieldguide serve --config x", OK)]
)
def test_a_taken_port_is_told_unless_it_is_the_service_s(
    command: str, state: str, machine: Machine, outputs: None
) -> None:
    settings = Config()
    assert states(doctor_machine.ports(machine.host(), settings)) == {"port of web": OK}
    machine.listen(8080, 4321)
    assert states(doctor_machine.ports(machine.host(), settings)) == {"port of web": WARNING}
    machine.process(31, "holder", command, "socket:[4321]")
    finding = the(doctor_machine.ports(machine.host(), settings), "port of web")
    assert finding.state == state
    assert state == OK or "holder (process 31) has port 8080" in finding.found


def test_the_kernel_s_list_of_listeners_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        holder = Host().listener(port)
        assert holder is not None and holder.pid == os.getpid()
    assert not Host().is_listening(port)


def test_a_broker_that_does_not_answer_is_told(outputs: None) -> None:
    good = list(doctor_machine.brokers(Config(), lambda host, port: ""))
    assert states(good) == {"mqtt broker": OK}
    (bad,) = doctor_machine.brokers(Config(), lambda host, port: "Connection refused")
    assert bad.state == FAILED and bad.found == "broker:1883: Connection refused"


def test_a_connection_is_really_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert doctor_machine.connect("127.0.0.1", port) == ""
    assert "refused" in doctor_machine.connect("127.0.0.1", port)


# --- software -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "state"), [((3, 10), FAILED), ((3, 13), OK), ((3, 14), FAILED)]
)
def test_a_python_without_runtimes_is_told(version: tuple[int, ...], state: str) -> None:
    assert doctor_software.python(version).state == state


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ({"numpy": "2.1.0", "tflite-runtime": "2.14.0"}, FAILED),
        ({"numpy": "1.26.4", "tflite-runtime": "2.14.0"}, OK),
        ({"numpy": "2.1.0", "ai-edge-litert": "2.3.0"}, OK),
        ({"numpy": "2.1.0", "ai-edge-litert": "2.3.0", "tflite-runtime": "2.14.0"}, OK),
    ],
)
def test_a_numpy_that_the_runtime_was_not_built_for_is_told(
    versions: dict[str, str], state: str
) -> None:
    found = doctor_software.numpy_abi(lambda name: versions.get(name, ""), versions["numpy"])
    assert found.state == state


def test_a_numpy_that_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text(
        "raise ImportError('Importing the numpy C-extensions failed.\\n\\nlibopenblas.so.0')"
    )
    run = device("doctor", environment={"PYTHONPATH": str(tmp_path)})
    words = "NumPy cannot be imported (libopenblas.so.0)"
    assert_one_error_line((run.returncode, run.stdout, run.stderr), words)


def test_without_a_runtime_the_reasons_are_told() -> None:
    finding = doctor_software.runtime(lambda statement: f"no {statement.split()[-1]}")
    assert finding.state == FAILED and "no tflite_runtime.interpreter" in finding.found
    assert doctor_software.runtime(lambda _: "").state == OK


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("pass", ""),
        ("raise ValueError('numpy.dtype')", "ValueError: numpy.dtype"),
        ("import os; os.kill(os.getpid(), 11)", "it crashed (signal 11)"),
        ("import sys; sys.exit(3)", "status 3"),
    ],
)
def test_what_crashes_a_child_leaves_the_doctor_alive(statement: str, problem: str) -> None:
    assert doctor_software.in_child(statement) == problem


def test_a_model_newer_than_the_runtime_is_told(tiny_bundle: Path) -> None:
    loaded = load(tiny_bundle)
    newer = replace(loaded, manifest={**loaded.manifest, "oldest_runtime": "TFLite 2.16.1"})

    def old(name: str) -> str:
        return "2.14.0" if name == "tflite-runtime" else ""

    assert doctor_software.operators(loaded, old).state == OK
    finding = doctor_software.operators(newer, old)
    assert finding.state == FAILED and "ai-edge-litert" in finding.fix
    both = {"tflite-runtime": "2.14.0", "ai-edge-litert": "2.3.0"}
    assert doctor_software.operators(newer, lambda name: both.get(name, "")).state == OK


class Guarded:
    """A guard whose runtimes fail as told."""

    def __init__(self, **problems: str) -> None:
        self.problems = problems

    def check(self, bundle: object, name: str, config: InferenceConfig) -> Check:
        if name in self.problems:
            raise SelfTestError(self.problems[name])
        return Check(2, 0.003)


def test_a_failing_edge_tpu_is_a_warning_while_the_cpu_passes(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ("edgetpu", "ai-edge-litert")
    monkeypatch.setattr(doctor_software, "candidates", lambda *_: both)
    loaded, crashed = load(tiny_bundle), "the interpreter crashed in its self-test (SIGSEGV)"
    found = doctor_software.self_tests(loaded, Config(), Guarded(edgetpu=crashed))  # type: ignore[arg-type]
    assert states(found) == {"self-test on ai-edge-litert": OK, "self-test on edgetpu": WARNING}
    guard = Guarded(
        **{name: "Didn't find op for builtin opcode 'CONV_2D' version '5'" for name in both}
    )
    failed = list(doctor_software.self_tests(loaded, Config(), guard))  # type: ignore[arg-type]
    assert set(states(failed).values()) == {FAILED}
    assert "newer than the runtime" in the(failed, "self-test on ai-edge-litert").fix


# --- the command ----------------------------------------------------------------------------------


def settings_file(tmp_path: Path, bundle: Path) -> Path:
    path = tmp_path / "fieldguide.toml"
    path.write_text(f'[bundle]\npath = "{bundle}"\n[camera]\nsource = "{tmp_path}"\n')
    return path


def test_a_machine_that_can_serve_passes(tmp_path: Path, tiny_bundle: Path) -> None:
    run = device("doctor", "--json", "--config", settings_file(tmp_path, tiny_bundle))
    answer = json.loads(run.stdout)
    assert run.returncode == 0 and answer["healthy"], run.stdout
    checks = {finding["check"]: finding["state"] for finding in answer["findings"]}
    assert checks["self-test on ai-edge-litert"] == OK
    assert {"python", "numpy", "settings", "camera", "clock", "disk", "bundle"} <= set(checks)


def test_an_edited_bundle_fails_with_cause_and_cure(
    call: Call, tmp_path: Path, tiny_bundle: Path
) -> None:
    files = read_folder(tiny_bundle)
    files[contract.MODEL] = files[contract.MODEL][:-1] + b"x"
    bundle = write_folder(tmp_path / "bundle", files)
    status, out, err = call("doctor", "--config", settings_file(tmp_path, bundle))
    (line,) = (line for line in out.splitlines() if line.startswith("FAILED"))
    assert status == 1 and err == "1 failed\n"
    assert "differs from the manifest" in line and "-> make bundle" in line


def test_a_model_of_noise_fails_its_self_test(tmp_path: Path, tiny_bundle: Path) -> None:
    files = read_folder(tiny_bundle)
    forged = resealed({**files, contract.MODEL: files[contract.MODEL][:64] + bytes(4096)})
    config = settings_file(tmp_path, write_folder(tmp_path / "bundle", forged))
    run = device("doctor", "--config", config)
    assert run.returncode == 1
    assert "FAILED   self-test on ai-edge-litert" in run.stdout and "Traceback" not in run.stderr


def test_missing_and_broken_settings_are_told(call: Call, tmp_path: Path) -> None:
    status, out, _ = call("doctor", "--config", tmp_path / "none.toml")
    assert status == 1 and "FAILED   settings" in out and "-> cp " in out
    broken = tmp_path / "fieldguide.toml"
    broken.write_text("[camera]\nsorce = 1\n")
    status, out, _ = call("doctor", "--config", broken)
    assert status == 1 and "did you mean 'source'?" in out


def test_each_finding_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("a", FAILED, "b\nc", "d")
    assert findings.report([finding], as_json=False) == 1
    assert capsys.readouterr().out == "FAILED   a: b c -> d\n"


def test_every_failure_of_this_machine_names_a_cure() -> None:
    found = list(doctor.examine(Path("/nonexistent.toml")))
    assert all(finding.fix for finding in found if finding.state != OK)
    assert the(found, "python").found == ".".join(map(str, sys.version_info[:2]))
