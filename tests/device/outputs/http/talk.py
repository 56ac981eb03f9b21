"""A small application, and what a client says to it over a socket."""

import asyncio
import socket
from contextlib import closing, suppress

from device.outputs.http.messages import Request, Response, text
from device.outputs.http.server import HttpServer

HUGE = bytes(50_000_000)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def answer(request: Request) -> Response:
    if request.path == "/fault":
        raise ValueError("a fault of the program")
    if request.path == "/huge":
        return Response(200, HUGE)
    if request.path == "/slow":
        await asyncio.sleep(30)
    return text(200, f"{request.method} {request.path} {dict(request.query)} {len(request.body)}")


def link(server: HttpServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def reply(server: HttpServer, request: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    with closing(link(server)) as connection:
        with suppress(OSError):  # it may have closed before the last byte
            connection.sendall(request)
        return everything(connection)


def everything(connection: socket.socket) -> bytes:
    data = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            data += chunk
    return data
