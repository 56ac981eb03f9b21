"""Nothing that others send is obeyed by a terminal or a log."""

import unicodedata
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device.doctor.finding import OK, Finding
from device.errors import SourceError
from device.safe_text import printable, printable_line
from device.telemetry.counters import Telemetry
from tests.support.cli import Call
from tests.support.peers.cameras import jpeg
from tests.support.peers.http_servers import first, server

TURNING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ESCAPE = "\x1b[31mred\x07\n\x9b0m\u202e"


def assert_obeyed_by_nobody(text: str) -> None:
    for sign in text:
        assert unicodedata.category(sign) not in ("Cc", "Cs", "Zl", "Zp") and sign not in TURNING


@given(st.text(st.characters()))
@example("".join(map(chr, range(0x0100))))
@example("\ud83d\ude00 \u2028\u2029\x85")
def test_no_text_keeps_what_a_terminal_obeys(text: str) -> None:
    for safe in (printable(text), printable_line(text)):
        assert_obeyed_by_nobody(safe)
        assert printable(safe) == safe


@given(st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))))
@example("Rosa × damascena 'Père' (دمشقی‌ها) 日本 🌹")
def test_ordinary_text_of_all_scripts_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def raw(line: str, kind: str = "text/html") -> bytes:
    head = f"HTTP/1.1 {line}\r\nContent-Type: {kind}\r\nContent-Length: 2\r\n\r\nno"
    return head.encode("latin-1")


@pytest.mark.parametrize(
    "answer",
    [
        raw("404 \x1b]0;owned\x07\x1b[2J"),
        raw("200 OK", kind="text/\x1b[31mred"),
        raw("401 \x9b31m no"),
        raw("302 \x1b[2J\r\nLocation: ftp://\x1b[31m/x"),
        raw("302 \x1b[2J\r\nLocation: http://\x1b[31m/x"),
        b"\x1b[2J\x1b[31m\r\n\r\n",
    ],
)
def test_what_a_camera_answers_brings_no_escapes_into_log_and_outputs(answer: bytes) -> None:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(answer)

    with server(send) as address, pytest.raises(SourceError) as raised:
        first(address)
    assert_obeyed_by_nobody(str(raised.value))


def test_problems_and_findings_are_one_line_that_nobody_obeys() -> None:
    telemetry = Telemetry()
    telemetry.camera.lost(f"no\n{ESCAPE}")
    telemetry.start_sink("mqtt").failed(ESCAPE)
    telemetry.model_problem(ESCAPE)
    telemetry.reloaded(ESCAPE)
    status = telemetry.snapshot()
    for text in (
        status.camera.problem,
        status.sinks["mqtt"].problem,
        status.model_problem,
        status.config_problem,
        Finding("broker", OK, ESCAPE, ESCAPE).line(),
    ):
        assert "red" in text
        assert_obeyed_by_nobody(text)


def test_names_of_files_and_classes_do_not_write_to_the_terminal(
    call: Call, tiny_bundle: Path, tmp_path: Path
) -> None:
    whole, damaged = tmp_path / f"a{ESCAPE}.jpg", tmp_path / f"b{ESCAPE}.jpg"
    whole.write_bytes(jpeg(0))
    damaged.write_bytes(b"no photo")
    for paths, lines in (([whole], 1), ([damaged], 1), ([tmp_path], 2), ([tmp_path / ESCAPE], 1)):
        _, out, err = call("classify", "--bundle", tiny_bundle, *paths)
        assert_obeyed_by_nobody((out + err).replace("\n", ""))
        assert (out + err).count("\n") == lines + 1, "one for each, and that of the bundle"
    status, out, err = call("run", "--bundle", tiny_bundle, "--source", tmp_path / ESCAPE)
    assert status == 1 and "red" in err
    assert_obeyed_by_nobody((out + err).replace("\n", ""))
