"""Promises of fetching: what was cut short goes on, what is wrong is thrown away, nothing waits."""

import hashlib
import os
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from device.errors import UnreachableError, UpdateError
from device.update.trust import web
from device.update.trust.fetch import NotThereError, Wanted
from device.update.trust.web import Web
from tests.support.device.release_server import ReleaseServer, body, serving

DATA = bytes(range(256)) * 4000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReleaseServer]:
    (tmp_path / "public").mkdir()
    (tmp_path / "public/file").write_bytes(DATA)
    with serving(tmp_path / "public") as server:
        yield server


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept"


WANTED = Wanted("file", len(DATA), hashlib.sha256(DATA).hexdigest())


def test_a_file_is_fetched_once(server: ReleaseServer, kept: Path) -> None:
    assert Web(server.url).fetch(WANTED, kept).read_bytes() == DATA
    Web(server.url).fetch(WANTED, kept)
    assert len(server.asked) == 1 and [path.name for path in kept.iterdir()] == [WANTED.sha256]


def test_what_was_cut_short_goes_on_where_it_stopped(server: ReleaseServer, kept: Path) -> None:
    server.lies["file"] = body(DATA[:300_000], length=len(DATA))
    with pytest.raises(UnreachableError):
        Web(server.url).fetch(WANTED, kept)
    server.lies.clear()
    server.sent_bytes = 0
    assert Web(server.url).fetch(WANTED, kept).read_bytes() == DATA
    assert server.ranges[-1] == "bytes=300000-"
    assert server.sent_bytes == len(DATA) - 300_000


def test_a_server_that_cannot_go_on_starts_again(server: ReleaseServer, kept: Path) -> None:
    (kept / f"{WANTED.sha256}.part").write_bytes(DATA[:1000])
    server.lies["file"] = body(DATA)
    assert Web(server.url).fetch(WANTED, kept).read_bytes() == DATA


@pytest.mark.parametrize("left", [b"garbage" * 100, b"\0" * len(DATA), DATA + b"x"])
def test_what_a_power_cut_left_broken_is_fetched_again(
    left: bytes, server: ReleaseServer, kept: Path
) -> None:
    (kept / f"{WANTED.sha256}.part").write_bytes(left)
    with pytest.raises(UnreachableError, match="not what was signed"):
        Web(server.url).fetch(WANTED, kept)
    assert Web(server.url).fetch(WANTED, kept).read_bytes() == DATA


def test_a_part_from_elsewhere_in_the_file_is_refused(server: ReleaseServer, kept: Path) -> None:
    (kept / f"{WANTED.sha256}.part").write_bytes(DATA[:1000])
    server.lies["file"] = body(DATA[500:], status=206)
    with pytest.raises(UnreachableError, match="another part"):
        Web(server.url).fetch(WANTED, kept)


def test_a_file_that_was_changed_on_the_disk_is_fetched_again(
    server: ReleaseServer, kept: Path
) -> None:
    path = Web(server.url).fetch(WANTED, kept)
    path.write_bytes(DATA[::-1])
    assert Web(server.url).fetch(WANTED, kept).read_bytes() == DATA


def test_a_full_disk_is_told_before_anything_is_fetched(
    server: ReleaseServer, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 1000, 10, 10, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(UpdateError, match="no room"):
        Web(server.url).fetch(WANTED, kept)
    assert server.asked == []


def test_an_empty_file_is_fetched(server: ReleaseServer, kept: Path) -> None:
    (server.folder / "empty").write_bytes(b"")
    wanted = Wanted("empty", 0, hashlib.sha256(b"").hexdigest())
    assert Web(server.url).fetch(wanted, kept).read_bytes() == b""


def test_a_server_that_is_not_there_is_told_in_one_line(kept: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        Web("http://user:secret-word@127.0.0.1:9/fleet").read("metadata/timestamp.json", 100)
    assert "\n" not in str(caught.value) and "secret-word" not in str(caught.value)


def test_a_missing_file_is_told_apart(server: ReleaseServer) -> None:
    with pytest.raises(NotThereError):
        Web(server.url).read("nothing", 100)


def test_name_and_password_are_sent_to_the_server(server: ReleaseServer) -> None:
    said: list[str | None] = []

    def answer(asked: BaseHTTPRequestHandler) -> None:
        said.append(asked.headers["Authorization"])
        body(b"x")(asked)

    server.lies["file"] = answer
    url = server.url.replace("http://", "http://me:pass%40word@")
    assert Web(url).read("file", 10) == b"x"
    assert said == ["Basic bWU6cGFzc0B3b3Jk"]


@pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_a_hash_that_is_none_names_no_file(sha256: str) -> None:
    with pytest.raises(UpdateError):
        Wanted("file", 1, sha256)


def test_an_answer_that_drips_ends_at_its_deadline(
    server: ReleaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while its head drips, when no body limits it."""

    def slow_head(asked: BaseHTTPRequestHandler) -> None:
        try:
            for _ in range(2000):
                asked.wfile.write(b"X")
                asked.wfile.flush()
                time.sleep(0.01)
        except OSError:
            return

    monkeypatch.setattr(web, "DOCUMENT_S", 0.2)
    server.lies["file"] = slow_head
    with pytest.raises(UnreachableError):
        Web(server.url).read("file", 10)
