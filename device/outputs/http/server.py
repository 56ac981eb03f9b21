"""A small HTTP/1.1 server, bounded in everything that a client can ask of the device.

One thread with an asyncio loop, whatever the number of clients; every wait has an end, every
message a greatest size, and there is a greatest number of connections
(`device.outputs.http.places`). It knows GET, HEAD and POST with a Content-Length (RFC 9112), which
is all that its pages need.
"""

import asyncio
import ipaddress
import logging
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from device.errors import OutputError
from device.outputs.http.places import MAX_TRUSTED, Place, Places

log = logging.getLogger("fieldguide")

MAX_HEAD_BYTES = 32768
"""Browsers send the cookies of all pages on the same host, whatever their port."""
MAX_BODY_BYTES = 4096
MAX_TRUSTED_BODY_BYTES = 2_000_000
"""Of a request that shows the token: it may hold a picture."""
MAX_QUERY_FIELDS = 16
REQUEST_TIMEOUT_S = 5.0
"""From the end of an answer, or the connection, to the end of the next request's headers; also
for its body, if that is a short one."""
LONG_BODY_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 5.0
CLOSE_S = 0.5
REFUSALS = frozenset({401, 403, 421})
"""Answers after which the connection ends: who is refused shall not hold it."""

METHODS = frozenset({"GET", "HEAD", "POST"})
NOT_TWICE = frozenset({"host", "content-length", "authorization", "origin", "cookie"})
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer; an answer's own go before them, and an empty one takes it away."""


@dataclass(frozen=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    """What it gets."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class BadRequestError(Exception):
    """The client does not speak HTTP as this server knows it, or says too much."""

    def __init__(self, status: HTTPStatus, words: str = "") -> None:
        super().__init__(words or status.phrase)
        self.status = status


def text(status: int, message: str) -> Response:
    """A one-line answer."""
    return Response(status, (message + "\n").encode())


def parse_head(head: bytes) -> Request:
    """Read a request line and headers, up to and with the empty line.

    Raises:
        BadRequestError: if they are not what RFC 9112 has, or this server does without.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    method, target, version = parts
    if method not in METHODS:
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED)
    path, query = _target(target)
    headers = {"connection": "close"} if version == "HTTP/1.0" else {}
    return Request(method, path, query, headers | _headers(lines))


def _target(target: str) -> tuple[str, dict[str, str]]:
    if not target.startswith("/"):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    try:
        # Some proxies leave two slashes where they strip a prefix.
        url = urlsplit("/" + target.lstrip("/"))
        return url.path, dict(parse_qsl(url.query, max_num_fields=MAX_QUERY_FIELDS))
    except ValueError as error:
        raise BadRequestError(HTTPStatus.BAD_REQUEST) from error


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.lower()
        twice = key in headers and key in NOT_TWICE
        if not colon or twice or not TOKEN.fullmatch(name) or "\n" in value or "\0" in value:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        headers[key] = value.strip(" \t")
    return headers


def body_length(headers: Mapping[str, str], longest: int = MAX_BODY_BYTES) -> int:
    """Bytes of a request's body, which may have `longest` at most.

    Raises:
        BadRequestError: if it is too long, or comes in pieces.
    """
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED)
    length = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if int(length) > longest:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(length)


def encode(response: Response, *, keep: bool, head_only: bool = False) -> bytes:
    """The bytes of an answer."""
    headers = {
        **ALWAYS,
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Connection": "keep-alive" if keep else "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if head_only else head + response.body


class HttpServer:
    """Answers requests on a thread of its own, which lives from `start` to `close`.

    `answer` is a coroutine function and runs on that thread; what it raises becomes a 500.
    `trusts` says of a request without its body whether it shows the token: then its connection
    keeps its place, and its body may be a long one.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[Request], Awaitable[Response]],
        trusts: Callable[[Request], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self.port = 0
        """The port that it listens at; 0 before `start`."""
        self._answer, self._trusts = answer, trusts
        self._places = Places()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._run, name=f"http-{name}", daemon=True)

    def start(self, address: str, port: int) -> None:
        """Listen, once; after a failure it may be tried again.

        Args:
            address: IPv4 or IPv6.
            port: 0 takes a free one.

        Raises:
            OutputError: if the address or port cannot be had.
        """
        v6 = ipaddress.ip_address(address).version == 6
        try:
            listener = socket.create_server(
                (address, port),
                family=socket.AF_INET6 if v6 else socket.AF_INET,
                # "::" then means every address, as "0.0.0.0" does.
                dualstack_ipv6=v6 and address == "::" and socket.has_dualstack_ipv6(),
            )
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(f"cannot listen at {address} port {port}: {reason}") from error
        self._thread.start()
        self.port = listener.getsockname()[1]
        self._wait_for(self._listen(listener))

    def call(self, function: Callable[[], object]) -> None:
        """Run a function soon on the server's thread, from any thread; if it lives."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """Close the port and all connections; again, it does nothing."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        with suppress(TimeoutError):
            self._wait_for(self._shut())
        self.call(self._loop.stop)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CLOSE_S)

    async def _listen(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=MAX_HEAD_BYTES)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S / 2)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = (writer.get_extra_info("peername") or ("",))[0]
        # Here, not in the task: a whole backlog is accepted before the first task runs.
        place = self._places.take(address, writer.transport.abort)
        task = self._loop.create_task(self._hold(place, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # With nothing buffered here, what `drain` waits for is the client.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            await self._serve(place, reader, writer)
        except (OSError, EOFError, TimeoutError):
            # The client went away, is too slow, or has lost its place.
            writer.transport.abort()
        finally:
            self._places.leave(place)
            writer.close()

    async def _serve(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        keep = True
        while keep:
            try:
                request = await self._receive(place, reader)
            except BadRequestError as error:
                await _send(writer, encode(text(error.status, str(error)), keep=False))
                return
            response = await self._respond(request)
            asked = request.headers.get("connection", "").lower() != "close"
            keep = asked and response.status not in REFUSALS
            await _send(writer, encode(response, keep=keep, head_only=request.method == "HEAD"))

    async def _receive(self, place: Place, reader: asyncio.StreamReader) -> Request:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            request = await _head(reader)
        trusted = self._trusts(request)
        if trusted and not self._places.trust(place):
            words = f"{MAX_TRUSTED} connections are open already; try again later."
            raise BadRequestError(HTTPStatus.SERVICE_UNAVAILABLE, words)
        length = body_length(request.headers, MAX_TRUSTED_BODY_BYTES if trusted else MAX_BODY_BYTES)
        timeout_s = LONG_BODY_TIMEOUT_S if length > MAX_BODY_BYTES else REQUEST_TIMEOUT_S
        async with asyncio.timeout(timeout_s):
            return replace(request, body=await reader.readexactly(length))

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Exception:
            # One request must not end the server.
            log.exception("output.%s: %s %s failed", self.name, request.method, request.path)
            return text(500, "Something failed here; the service's log has the details.")


async def _head(reader: asyncio.StreamReader) -> Request:
    try:
        return parse_head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError as error:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from error


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await writer.drain()
