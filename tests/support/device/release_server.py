"""A web server on loopback that shows a folder, as nginx would, or lies as a test wants."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Lie = Callable[[BaseHTTPRequestHandler], None]


class ReleaseServer:
    """Its address, what was asked, and the lies by the end of a path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lies: dict[str, Lie] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.sent_bytes = 0
        handler = partial(_Handler, self)
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/fleet"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients are killed, or have had enough."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, server: ReleaseServer, *args: object) -> None:
        self.owner = server
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        owner = self.owner
        owner.asked.append(self.path)
        owner.ranges.append(self.headers.get("Range", ""))
        for end, lie in owner.lies.items():
            if self.path.endswith(end):
                lie(self)
                return
        self._send(owner.folder / self.path.removeprefix("/fleet/"))

    def _send(self, path: Path) -> None:
        if ".." in path.parts or not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(begin[1]) if begin else 0
        if begin and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        # Before the client has them, and may ask how many they were.
        self.owner.sent_bytes += len(data) - start
        self.wfile.write(data[start:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Body:
    """Answer with this, whatever was asked; the length may be a lie, too."""

    data: bytes
    length: int
    status: int

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(self.length))
        handler.end_headers()
        handler.wfile.write(self.data)


def body(data: bytes, *, length: int | None = None, status: int = 200) -> Lie:
    """Such an answer; of the right length, unless another is given."""
    return Body(data, len(data) if length is None else length, status)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send until the client has had enough."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        return


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte every now and then, each within any limit for a pause."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        return


@dataclass(frozen=True)
class Pointing:
    """Redirect to another place of the same server."""

    elsewhere: str

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"/fleet/{self.elsewhere}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@contextmanager
def serving(folder: Path) -> Iterator[ReleaseServer]:
    """Such a server for the length of a test."""
    server = ReleaseServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
