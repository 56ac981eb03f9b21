"""A board's side: python-tuf's own client, over HTTP or on a folder, and what it is offered."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from device.contract.release import packing, record, rollout
from device.contract.release.naming import ROLLOUT_TARGET
from device.contract.release.record import Release
from device.contract.release.rollout import Rollout


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a real web server that shows a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _FromFolder(FetcherInterface):
    """Reads what a server would send, for tests with many clients."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield Path(url).read_bytes()
        except FileNotFoundError as error:
            raise DownloadHTTPError(url, 404) from error


@dataclass
class Board:
    """A client that keeps what it trusts in a folder."""

    home: Path
    root: bytes
    """The root metadata that it was given at the beginning."""
    url: str

    def updater(self) -> Updater:
        """The client, after it has asked what is new."""
        metadata, files = self.home / "metadata", self.home / "files"
        for folder in (metadata, files):
            folder.mkdir(parents=True, exist_ok=True)
        fetcher = None if self.url.startswith("http") else _FromFolder()
        updater = Updater(
            str(metadata),
            f"{self.url}/metadata/",
            str(files),
            f"{self.url}/targets/",
            fetcher,
            bootstrap=self.root,
        )
        updater.refresh()
        return updater

    def rollout(self) -> Rollout:
        """What is offered."""
        return rollout.parse(_target(self.updater(), ROLLOUT_TARGET))

    def release(self, name: str, number: int) -> tuple[Release, dict[str, bytes]]:
        """A release and its files, by name, as they will be on the board."""
        updater = self.updater()
        release = record.parse(_target(updater, record.record_target(name, number)), name, number)
        return release, {file.name: _file(updater, file) for file in release.files}


def _target(updater: Updater, path: str) -> bytes:
    found = updater.get_targetinfo(path)
    assert found is not None, path
    return Path(updater.download_target(found)).read_bytes()


def _file(updater: Updater, file: record.ReleaseFile) -> bytes:
    data = _target(updater, file.target)
    if not file.packed:
        assert len(data) == file.bytes
        return data
    written: list[bytes] = []
    add: Callable[[bytes], object] = written.append
    packing.unpack([data], file.bytes, add)
    return b"".join(written)
