"""What a static web server bears: checks by boards that find nothing new, each a new connection.

Server and clients share this machine, so what is found is less than what the server can do.
"""

import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

CLIENTS = 8
CHECK_S = 15 * 60
TIMESTAMP = "metadata/timestamp.json"
NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; root {public}; }} }}
"""


@dataclass(frozen=True)
class Load:
    """What one server bore of one question."""

    server: str
    what: str
    per_s: float
    """Requests a second."""
    cpu_us: float
    """Processor time of the server for one."""
    wire_bytes: int
    """Of a request and its answer, with their headers, without TLS and TCP."""

    @property
    def boards(self) -> float:
        """How many could ask every 15 minutes; a check is two requests."""
        return self.per_s / 2 * CHECK_S


def loads(public: Path, seconds: float) -> Iterator[Load]:
    """Each server with each question.

    Args:
        public: what is served.
        seconds: for each.
    """
    newest = max(int(path.name.split(".")[0]) for path in public.glob("metadata/*.root.json"))
    nothing = f"metadata/{newest + 1}.root.json"
    for name in _servers():
        for path in (TIMESTAMP, nothing):
            before_s = _children_s()
            with _serving(name, public) as port:
                count, wire_bytes = _asked(port, path, seconds)
            what = path if path == TIMESTAMP else "a root that is not there"
            used_s = _children_s() - before_s
            yield Load(name, what, count / seconds, 1e6 * used_s / count, wire_bytes)


def _servers() -> list[str]:
    return [*(["nginx, one process"] if shutil.which("nginx") else []), "python -m http.server"]


@contextmanager
def _serving(name: str, public: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    command += ["--directory", str(public)]
    if name.startswith("nginx"):
        folder = public.parent
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, public=public))
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _await(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no server at port {port}")


def _children_s() -> float:
    """Processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _asked(port: int, path: str, seconds: float) -> tuple[int, int]:
    """How many requests, and the bytes of one with its answer."""
    request = (
        f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: fieldguide\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
    ).encode()
    until_s = time.perf_counter() + seconds
    with ThreadPoolExecutor(CLIENTS) as pool:
        found = list(pool.map(lambda _: _client(port, request, until_s), range(CLIENTS)))
    return sum(count for count, _ in found), len(request) + found[0][1]


def _client(port: int, request: bytes, until_s: float) -> tuple[int, int]:
    count = answered = 0
    while time.perf_counter() < until_s:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(request)
            answered = sum(len(block) for block in iter(lambda: connection.recv(65536), b""))
        count += 1
    return count, answered
