"""A small HTTP/1.1 server, bounded in everything that a client can ask of the device.

One thread with an asyncio loop, whatever the number of clients; every wait has an end, every
message a greatest size, and there is a greatest number of connections. It knows GET, HEAD and
POST with a Content-Length (RFC 9112), which is all that its pages need.
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

log = logging.getLogger("fieldguide")

MAX_CONNECTIONS = 32
MAX_REFUSALS = 32
"""Connections beyond those that are told why at the same time; all others are just closed."""
MAX_HEAD_BYTES = 8192
MAX_BODY_BYTES = 4096
MAX_QUERY_FIELDS = 16
REQUEST_TIMEOUT_S = 5.0
"""From the end of an answer, or the connection, to the last byte of the next request."""
SEND_TIMEOUT_S = 5.0
REFUSAL_TIMEOUT_S = 0.5
CLOSE_S = 0.5

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
"""Headers of every answer; an answer's own go before them."""


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

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
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
        url = urlsplit(target)
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


def body_length(headers: Mapping[str, str]) -> int:
    """Bytes of a request's body.

    Raises:
        BadRequestError: if it is too long, or comes in pieces.
    """
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.NOT_IMPLEMENTED)
    length = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if int(length) > MAX_BODY_BYTES:
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
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if head_only else head + response.body


class HttpServer:
    """Answers requests on a thread of its own, which lives from `start` to `close`.

    `answer` is a coroutine function and runs on that thread; what it raises becomes a 500.
    """

    def __init__(self, name: str, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.name = name
        self.port = 0
        """The port that it listens at; 0 before `start`."""
        self._answer = answer
        self._open = 0
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
        if self._open >= MAX_CONNECTIONS + MAX_REFUSALS:
            writer.transport.abort()
            return
        serve = self._serve if self._open < MAX_CONNECTIONS else _refuse
        # Here, not in the task: a whole backlog is accepted before the first task runs.
        self._open += 1
        task = self._loop.create_task(self._hold(serve(reader, writer), writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(self, work: Coroutine[Any, Any, None], writer: asyncio.StreamWriter) -> None:
        # With nothing buffered here, what `drain` waits for is the client.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            await work
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            # The client went away, is too slow, or says too much.
            writer.transport.abort()
        finally:
            self._open -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep = True
        while keep:
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    request = await _read(reader)
            except BadRequestError as error:
                await _send(writer, encode(text(error.status, str(error)), keep=False))
                return
            keep = request.headers.get("connection", "").lower() != "close"
            response = await self._respond(request)
            await _send(writer, encode(response, keep=keep, head_only=request.method == "HEAD"))

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Exception:
            # One request must not end the server.
            log.exception("output.%s: %s %s failed", self.name, request.method, request.path)
            return text(500, "Something failed here; the service's log has the details.")


async def _read(reader: asyncio.StreamReader) -> Request:
    try:
        request = parse_head(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.LimitOverrunError as error:
        raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from error
    return replace(request, body=await reader.readexactly(body_length(request.headers)))


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await writer.drain()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(REFUSAL_TIMEOUT_S):
        # Unread bytes would make the kernel take the answer back.
        await reader.read(MAX_HEAD_BYTES)
    busy = text(503, f"{MAX_CONNECTIONS} connections are open already; try again later.")
    await _send(writer, encode(busy, keep=False))
