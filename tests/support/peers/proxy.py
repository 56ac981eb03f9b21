"""A real nginx in front of the device's page."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.peers.nginx_site import write_site
from tests.support.places import ROOT
from tests.support.ports import free_port

START_S = 20
SERVER = """server {{
    listen 127.0.0.1:{port} {tls};
    location / {{ default_type text/html; return 200 "{front}"; }}
    {location}
  }}"""


@dataclass(frozen=True)
class Proxy:
    address: str
    """Of the page below its path."""
    folder: Path

    def log(self) -> str:
        return (self.folder / "access.log").read_text()


def location_of_readme(port: int) -> str:
    """What device/README.md says to write, for a page at this port."""
    text = (ROOT / "device" / "README.md").read_text("utf-8")
    found = re.search(r"^    location /birds/ \{.*?^    \}$", text, re.M | re.S)
    assert found is not None
    assert "127.0.0.1:8080" in found[0]
    return found[0].replace("127.0.0.1:8080", f"127.0.0.1:{port}")


@contextmanager
def nginx(
    folder: Path, location: str, *, encrypted: bool = False, front: str = "the house"
) -> Iterator[Proxy]:
    """A house's own page, and the device's page below `/birds/`; skips where there is no nginx."""
    if not shutil.which("nginx") or not shutil.which("openssl"):
        pytest.skip("no nginx or openssl: apt-get install nginx openssl")
    folder.mkdir()
    tls = _certified(folder) if encrypted else ""
    port = free_port()
    server = SERVER.format(port=port, tls=tls, location=location, front=front)
    process = subprocess.Popen(write_site(folder, server))
    try:
        _wait_for(port)
        yield Proxy(f"{'https' if encrypted else 'http'}://127.0.0.1:{port}/birds/", folder)
    finally:
        process.terminate()
        process.wait(START_S)


def _certified(folder: Path) -> str:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = ["-subj", "/CN=house", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *files, *names], check=True, capture_output=True)
    return f"ssl; ssl_certificate {certificate}; ssl_certificate_key {key}"


def _wait_for(port: int) -> None:
    until_s = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until_s, "nginx did not start"
            time.sleep(0.05)
        else:
            return
