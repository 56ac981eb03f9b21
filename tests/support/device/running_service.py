"""The service in a process of its own, as a test sees it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.places import ROOT
from tests.support.timing import Stopwatch, eventually

START_LIMIT_S = 30.0


class Running:
    """`python -m device serve`, its lines and messages collected as they come."""

    def __init__(self, folder: Path, settings: str, environment: Mapping[str, str]) -> None:
        self.config, self._folder = folder / "fieldguide.toml", folder
        self._write(settings)
        self.lines: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "device", "serve", "--config", str(self.config)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_log, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for_lines(self, count: int, within_s: float = START_LIMIT_S) -> None:
        """Until so many more observations came than before."""
        wanted = len(self.lines) + count
        eventually(lambda: len(self.lines) >= wanted or self.ended, within_s)
        assert len(self.lines) >= wanted, self.log

    def wait_for_log(self, words: str, within_s: float = START_LIMIT_S) -> None:
        eventually(lambda: any(words in line for line in self.log), within_s)

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def reload(self, settings: str) -> None:
        self._write(settings)
        self.process.send_signal(signal.SIGHUP)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Exit status, and how long the end took, in time of an idle machine."""
        watch = Stopwatch()
        self.process.send_signal(number)
        return self.wait(), watch.fair_s

    def wait(self, within_s: float = START_LIMIT_S) -> int:
        status = self.process.wait(within_s)
        for reader in self._readers:
            reader.join(5)
        return status

    def _write(self, settings: str) -> None:
        """Write settings, with places that are no other test's or installation's."""
        for section, name in (("visits", "visits"), ("output.collect", "collected")):
            if f"[{section}]" not in settings:
                settings += f'\n[{section}]\npath = "{self._folder / name}"\n'
        self.config.write_text(settings)

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))


@contextmanager
def running(folder: Path, settings: str, **environment: str) -> Iterator[Running]:
    service = Running(folder, settings, environment)
    try:
        yield service
    finally:
        service.process.kill()
        service.wait()


@contextmanager
def manager(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A service manager's socket, and the messages that came to it."""
    address = str(folder / "notify")
    messages: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(address)
        link.settimeout(0.1)
        listening = threading.Event()
        listening.set()

        def listen() -> None:
            while listening.is_set():
                try:
                    messages.append(link.recv(4096).decode())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield address, messages
        finally:
            listening.clear()
            thread.join(5)


def settings(bundle: Path, source: str, more: str = "") -> str:
    return f"""
[bundle]
path = "{bundle}"
check_interval_s = 0.2
[camera]
source = "{source}"
stall_timeout_s = 1.0
longest_wait_s = 0.5
[smoothing]
time_constant_s = 0.1
{more}
"""


def copied(bundle: Path, to: Path) -> Path:
    """A bundle that a test may change."""
    shutil.copytree(bundle, to)
    return to
