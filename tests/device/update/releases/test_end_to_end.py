"""The whole way: published by `device.fleet`, fetched, installed, and run by the real service."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from device.fleet.__main__ import main
from device.outputs.updates import Updates
from device.settings import sections
from device.telemetry.updates import HEALTH_FILE, Health, read
from device.update import slots
from tests.device.update.updating import tarred
from tests.support.cli import PROCESS_LIMIT_S, Call, assert_one_error_line
from tests.support.device.board import Board, Files
from tests.support.device.bundle_files import write_folder
from tests.support.device.release_server import serving
from tests.support.device.running_service import running, settings
from tests.support.peers.cameras import mjpeg_camera
from tests.support.timing import eventually


@pytest.fixture
def fleet(tmp_path: Path, first: Files, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fleet in which release 1 of birds is for all boards."""
    for name in ("FLEET_PASSPHRASE", "FLEET_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder, tar = tmp_path / "fleet", tarred(tmp_path / "first.tar", first)
    assert main(["init", f"--fleet={folder}"]) == 0
    assert main(["publish", f"--fleet={folder}", "--name=birds", f"--bundle={tar}"]) == 0
    assert main(["promote", f"--fleet={folder}", "--name=birds", "--percent=100"]) == 0
    return folder


def board_of(folder: Path, fleet: Path, url: str, plain: Files) -> Board:
    """A board with the real clock, and a bundle of its own."""
    board = Board(folder, url, (fleet / "public/metadata/1.root.json").read_bytes())
    board.clock.now = board.clock.now.now(board.clock.now.tzinfo)
    slots.install(write_folder(folder / "plain", plain), board.slots)
    return board


def more_settings(board: Board) -> str:
    return f"""
[visits]
path = "{board.slots}/visits"
[output.collect]
path = "{board.slots}/collected"
[update]
enabled = true
url = "{board.url}"
name = "birds"
root = "{board.folder}/root.json"
"""


def test_a_release_reaches_the_running_service(
    fleet: Path, plain: Files, first: Files, tmp_path: Path
) -> None:
    with serving(fleet / "public") as server, mjpeg_camera() as camera:
        board = board_of(tmp_path / "board", fleet, server.url, plain)
        text = settings(board.slots / slots.CURRENT, camera.url, more_settings(board))
        with running(tmp_path, text) as service:
            eventually(lambda: bool(service.lines) and service.lines[-1]["label"] == "red")
            eventually(lambda: read(Health, board.own / HEALTH_FILE).streaming)
            assert board.turn().stage == "trial"
            eventually(lambda: service.lines[-1]["label"] == "rouge")
            model = json.loads(first["manifest.json"])["files"]["model_int8.tflite"]["sha256"]
            assert read(Health, board.own / HEALTH_FILE).model_sha256 == model
            # As the service does after ten minutes.
            board.confirm()
            assert board.install().installed == 1
            assert service.stop()[0] == 0
        assert not read(Health, board.own / HEALTH_FILE).open


def test_the_units_commands_do_the_same(
    fleet: Path, plain: Files, first: Files, tmp_path: Path, call: Call
) -> None:
    """As systemd starts them, one after the other, with the board's own clock."""
    with serving(fleet / "public") as server:
        board = board_of(tmp_path / "board", fleet, server.url, plain)
        config = tmp_path / "fieldguide.toml"
        config.write_text(f'[bundle]\npath = "{board.slots}/current"\n{more_settings(board)}')
        assert sections.load(config).update.enabled
        Updates(board.own).close()

        def part(name: str) -> "subprocess.CompletedProcess[str]":
            places = [f"--fetched={board.places.fetched}", f"--asked={board.places.asked}"]
            command = [sys.executable, "-P", "-m", "device.update", "run", "--part", name]
            return subprocess.run(
                [*command, *places, f"--config={config}"],
                capture_output=True,
                text=True,
                timeout=PROCESS_LIMIT_S,
                check=False,
                env={"PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"},
            )

        for name in ("install", "fetch", "install"):
            done = part(name)
            assert done.returncode == 0, done.stderr
        assert board.running() == first
        status, output, _ = call("update", "status", "--config", config)
        assert status == 0 and "(trial)" in output and "meant for this board: 1" in output
        assert "release 1 is on trial, for 0 min" in output
        status, output, _ = call("update", "status", "--json", "--config", config)
        assert json.loads(output)["latest"] == 1
        where = [f"--fetched={board.places.fetched}", f"--asked={board.places.asked}"]
        for action in ("now", "check"):
            status, output, _ = call("update", action, "--config", config, *where)
            assert (
                status == 0
                and "release 1 is on trial, for 0 min of uptime so far, until the service" in output
            )
        assert (board.own / "wanted").exists()


def test_a_password_in_the_address_is_shown_nowhere(
    tmp_path: Path, plain: Files, fleet: Path, call: Call
) -> None:
    url = "http://me:secret-word@127.0.0.1:9/public"
    board = board_of(tmp_path / "board", fleet, url, plain)
    config = tmp_path / "fieldguide.toml"
    config.write_text(f'[bundle]\npath = "{board.slots}/current"\n{more_settings(board)}')
    places = [f"--fetched={board.places.fetched}", f"--asked={board.places.asked}"]
    board.install()
    run = call("update", "check", "--config", config, *places)
    assert run[0] == 1 and "127.0.0.1:9" in run[2]
    told = call("update", "status", "--config", config)
    assert "secret-word" not in "".join(map(str, (*run, *told)))
    assert "secret-word" not in (board.own / "status.json").read_text()


def test_without_settings_of_updates_there_is_one_line(tmp_path: Path, call: Call) -> None:
    config = tmp_path / "fieldguide.toml"
    config.write_text("")
    assert_one_error_line(call("update", "now", "--config", config), "set update.enabled", 2)


def test_before_the_first_pass_each_command_says_what_starts_one(
    tmp_path: Path, plain: Files, fleet: Path, call: Call
) -> None:
    board = board_of(tmp_path / "board", fleet, "http://127.0.0.1:9", plain)
    config = tmp_path / "fieldguide.toml"
    config.write_text(f'[bundle]\npath = "{board.slots}/current"\n{more_settings(board)}')
    places = [f"--fetched={board.places.fetched}", f"--asked={board.places.asked}"]
    for action in ("status", "check", "now"):
        said = call("update", action, "--config", config, *places)
        assert_one_error_line(said, "systemctl start fieldguide-install")
    # Who reads it as JSON reads that nothing is known.
    status, output, _ = call("update", "status", "--json", "--config", config)
    assert status == 0 and json.loads(output)["source"] == ""
    # A pass says that nothing is wanted.
    board.settings(enabled=False)
    board.install()
    assert_one_error_line(call("update", "check", "--config", config, *places), "[update]")
