"""Promises of `doctor`: what keeps a camera service from working is named, with a cure."""

import errno
import json
from pathlib import Path

import pytest

from device.contract import bundle as contract
from device.doctor import examine, software
from device.doctor.finding import FAILED, OK, WARNING, Finding, report
from device.settings.sections import CameraConfig, CollectConfig, Config, OutputConfig
from tests.support.cli import Call, device
from tests.support.device.bundle_files import read_folder, resealed, write_folder
from tests.support.device.fake_host import Machine, states, the
from tests.support.device.thumbnails import with_thumbnails
from tests.support.ports import free_port


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


def test_a_bundle_without_its_thumbnails_is_a_warning_for_it_classifies(
    call: Call, tmp_path: Path, tiny_bundle: Path
) -> None:
    files = with_thumbnails(read_folder(tiny_bundle))
    bundle = write_folder(tmp_path / "bundle", {**files, contract.THUMBNAILS: b"damaged"})
    status, out, _ = call("doctor", "--config", settings_file(tmp_path, bundle))
    (line,) = (line for line in out.splitlines() if "thumbnails.npz" in line)
    assert status == 0 and line.startswith("warning") and "-> install the bundle again" in line


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


def test_what_may_not_be_looked_at_is_told_and_the_rest_examined(tmp_path: Path) -> None:
    hidden = tmp_path / ("x" * 300)
    settings = tmp_path / "fieldguide.toml"
    settings.write_text(
        f'[bundle]\npath = "{hidden}"\n[camera]\nsource = "{hidden}"\n'
        f'[output.collect]\nenabled = true\npath = "{hidden}"\n'
    )
    found = list(examine.examine(settings))
    assert the(found, "settings").state == OK
    assert "File name too long" in the(found, "bundle").found
    assert the(list(examine.examine(hidden)), "settings").state == FAILED


def test_who_may_not_read_the_settings_learns_who_may(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", closed)
    _, finding = examine.config_file(Path("/etc/fieldguide/fieldguide.toml"))
    assert "Permission denied" in finding.found and "sudo -u fieldguide" in finding.fix


SECRETS = {
    "output.mqtt.password": '[output.mqtt]\npassword = "s3cret"\n',
    "output.web.token": '[output.web]\ntoken = "0123456789abcdef"\n',
    "output.prometheus.token": '[output.prometheus]\ntoken = "0123456789abcdef"\n',
    "camera.source": '[camera]\nsource = "rtsp://admin:s3cret@10.0.0.2/live"\n',
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_password_that_everybody_may_read_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text(SECRETS[name])
    path.chmod(0o644)
    _, finding = examine.config_file(path)
    assert finding.state == WARNING and name in finding.found and "s3cret" not in finding.found
    assert f"chmod 640 {path}" in finding.fix
    path.chmod(0o640)
    assert examine.config_file(path)[1].state == OK


@pytest.mark.parametrize("source", ["auto", "picamera2", "http://10.0.0.2/stream", "/dev/video0"])
def test_settings_without_a_password_are_for_everybody(source: str, tmp_path: Path) -> None:
    path = tmp_path / "fieldguide.toml"
    path.write_text(f'[camera]\nsource = "{source}"\n')
    path.chmod(0o644)
    assert examine.config_file(path)[1].state == OK


def test_each_finding_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("a", FAILED, "b\nc", "d")
    assert report([finding], as_json=False) == 1
    assert capsys.readouterr().out == "FAILED   a: b c -> d\n"


BROKEN = """
[bundle]
path = "/nonexistent/bundle"
[camera]
source = "picamera2"
[inference]
runtime = "edgetpu"
[output.web]
enabled = true
port = 8080
[output.mqtt]
enabled = true
host = "127.0.0.1"
port = {port}
[output.collect]
enabled = true
path = "{collect}"
min_free_mb = 1000000
"""


def test_every_failure_names_a_cure(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine")
    machine.listen(8080, 4321)
    machine.write("dev/video0")
    machine.process(31, "nginx", "nginx", "socket:[4321]", "/dev/video0")
    settings = tmp_path / "fieldguide.toml"
    settings.write_text(BROKEN.format(port=free_port(), collect=tmp_path / "photos"))
    found = list(examine.examine(settings, machine.host()))
    wrong = {finding.check: finding for finding in found if finding.state != OK}
    assert {"picamera2", "camera", "camera holder", "edge tpu", "collect"} <= set(wrong)
    assert {"port of web", "mqtt broker", "bundle"} <= set(wrong)
    assert [check for check, finding in wrong.items() if not finding.fix] == []
    (nothing,) = (each for each in examine.examine(tmp_path / "none") if each.check == "settings")
    assert nothing.state == FAILED and nothing.fix


@pytest.mark.parametrize(
    ("region", "setting", "mark", "found"),
    [
        ("whole", "auto", "ok", "off: whole pictures are classified, because the bundle was"),
        ("change", "whole", "ok", "off: whole pictures are classified, because camera.look"),
        ("whole", "change", "FAILED", "trained on whole pictures"),
        ("change", "auto", "ok", "on, while the camera stands still; no background kept yet"),
        ("change", "change", "ok", "on, always; background kept in"),
    ],
)
def test_whether_it_looks_where_something_is_is_told(
    tmp_path: Path, tiny_bundle: Path, region: str, setting: str, mark: str, found: str
) -> None:
    files = resealed(read_folder(tiny_bundle), region=region)
    loaded = contract.load(write_folder(tmp_path / "bundle", files))
    if "kept in" in found:
        (tmp_path / "background").write_bytes(b"")
    output = OutputConfig(collect=CollectConfig(path=str(tmp_path / "collected")))
    settings = Config(camera=CameraConfig(look=setting), output=output)
    line = software.look(loaded, settings).line()
    assert line.split()[0] == mark and found in line


@pytest.mark.parametrize("region", ["whole", "change"])
def test_the_folder_of_visits_is_examined_if_the_camera_is_looked_at(
    tmp_path: Path, tiny_bundle: Path, region: str
) -> None:
    bundle = write_folder(tmp_path / "b", resealed(read_folder(tiny_bundle), region=region))
    settings = tmp_path / "fieldguide.toml"
    (tmp_path / "file").touch()
    settings.write_text(f'[bundle]\npath = "{bundle}"\n[visits]\npath = "{tmp_path}/file/visits"\n')
    found = states(examine.examine(settings))
    assert found.get("visits") == (FAILED if region == "change" else None)


def test_a_mask_that_cannot_be_used_is_told(tmp_path: Path, tiny_bundle: Path) -> None:
    files = resealed(read_folder(tiny_bundle), region="change")
    loaded = contract.load(write_folder(tmp_path / "bundle", files))
    named = Config(camera=CameraConfig(mask=str(tmp_path / "mask.png")))
    told = software.look(loaded, named)
    assert told.state == "warning" and "mask.png: No such file" in told.found
    assert told.fix == "correct camera.mask"
