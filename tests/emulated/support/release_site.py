"""A real nginx that serves a fleet's folder, by what the page of the fleet says to write."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.peers.nginx_site import write_site
from tests.support.places import ROOT

PORT = 8088
PATIENCE_S = 20


class ReleaseSite:
    """It can go down and come back at the same address."""

    def __init__(self, folder: Path, public: Path, address: str) -> None:
        """Start it; skips where there is no nginx."""
        if not shutil.which("nginx"):
            pytest.skip("no nginx: apt-get install nginx-light")
        self.url = f"http://{address}:{PORT}/"
        self.folder = folder
        folder.mkdir()
        server = _server_of_page(public).replace("{", f"{{\n listen {address}:{PORT};", 1)
        self._command = write_site(folder, server)
        self._process: subprocess.Popen[bytes] | None = None
        self.go_up()

    def go_up(self) -> None:
        """Answer from now on."""
        assert self._process is None
        self._process = subprocess.Popen(self._command)
        until_s = time.monotonic() + PATIENCE_S
        while not (self.folder / "pid").exists():
            assert time.monotonic() < until_s and self._process.poll() is None, self.folder
            time.sleep(0.05)

    def go_down(self) -> None:
        """Refuse connections."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self._process = None

    def asked_for(self) -> list[str]:
        """The paths that were answered with success so far, in their order."""
        log = (self.folder / "access.log").read_text()
        return re.findall(r'"GET (\S+) HTTP/1.1" 20[06] ', log)


def _server_of_page(public: Path) -> str:
    text = (ROOT / "device/fleet/README.md").read_text("utf-8")
    found = re.search(r"^ +server \{.*?^       \}$", text, re.M | re.S)
    assert found is not None and "root /srv/fleet/public;" in found[0]
    return found[0].replace("/srv/fleet/public", str(public))
