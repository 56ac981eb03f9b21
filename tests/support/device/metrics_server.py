"""A web server on loopback with the metrics of many boards, as each would serve its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from device.outputs import prometheus
from device.telemetry.updates import UpdateStatus

Statuses = Callable[[int], UpdateStatus | None]
"""Of a board by its number; None: it does not answer."""


class _Metrics:
    def __init__(self, status: UpdateStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[object]:
        return prometheus.update(self._status)


def metrics(status: UpdateStatus) -> bytes:
    """What a board serves of it."""
    registry = CollectorRegistry()
    registry.register(_Metrics(status))  # type: ignore[arg-type]
    return bytes(generate_latest(registry))


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, statuses: Statuses, *args: object) -> None:
        self._statuses = statuses
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        status = self._statuses(int(self.path.split("/")[1]))
        # Who asked may have waited long enough.
        with suppress(ConnectionError):
            self.send_response(200 if status else 503)
            self.end_headers()
            self.wfile.write(metrics(status) if status else b"")

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def telling(folder: Path, number: int, statuses: Statuses) -> Iterator[Path]:
    """The file that lists the addresses of so many boards, while they answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, statuses))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    listed = folder / "boards.txt"
    address = f"http://127.0.0.1:{server.server_address[1]}"
    listed.write_text("".join(f"{address}/{each}/metrics\n" for each in range(number)))
    try:
        yield listed
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
