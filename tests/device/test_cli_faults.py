"""What `python -m device` does when something is wrong: one line, a status, no traceback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.contract import bundle as contract
from tests.support.cli import PROCESS_LIMIT_S, Call, assert_one_error_line, device, lines
from tests.support.device.bundle_files import read_folder, write_folder
from tests.support.pictures import encoded, picture
from tests.support.places import ROOT

ENDLESS_PHOTOS = 4000
COMMANDS = ("classify", "run", "selftest", "benchmark")


def arguments_of(command: str, photos: Path) -> list[str | Path]:
    named: dict[str, list[str | Path]] = {"classify": [photos], "run": ["--source", photos]}
    return named.get(command, [])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_bundle_is_one_line(command: str, call: Call, photos: Path) -> None:
    run = call(command, "--bundle", photos / "nowhere", *arguments_of(command, photos))
    assert_one_error_line(run, "no such bundle")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bundle_that_cannot_be_looked_at_is_one_line(
    command: str, call: Call, photos: Path
) -> None:
    run = call(command, "--bundle", photos / ("x" * 300), *arguments_of(command, photos))
    assert_one_error_line(run, "File name too long")


def test_a_bundle_that_is_no_file_is_one_line(call: Call, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    run = call("selftest", "--bundle", tmp_path / "pipe")
    assert_one_error_line(run, "neither a bundle folder nor a bundle tar")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_bundle_is_one_line(
    command: str, call: Call, tiny_bundle: Path, photos: Path, tmp_path: Path
) -> None:
    files = read_folder(tiny_bundle)
    files[contract.MODEL] = files[contract.MODEL][:-1]
    folder = write_folder(tmp_path / "bundle", files)
    run = call(command, "--bundle", folder, *arguments_of(command, photos))
    assert_one_error_line(run, contract.MODEL)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_runtime_is_one_line(
    command: str, call: Call, tiny_bundle: Path, photos: Path
) -> None:
    rest = arguments_of(command, photos)
    run = call(command, "--bundle", tiny_bundle, "--runtime", "tensorflow", *rest)
    assert_one_error_line(run, "ai-edge-litert, tflite-runtime", status=2)


def test_a_runtime_that_is_not_here_is_one_line(
    call: Call, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    run = call("selftest", "--bundle", tiny_bundle, "--runtime", "tflite-runtime")
    assert_one_error_line(run, "no TFLite runtime here")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "benchmark"])
def test_a_source_without_photos_is_one_line(
    command: str, call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no photos")
    for source in (tmp_path, tmp_path / "nowhere", text):
        run = call(command, "--bundle", tiny_bundle, "--source", source)
        assert_one_error_line(run, str(source))


def test_an_empty_source_is_not_the_folder_one_is_in(call: Call, tiny_bundle: Path) -> None:
    run = call("run", "--bundle", tiny_bundle, "--source", "")
    assert_one_error_line(run, "no source: name a folder of photos, a video file or a camera")


def test_more_threads_than_any_board_has_are_refused(tiny_bundle: Path, photos: Path) -> None:
    done = device("classify", "--bundle", tiny_bundle, "--threads", "999999", photos / "a.png")
    assert done.returncode == 2 and "999999 is more than 64" in done.stderr


@pytest.mark.parametrize("content", [b"", b"no film", b"RIFF\x10\0\0\0AVI LIST"])
def test_a_file_that_is_no_video_is_one_line(
    content: bytes, call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    run = call("run", "--bundle", tiny_bundle, "--source", path)
    assert_one_error_line(run, "not a readable video")


def test_a_folder_of_nothing_but_bad_photos_cannot_be_measured(
    call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_text("no photo")
    run = call("benchmark", "--bundle", tiny_bundle, "--source", tmp_path, "--frames", 3)
    assert_one_error_line(run, "not one photo could be used")


# --- processes --------------------------------------------------------------------------------


@pytest.fixture
def endless(tiny_bundle: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """`device run` over more photos than anyone waits for, its first line already read."""
    folder = tmp_path / "many"
    folder.mkdir()
    first = folder / "0.png"
    first.write_bytes(encoded(picture(0, 1)))
    for number in range(1, ENDLESS_PHOTOS):
        (folder / f"{number}.png").hardlink_to(first)
    command = ["run", "--bundle", str(tiny_bundle), "--source", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "device", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["label"] == "red"
    yield process
    process.kill()
    process.wait()


def test_ctrl_c_ends_with_status_130_and_one_word(endless: "subprocess.Popen[str]") -> None:
    endless.send_signal(signal.SIGINT)
    stdout, stderr = endless.communicate(timeout=PROCESS_LIMIT_S)
    assert endless.returncode == 130 and stderr == "interrupted\n"
    assert len(stdout.splitlines()) < ENDLESS_PHOTOS - 1
    assert not stdout or stdout.endswith("}\n"), "the last line is whole"


def test_a_reader_that_goes_ends_the_run_without_a_word(endless: "subprocess.Popen[str]") -> None:
    assert endless.stdout is not None and endless.stderr is not None
    endless.stdout.close()
    assert endless.wait(timeout=PROCESS_LIMIT_S) == 1
    assert endless.stderr.read() == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_stdout_is_one_line(
    unbuffered: str, tiny_bundle: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where Python writes only at its end, as it does unless told otherwise."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command = f'"{sys.executable}" -m device classify --json --bundle "$0" "$1" > /dev/full'
    run = shell(command, tiny_bundle, photos)
    assert_one_error_line((run.returncode, run.stdout, run.stderr), "No space left")


def test_closed_outputs_are_no_fault(tiny_bundle: Path, photos: Path) -> None:
    for closed in (">&-", "2>&-", "<&-"):
        command = f'"{sys.executable}" -m device classify --json --bundle "$0" "$1" {closed}'
        run = shell(command, tiny_bundle, photos / "a.png")
        assert run.returncode == 0 and run.stderr == "", closed
        assert closed == ">&-" or lines(run.stdout)[0]["label"] == "red"


def shell(command: str, *arguments: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", command, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROCESS_LIMIT_S,
        check=False,
    )
