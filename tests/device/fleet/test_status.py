"""Who runs what, from real metrics, and from boards that are away or say nonsense."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.fleet.boards import Asked, Ran, ask, parse
from device.telemetry.updates import SoftwareStatus, UpdateStatus
from tests.device.fleet.conftest import Good, Run, complaint
from tests.support.device.metrics_server import metrics

TOKEN = "0123456789abcdef"
OWN = SoftwareStatus(fetched=True, installed=4, latest=6, failed=("5: it crashed",), problem="full")
STATUS = UpdateStatus(
    name="birds",
    installed=2,
    latest=3,
    stage="on trial",
    failed=("1: it crashed",),
    software=OWN,
)


class _Board(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(metrics(STATUS) if allowed else b"")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Board)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_board_is_understood_by_the_metrics_that_it_really_serves() -> None:
    told = parse("http://garden", metrics(STATUS).decode())
    assert replace(told.model, troubles=()) == Ran("birds", 2, "on trial", latest=3, failed=1)
    assert replace(told.software, troubles=()) == Ran("software", 4, latest=6, failed=5)
    assert told.troubles == (
        "went back from 1 release",
        "software: its last attempt failed",
        "software: went back from 1 release",
        "its time is not verified",
    )


def test_a_board_that_fetches_no_software_tells_of_none() -> None:
    told = parse(
        "http://garden", metrics(replace(STATUS, software=replace(OWN, fetched=False))).decode()
    )
    assert told.fetched == (told.model,)


def test_status_says_what_is_offered_and_what_boards_run(
    good: Good, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "boards.txt"
    listed.write_text(f"# ours\n{url} {TOKEN}\n\nhttp://127.0.0.1:9/metrics\n")
    good("promote", "--name=birds", "--percent=10")
    good("status", f"--boards={listed}")
    said = capsys.readouterr().out
    assert "boards of all: 10% are offered birds/1" in said
    assert "timestamp expires " in said
    assert f"{url}: birds/2, 3 is offered on trial, software/4, 6 is offered; went back" in said
    assert "birds/2: 1 of 1 boards (100%)" in said and "software/4: 1 of 1 boards" in said
    assert "1 of 2 boards said nothing of releases" in said
    assert TOKEN not in said


def test_a_wrong_token_is_said(url: str) -> None:
    (told,) = ask([Asked(url, "wrong")])
    assert "401" in told.problem


@pytest.mark.parametrize("line", ["garden.local", "ftp://x", "http://x a b"])
def test_a_line_that_is_no_board_is_one_line(
    run: Run, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "boards.txt"
    listed.write_text(f"http://good\n{line}\n")
    assert run("status", f"--boards={listed}") == 1
    assert "line 2: write http://" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_is_one_plain_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, said in (
        ("none", "No such file or directory"),
        ("bytes", "no text"),
        ("", "Is a directory"),
    ):
        path = tmp_path / name
        assert run("ramp", "--name=birds", f"--boards={path}") == 1
        assert complaint(capsys) == f"error: {path}: {said}; name a list of boards"


@given(st.text())
def test_nothing_that_a_board_says_breaks_it(text: str) -> None:
    told = parse("http://garden", f'fieldguide_update_info{{release="{text}"}} 1.0\n{text}')
    assert not [character for character in told.model.release if category(character) == "Cc"]
