"""A folder of releases on a web server.

The server may send a byte a minute, or point elsewhere: no redirect is followed, and every exchange
ends at a deadline, because its connection is then closed.
"""

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from device.errors import UnreachableError, UpdateError, one_line
from device.settings.address import Address, parse, shown
from device.update.trust.fetch import PIECE_BYTES, NotThereError, Origin, Wanted, write

CONNECT_S, PIECE_S = 15.0, 30.0
"""Limits for connecting, and between two pieces of an answer."""
DOCUMENT_S = 120.0
"""Limit for one small file."""
SLOWEST_BYTES_S = 1000.0
"""A large file may take as long as it would at this rate. What came is kept for the next try."""
NOT_THERE = (403, 404)
TOO_LONG = "it takes too long"
OK, PARTIAL, BEYOND = 200, 206, 416


class Web(Origin):
    """A folder on a web server."""

    def __init__(self, url: str) -> None:
        """Connect to nothing yet.

        Raises:
            UpdateError: if the address is not one.
        """
        try:
            self._address = parse(url)
        except ValueError as error:
            raise UpdateError(f"update.url: {error}") from error
        self._base = self._address.target.rstrip("/")

    def read(self, name: str, most_bytes: int) -> bytes:
        """The whole of a small file."""
        with self._answer(name, {}, DOCUMENT_S) as (status, _, pieces):
            _check_status(name, status)
            data = bytearray()
            for piece in pieces:
                data += piece
                if len(data) > most_bytes:
                    raise UnreachableError(f"{name}: longer than {most_bytes:,} bytes")
            return bytes(data)

    def proceed(self, wanted: Wanted, part: Path, have: int) -> None:
        """Ask for the rest of a file, or for all of it where the server cannot go on."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        limit_s = DOCUMENT_S + wanted.size_bytes / SLOWEST_BYTES_S
        with self._answer(wanted.name, headers, limit_s) as (status, content_range, pieces):
            if status == BEYOND:
                part.unlink(missing_ok=True)
            _check_status(wanted.name, status)
            goes_on = status == PARTIAL and content_range.startswith(f"bytes {have}-")
            if status == PARTIAL and not goes_on:
                raise UnreachableError(f"{wanted.name}: the server sends another part")
            with part.open("ab" if goes_on else "wb") as file:
                write(file.fileno(), pieces, wanted, have if goes_on else 0)

    @contextmanager
    def _answer(
        self, name: str, headers: dict[str, str], limit_s: float
    ) -> Iterator[tuple[int, str, Iterator[bytes]]]:
        """Status, Content-Range and body of an answer; all of it must come within `limit_s`."""
        link = _connection(self._address)
        deadline: _Deadline | None = None
        try:
            link.connect()
            # Not the link itself: it forgets its socket once the head of an answer came.
            deadline = _Deadline(link.sock, limit_s)
            link.sock.settimeout(PIECE_S)
            link.request("GET", f"{self._base}/{name}", headers=self._headers() | headers)
            answer = link.getresponse()
            yield answer.status, answer.getheader("Content-Range", ""), _pieces(answer, deadline)
        except (http.client.HTTPException, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.filename is not None:
                # Of the disk, not of the network.
                raise
            where = f"{shown(self._address.scheme + '://' + self._address.place)}: {name}"
            is_late = deadline is not None and deadline.has_passed
            said = TOO_LONG if is_late else one_line(error)
            raise UnreachableError(f"{where}: {said}") from error
        finally:
            if deadline is not None:
                deadline.cancel()
            link.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "fieldguide"}
        if self._address.user is not None:
            secret = self._address.user + b":" + self._address.password
            headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
        return headers


def _connection(address: Address) -> http.client.HTTPConnection:
    host = address.host.strip("[]")
    if address.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, address.port, timeout=CONNECT_S, context=context)
    return http.client.HTTPConnection(host, address.port, timeout=CONNECT_S)


class _Deadline:
    """Ends an exchange that takes too long, wherever it waits."""

    def __init__(self, link: socket.socket, limit_s: float) -> None:
        self.has_passed = False
        self._link = link
        self._timer = threading.Timer(limit_s, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """The exchange has ended."""
        self._timer.cancel()

    def _cut(self) -> None:
        self.has_passed = True
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)


def _pieces(answer: http.client.HTTPResponse, deadline: _Deadline) -> Iterator[bytes]:
    """What comes, as it comes; a body that ends early is an error."""
    expected, got = answer.length, 0
    # Not `read`, which would wait until so many bytes came.
    while piece := answer.read1(PIECE_BYTES):
        got += len(piece)
        yield piece
    if deadline.has_passed:
        raise http.client.HTTPException(TOO_LONG)
    if expected is not None and got < expected:
        raise http.client.IncompleteRead(b"", expected - got)


def _check_status(name: str, status: int) -> None:
    if status in NOT_THERE:
        raise NotThereError(f"{name}: not there")
    if 300 <= status < 400:
        raise UnreachableError(f"{name}: the server points elsewhere, which is not followed")
    if status not in (OK, PARTIAL):
        raise UnreachableError(f"{name}: the server answers {status}")
