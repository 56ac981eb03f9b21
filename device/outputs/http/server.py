"""A small HTTP/1.1 server that limits everything a client can demand of the device.

It has one thread with an asyncio loop for any number of clients. Waits are limited in time,
messages in size (`device.outputs.http.exchange`), and connections in number
(`device.outputs.http.places`).
"""

import asyncio
import ipaddress
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TypeVar

from device.errors import OutputError
from device.outputs.http.exchange import (
    MAX_BODY_BYTES,
    MAX_TRUSTED_BODY_BYTES,
    Exchange,
    body_length,
)
from device.outputs.http.messages import BadRequestError, Request, Response, text
from device.outputs.http.places import MAX_TRUSTED, Place, Places

log = logging.getLogger("fieldguide")

READ_BYTES = 8192
"""Bytes per read: a head may exceed its limit by this much before it is refused."""
REQUEST_TIMEOUT_S = 5.0
"""From connecting, or the end of a response, to the end of the next request's headers; also the
limit for a short body."""
LONG_BODY_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 5.0
START_S = 10.0
"""For the thread to begin: beside other work it may be kept waiting."""
CLOSE_S = 0.5
REFUSALS = frozenset({401, 403, 421})
"""Responses that end the connection: a refused client must not keep it."""

Part = TypeVar("Part")


class HttpServer:
    """Answers requests on its own thread, from `start` to `close`.

    `answer` is a coroutine function that runs on that thread; if it raises, the client gets a 500.
    `trusts` tells from a request without its body whether it has the token: then its connection
    keeps its place, and its body may be long.
    """

    def __init__(
        self,
        name: str,
        answer: Callable[[Request], Awaitable[Response]],
        trusts: Callable[[Request], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self.port = 0
        """The port where it listens; 0 before `start`."""
        self._answer, self._trusts = answer, trusts
        self._places = Places()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._run, name=f"http-{name}", daemon=True)

    def start(self, address: str, port: int) -> None:
        """Start listening; call it once, or again after it failed.

        Args:
            address: IPv4 or IPv6.
            port: 0 for any free one.

        Raises:
            OutputError: if it cannot listen at this address and port.
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
        self._wait_for(self._listen(listener), START_S)

    def call(self, function: Callable[[], object]) -> None:
        """Schedule a function on the server's thread, if that runs; callable from any thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """Close the port and all connections; calling it again does nothing."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        with suppress(TimeoutError):
            self._wait_for(self._shut(), CLOSE_S)
        self.call(self._loop.stop)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _wait_for(self, work: Coroutine[Any, Any, None], limit_s: float) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(limit_s)

    async def _listen(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=READ_BYTES)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S / 2)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = (writer.get_extra_info("peername") or ("",))[0]
        # Here and not in the task: a whole backlog may be accepted before the first task runs.
        place = self._places.take(address, writer.transport.abort)
        task = self._loop.create_task(self._hold(place, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hold(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # With no buffer here, `drain` waits for the client itself.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            await self._serve(place, reader, writer)
        except (OSError, EOFError, TimeoutError):
            # The client went away, is too slow, or has lost its place.
            writer.transport.abort()
        except Exception:
            # Nobody awaits this task, so a bug would go unnoticed without this line.
            log.exception("output.%s: a connection failed", self.name)
            writer.transport.abort()
        finally:
            self._places.leave(place)
            writer.close()

    async def _serve(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        exchange, ready = Exchange(), True
        while ready:
            try:
                request = await self._receive(place, exchange, reader, writer)
            except BadRequestError as error:
                await _send(writer, exchange.answer(text(error.status, str(error)), keep=False))
                return
            await _send(writer, await self._respond(exchange, request))
            ready = exchange.again()
            # Let other connections run: one client may send many requests at once.
            await asyncio.sleep(0)

    async def _receive(
        self,
        place: Place,
        exchange: Exchange,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Request:
        request = await _read(exchange, reader, exchange.head, REQUEST_TIMEOUT_S)
        trusted = self._trusts(request)
        if trusted and not self._places.trust(place):
            words = f"{MAX_TRUSTED} connections are open already; try again later."
            raise BadRequestError(HTTPStatus.SERVICE_UNAVAILABLE, words)
        length = body_length(request.headers, MAX_TRUSTED_BODY_BYTES if trusted else MAX_BODY_BYTES)
        timeout_s = LONG_BODY_TIMEOUT_S if length > MAX_BODY_BYTES else REQUEST_TIMEOUT_S
        await _send(writer, exchange.permission())
        return replace(request, body=await _read(exchange, reader, exchange.body, timeout_s))

    async def _respond(self, exchange: Exchange, request: Request) -> bytes:
        try:
            response = await self._answer(request)
            return exchange.answer(response, keep=response.status not in REFUSALS)
        except Exception:
            # One request must not end the server.
            log.exception("output.%s: %s %s failed", self.name, request.method, request.path)
            words = "An internal error occurred; the service's log has the details."
            return exchange.answer(text(500, words))


async def _read(
    exchange: Exchange,
    reader: asyncio.StreamReader,
    part: Callable[[], Part | None],
    timeout_s: float,
) -> Part:
    """Read until a part of the request is complete; some of it may have come already."""
    async with asyncio.timeout(timeout_s):
        while (whole := part()) is None:
            exchange.receive(await reader.read(READ_BYTES))
    return whole


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await writer.drain()
