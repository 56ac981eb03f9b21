"""Servers on loopback that answer as cameras do, and what they send."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from device.camera.frame import Frame
from device.camera.http.camera import HttpCamera
from device.settings.sections import CameraConfig
from tests.support.peers.cameras import jpeg

QUICK = CameraConfig(stall_timeout_s=0.6, fps=100)
STREAM = "multipart/x-mixed-replace; boundary=frame"
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on loopback that gives this answer to every GET."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        if context:
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        scheme = "https" if context else "http"
        try:
            yield f"{scheme}://127.0.0.1:{http.server_address[1]}/camera"
        finally:
            http.shutdown()


def send(handler: BaseHTTPRequestHandler, kind: str, data: bytes, status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    handler.wfile.write(data)


def parts(count: int) -> bytes:
    return stream([jpeg(0)] * count, b"\r\n", length=True, gap=b"\r\n", boundary="--frame")


def first(address: str, config: CameraConfig = QUICK) -> Frame:
    frames = HttpCamera(address, config).frames()
    frame = next(frames)
    frames.close()  # type: ignore[attr-defined]
    return frame


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data, cut again and again by these sizes."""
    start = number = 0
    while start < len(data):
        end = start + sizes[number % len(sizes)]
        yield data[start:end]
        start, number = end, number + 1


def stream(
    bodies: list[bytes], line_end: bytes, *, length: bool, gap: bytes, boundary: str
) -> bytes:
    data = b""
    for body in bodies:
        lines = [boundary.encode(), b"Content-Type: image/jpeg"]
        if length:
            lines.append(b"content-LENGTH:%d" % len(body))
        data += line_end.join([*lines, b"", body]) + gap
    return data + boundary.encode() + b"--"
